"""hftbacktest's side of `bench.matching_peer`; runs in the throw-away environment that has it, and in no other.

`python hftbacktest_worker.py FOLDER`: `job.json` names the windows and flows; there are `<n>.npz` (heads, changes) and the raw lines
`<n>.gz` of each window, `<n>.<flow>.npy` (actions) of each flow in it. Writes `<n>.<flow>.fills.npy`, rows of (order, time ns, tick, lots,
lots left), and `told.json`. The events are made from the tables, in ticks and lots, so that its floats are exact. They must equal, row by
row, what its own Binance converter makes of the raw lines; only the times differ, which are unique here.

An order that a trade at its price fills to the last lot stays in its book (2.4.4 removes it only when the trade reaches further), and the
next event that meets it ends the run with an error. So each order is cancelled as soon as it is seen filled, which changes nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import hftbacktest as peer
import numpy as np
from hftbacktest.data.utils import binancefutures
from hftbacktest.order import FOK as PEER_FOK
from hftbacktest.order import IOC as PEER_IOC
from numba import njit

SNAPSHOT, TRADE = 1, 2
POST_ONLY, IOC, FOK, CANCEL, SHRINK, REPRICE = range(6)
BUY = 0
FORGET_EVERY = 64
END_OF_DATA = 1
WAIT = False
KIND = 0xFF
Array = Any
Engine = Any


def events_of(heads: Array, changes: Array) -> Array:
    sides = np.array([peer.BUY_EVENT, peer.SELL_EVENT], np.uint64)
    parts = []
    for at_ns, kind, first, second, third in heads.tolist():
        rows = changes[first:second]
        part = np.zeros(1 if kind == TRADE else len(rows), peer.types.event_dtype)
        if kind == TRADE:
            part["ev"], part["px"], part["qty"] = peer.TRADE_EVENT | int(sides[first]), second, third
        else:
            what = peer.DEPTH_SNAPSHOT_EVENT if kind == SNAPSHOT else peer.DEPTH_EVENT
            part["ev"] = sides[rows[:, 0]] | np.uint64(what)
            part["px"], part["qty"] = rows[:, 1], rows[:, 2]
        part["exch_ts"] = part["local_ts"] = at_ns
        parts.append(part)
    return np.concatenate(parts)


def check_conversion(events: Array, path: Path, tick: float, lot: float) -> None:
    """Compare with its own converter; the clear of an empty book before the snapshot is the only row that we do not have."""
    rows = binancefutures.convert(str(path), buffer_size=4 * len(events))
    rows = rows[(rows["ev"] & peer.EXCH_EVENT) == peer.EXCH_EVENT]
    rows = rows[(rows["ev"] & KIND) != peer.DEPTH_CLEAR_EVENT]
    flags = np.uint64(KIND | peer.BUY_EVENT | peer.SELL_EVENT)
    assert len(rows) == len(events), (len(rows), len(events))
    assert np.array_equal(rows["ev"] & flags, events["ev"] & flags)
    assert np.array_equal(np.round(rows["px"] / tick), events["px"])
    assert np.array_equal(np.round(rows["qty"] / lot), events["qty"])


def build(events: Array, queue: str, latency_ns: int, *, is_vector: bool) -> Engine:
    asset = (
        peer.BacktestAsset()
        .data(events)
        .linear_asset(1.0)
        .constant_order_latency(latency_ns, 0)
        .partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(1.0)
        .lot_size(1.0)
        .last_trades_capacity(0)
    )
    asset = asset.risk_adverse_queue_model() if queue == "risk averse" else asset.power_prob_queue_model(1.0)
    if not is_vector:
        return peer.HashMapMarketDepthBacktest([asset])
    traded = events["px"][(events["ev"] & KIND) == peer.TRADE_EVENT]
    low, high = traded.min(), traded.max()
    return peer.ROIVectorMarketDepthBacktest([asset.roi_lb(low - (high - low)).roi_ub(high + (high - low))])


@njit
def request(engine: Engine, what: int, order: int, side: int, price: int, qty: int) -> None:
    if what == CANCEL:
        engine.cancel(0, order, WAIT)
    elif what in (SHRINK, REPRICE):
        held = engine.orders(0).get(order)
        if held is not None and held.cancellable:
            if what == REPRICE:
                engine.modify(0, order, price, held.qty, WAIT)
            elif held.leaves_qty > qty:
                engine.modify(0, order, price, qty, WAIT)
    else:
        force = peer.GTX if what == POST_ONLY else PEER_IOC if what == IOC else PEER_FOK
        if side == BUY:
            engine.submit_buy_order(0, order, price, qty, force, peer.LIMIT, WAIT)
        else:
            engine.submit_sell_order(0, order, price, qty, force, peer.LIMIT, WAIT)


@njit
def look(engine: Engine, leaves: Array, amended: int, out: Array, total: int) -> int:
    """Tell what has been filled since the last look; an order that has just been amended lost its lots to that."""
    values = engine.orders(0).values()
    while values.has_next():
        order = values.get()
        left = round(order.leaves_qty)
        if left >= leaves[order.order_id]:
            continue
        if amended != order.order_id:
            out[total, 0], out[total, 1] = order.order_id, order.exch_timestamp
            out[total, 2], out[total, 3], out[total, 4] = order.exec_price_tick, leaves[order.order_id] - left, left
            total += 1
        leaves[order.order_id] = left
        if left == 0:
            engine.cancel(0, order.order_id, WAIT)
    return total


@njit
def observed(engine: Engine, times: Array, actions: Array, leaves: Array, out: Array) -> tuple[int, int]:
    """Step from event to event; give the number of fills and 0, or the code that ended the run."""
    engine.elapse(0)
    total = waiting = 0
    for index in range(len(times)):
        while waiting < len(actions) and actions[waiting, 0] < times[index]:
            at_ns, what, order, side, tick, lots = actions[waiting, :6]
            engine.elapse(at_ns - engine.current_timestamp)
            if what <= FOK:
                leaves[order] = lots
            request(engine, what, order, side, tick, lots)
            engine.elapse(1)
            total = look(engine, leaves, order if what == SHRINK else -1, out, total)
            waiting += 1
        code = engine.elapse(times[index] - engine.current_timestamp)
        if code > END_OF_DATA:
            return total, code
        before = total
        total = look(engine, leaves, -1, out, total)
        if total > before:
            engine.elapse(1)
        if index % FORGET_EVERY == 0:
            engine.clear_inactive_orders(0)
    return total, 0


@njit
def unobserved(engine: Engine, last_ns: int, actions: Array) -> int:
    """Send the same orders and look at nothing: matching alone."""
    code = engine.elapse(0)
    for index in range(len(actions)):
        at_ns, what, order, side, tick, lots = actions[index, :6]
        code = max(code, engine.elapse(at_ns - engine.current_timestamp))
        request(engine, what, order, side, tick, lots)
        if index % FORGET_EVERY == 0:
            engine.clear_inactive_orders(0)
    return max(code, engine.elapse(last_ns - engine.current_timestamp))


def with_clearing(actions: Array, fills: Array) -> Array:
    """Add to the actions the cancel of each filled order, right after it was filled."""
    done = fills[fills[:, 4] == 0]
    rows = np.zeros((len(done), actions.shape[1]), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = done[:, 1] + 1, CANCEL, done[:, 0]
    both = np.concatenate((actions, rows))
    return both[np.argsort(both[:, 0], kind="stable")]


def cpu_seconds(events: Array, flow: dict[str, Any], last_ns: int, actions: Array, *, is_vector: bool) -> float:
    engine = build(events, flow["queue"], flow["latency_ns"], is_vector=is_vector)
    began = time.thread_time()
    code = unobserved(engine, last_ns, actions)
    took = time.thread_time() - began
    engine.close()
    assert code <= END_OF_DATA, code
    return took


def main() -> None:
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    told: dict[str, Any] = {"version": peer.__version__, "seconds": {}}
    for window in job["windows"]:
        number = window["number"]
        tables = np.load(folder / f"{number}.npz")
        heads = tables["heads"]
        events = events_of(heads, tables["changes"])
        check_conversion(events, folder / f"{number}.gz", window["tick"], window["lot"])
        events["ev"] |= np.uint64(peer.EXCH_EVENT)
        for flow in job["flows"]:
            actions = np.load(folder / f"{number}.{flow['name']}.npy")
            out = np.zeros((8 * len(actions), 5), np.int64)
            leaves = np.zeros(int(actions[:, 2].max()) + 1, np.int64)
            engine = build(events, flow["queue"], flow["latency_ns"], is_vector=False)
            total, code = observed(engine, heads[:, 0], actions, leaves, out)
            engine.close()
            if code:
                sys.exit(f"hftbacktest ended window {number}, flow {flow['name']} with code {code}")
            np.save(folder / f"{number}.{flow['name']}.fills.npy", out[:total])
            if flow["timed"]:
                told["seconds"][number] = {
                    name: min(
                        cpu_seconds(
                            events, flow, heads[-1, 0], with_clearing(actions, out[:total]), is_vector=is_vector
                        )
                        for _ in range(job["rounds"])
                    )
                    for name, is_vector in (("hash map", False), ("vector", True))
                }
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
