"""The kernel beside hftbacktest on the Binance recordings, fill by fill: `python -m bench.matching_peer`; one JSON line per figure.

hftbacktest is installed into a throw-away environment (about half a minute, the package index is asked). Both get the same events and the
same seeded orders; a fill is the same when order, time (which names the event that filled it), tick and lots are. The share is that of all
fills that either has. A difference is told by the first fill in which an order differs. The first two comparisons are between equal rules
and must reach 99.5 %; the others set one rule apart each (ADR 10). Exits 1 when the required share is not reached.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import binance, flow
from bench.binance import MS_NS, TRADE, Window
from undertow.matching.fills import PESSIMISTIC, PRINTED, PROBABILISTIC, WHOLE
from undertow.matching.ladder import Ints

COMMAND: Final = "python -m bench.matching_peer"
PEER: Final = "hftbacktest==2.4.4"
REQUIRED: Final = 0.995
ORDERS: Final = 3_000
"""Of each window."""
SEED: Final = 7
WHOLE_BOOK: Final = 8_000
"""More levels than either side of the recordings ever has."""
ROUNDS: Final = 5
LATENCY_NS: Final = 5 * MS_NS
NOW, LATER, ESTIMATED = "now", "later", "estimated"
FLOWS: Final = (
    {"name": NOW, "queue": "risk averse", "latency_ns": 0, "timed": True},
    {"name": LATER, "queue": "risk averse", "latency_ns": LATENCY_NS, "timed": False},
    {"name": ESTIMATED, "queue": "proportional", "latency_ns": 0, "timed": False},
)


@dataclass(frozen=True, slots=True)
class Comparison:
    name: str
    flow: str
    model: int = PESSIMISTIC
    through: int = WHOLE
    is_alone: bool = True
    is_required: bool = False


COMPARISONS: Final = (
    Comparison("equal rules", NOW, is_required=True),
    Comparison("equal rules, orders 5 ms late", LATER, is_required=True),
    Comparison("a trade through our price fills up to its size", NOW, through=PRINTED),
    Comparison("our orders share a trade", NOW, is_alone=False),
    Comparison("probabilistic queue", ESTIMATED, model=PROBABILISTIC),
)


@dataclass(slots=True)
class Played:
    """A window, the actions of each flow as requested (lanes told), and what both sides made of them."""

    window: Window
    actions: dict[str, Ints]
    lanes: int
    theirs: dict[str, Ints]


def prepare() -> list[Played]:
    played = []
    for number, name in enumerate(binance.WINDOWS):
        window = binance.read(name)
        made = flow.make_orders(window, depth=WHOLE_BOOK, count=ORDERS, seed=SEED + number)
        actions, lanes = flow.with_lanes(made)
        late = actions[actions[:, 1] != flow.SHRINK]  # what is left when a shrink arrives late is decided differently
        played.append(Played(window, {NOW: actions, LATER: late, ESTIMATED: actions}, lanes, {}))
    return played


def ours(one: Played, how: Comparison) -> tuple[Ints, float]:
    actions = one.actions[how.flow].copy()
    if how.flow == LATER:
        actions[:, 0] += LATENCY_NS
    if not how.is_alone:
        actions[:, 6] = 0
    lanes, capacity = (one.lanes, 4) if how.is_alone else (1, ORDERS)
    return flow.run(
        one.window, actions, depth=WHOLE_BOOK, model=how.model, through=how.through, lanes=lanes, capacity=capacity
    )


def requests(one: Played, name: str) -> Ints:
    """Give what hftbacktest is asked: with a latency, the cancels of filled orders have to be on their way before (see the worker)."""
    actions = one.actions[name]
    if name != LATER:
        return actions
    fills, _ = ours(one, COMPARISONS[1])
    wanted = {row[2]: row[5] for row in actions.tolist() if row[1] <= flow.FOK}
    rows = []
    for order, at_ns, _, lots in fills.tolist():
        wanted[order] -= lots
        if not wanted[order]:
            rows.append((at_ns + 1 - LATENCY_NS, flow.CANCEL, order, 0, 0, 0, 0))
    both = np.concatenate((actions, np.array(rows, np.int64)))
    return both[np.argsort(both[:, 0], kind="stable")]


def run_peer(played: list[Played], folder: Path) -> dict[str, Any]:
    """Install hftbacktest into `folder`, let it play every flow and read what it filled; give what it told of itself."""
    python = folder / "env" / "bin" / "python"
    uv = shutil.which("uv") or next(map(str, Path(".tools").glob("uv/bin/uv")), None)
    if uv:
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder / "env"], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, PEER], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PEER], check=True)
    job: dict[str, Any] = {"rounds": ROUNDS, "flows": FLOWS, "windows": []}
    for number, one in enumerate(played):
        scale = one.window.scale
        job["windows"].append({"number": str(number), "tick": float(scale.tick_size), "lot": float(scale.qty_step)})
        np.savez(folder / f"{number}.npz", heads=one.window.heads, changes=one.window.changes)
        (folder / f"{number}.gz").write_bytes(gzip.compress(b"\n".join(one.window.lines) + b"\n", 1))
        for name in one.actions:
            np.save(folder / f"{number}.{name}.npy", requests(one, name))
    (folder / "job.json").write_text(json.dumps(job))
    worker = Path(__file__).with_name("hftbacktest_worker.py")
    subprocess.run([python, worker, folder], check=True, stdout=subprocess.PIPE)
    for number, one in enumerate(played):
        one.theirs = {name: np.load(folder / f"{number}.{name}.fills.npy")[:, :4] for name in one.actions}
    told: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return told


def compare(played: list[Played], how: Comparison) -> dict[str, Any]:
    same = either = equal_orders = filled_orders = 0
    causes: Counter[str] = Counter()
    for one in played:
        mine, its = ours(one, how)[0].tolist(), one.theirs[how.flow].tolist()
        fills = Counter(map(tuple, mine)), Counter(map(tuple, its))
        same, either = same + (fills[0] & fills[1]).total(), either + (fills[0] | fills[1]).total()
        causes.update(first_differences(one.window, mine, its))
        totals = lots_by(mine, 1), lots_by(its, 1)
        filled = totals[0].keys() | totals[1].keys()
        filled_orders += len(filled)
        equal_orders += sum(totals[0][order] == totals[1][order] for order in filled)
    return {
        "share": same / either,
        "identical": same,
        "fills": either,
        "orders filled": filled_orders,
        "orders equal in total": equal_orders,
        "first differences": dict(causes.most_common()),
    }


def lots_by(fills: list[list[int]], columns: int) -> Counter[tuple[int, ...]]:
    """Give the lots by the first columns of (order, time ns, tick)."""
    total: Counter[tuple[int, ...]] = Counter()
    for fill in fills:
        total[tuple(fill[:columns])] += fill[3]
    return total


def first_differences(window: Window, mine: list[list[int]], its: list[list[int]]) -> list[str]:
    """Say of each order that differs what happened when it first did, and who filled more then."""
    events = {head[0]: head for head in window.heads.tolist()}
    here, there = lots_by(mine, 3), lots_by(its, 3)
    firsts: dict[int, tuple[int, ...]] = {}
    for key in sorted(here.keys() | there.keys(), key=lambda key: key[1]):
        if here[key] != there[key]:
            firsts.setdefault(key[0], key)
    told = []
    for key in firsts.values():
        event = events.get(key[1])
        if event is None:
            what = "a take"
        elif event[1] != TRADE:
            what = "the book"
        else:
            what = "a trade at our price" if event[3] == key[2] else "a trade through our price"
        told.append(f"{what} filled {'more' if here[key] > there[key] else 'less'} here")
    return told


def speeds(played: list[Played], told: dict[str, Any]) -> list[dict[str, Any]]:
    """Give events a second of one core: all orders in one kernel with the rules of the paper venue, beside the faster of its two books."""
    how = Comparison("speed", NOW, through=PRINTED, is_alone=False)
    events = sum(one.window.events for one in played)
    seconds = sum(min(ours(one, how)[1] for _ in range(ROUNDS)) for one in played)
    its = sum(min(each.values()) for each in told["seconds"].values())
    return [
        {"name": "matching_peer: matching alone", "value": round(events / seconds), "unit": "events/s",
         "ratio_to": PEER, "ratio": round(its / seconds, 3)},
        {"name": f"matching_peer: matching alone, {PEER}", "value": round(events / its), "unit": "events/s",
         "ratio_to": None, "ratio": None},
    ]  # fmt: skip


def main() -> int:
    played = prepare()
    with tempfile.TemporaryDirectory(prefix="undertow-peer-") as folder:
        told = run_peer(played, Path(folder))
    missed = False
    for how in COMPARISONS:
        found = compare(played, how)
        share = found.pop("share")
        missed |= how.is_required and share < REQUIRED
        row = {"name": f"matching_peer: identical fills, {how.name}", "value": round(100 * share, 3), "unit": "%"}
        print(json.dumps(row | {"ratio_to": PEER, "ratio": None} | found | {"command": COMMAND}))
    for row in speeds(played, told):
        print(json.dumps(row | {"clock": "CPU of the thread, best of rounds", "command": COMMAND}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
