"""`var/run-report.json`: what a run did, in numbers that were counted, and whether our books agree with the venue's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import msgspec

from services.cli.counters import CounterTotals
from undertow.bus.ports import Delivery
from undertow.contracts.messages.decision import Features, Signal
from undertow.contracts.messages.trading import OrderChanged
from undertow.domain.order import OrderRole, OrderStatus

_NS_PER_MS: Final = 1e6
HOPS: Final = ("ingestor", "feature_hub", "model_server", "order_router")
"""Whose work lies between two stamps of an order's journey: frame → published → … → order bytes written."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """Our books minus the venue's, at the end; "unknown" when one of the two could not be read."""

    position: str
    money: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that a report is made of."""

    mode: str
    market: str
    bus: str
    seconds: float
    counters: CounterTotals
    frames_injected: int
    duplicate_orders: int
    realised_pnl_usdt: str
    residuals: Residuals
    stream_lag_max: int
    orders: Sequence[Delivery] = ()
    decisions: Sequence[Delivery] = ()
    restarts: Mapping[str, int] = field(default_factory=dict)
    failures: Sequence[str] = ()


def compose(facts: RunFacts) -> dict[str, Any]:
    """Make the report; fields and names as design fixes them."""
    count = facts.counters.total
    hops, whole = journeys(facts.orders)
    return {
        "mode": facts.mode,
        "market": facts.market,
        "bus": facts.bus,
        "seconds": round(facts.seconds, 3),
        "frames_received": count("undertow_frames_received_total"),
        "frames_injected": facts.frames_injected,
        "book_gaps": count("undertow_book_gaps_total"),
        "liquidations": count("undertow_liquidations_total"),
        "feature_vectors": count("undertow_feature_vectors_total"),
        "signals": count("undertow_signals_total"),
        "orders_submitted": count("undertow_orders_submitted_total"),
        "duplicate_orders": facts.duplicate_orders,
        "fills": count("undertow_fills_total"),
        "round_trips": count("undertow_round_trips_total"),
        "verdicts": facts.counters.by_label("undertow_decisions_total", "verdict"),
        "realised_pnl_usdt": facts.realised_pnl_usdt,
        "position_residual": facts.residuals.position,
        "money_residual_usdt": facts.residuals.money,
        "dead_letters": count("undertow_dead_letters_total"),
        "stream_lag_max": facts.stream_lag_max,
        "decisions_hash": decisions_hash(facts.decisions),
        "restarts": dict(sorted(facts.restarts.items())),
        "latency_ms": {hop: distribution(values) for hop, values in hops.items()},
        "tick_to_order_ms": distribution(whole),
        "rss_mb": {
            service: round(value / 2**20, 1)
            for service, value in facts.counters.gauge_by_service("process_resident_memory_bytes").items()
        },
        "errors": count("undertow_errors_total") + len(facts.failures),
        "failures": list(facts.failures),
    }


def journeys(orders: Iterable[Delivery]) -> tuple[dict[str, list[float]], list[float]]:
    """Give the time spent in each hop and from frame to order bytes, ms, of every entry order that was sent."""
    hops: dict[str, list[float]] = {hop: [] for hop in HOPS}
    whole: list[float] = []
    for delivery in orders:
        order = delivery.message
        if not (
            isinstance(order, OrderChanged)
            and order.role is OrderRole.ENTRY
            and order.status is OrderStatus.SUBMITTED
            and order.written_wall_ns
            and len(delivery.hops) >= len(HOPS)
        ):
            continue
        stamps = [*delivery.hops[: len(HOPS)], order.written_wall_ns]
        for hop, begin, end in zip(HOPS, stamps, stamps[1:], strict=False):
            hops[hop].append((end - begin) / _NS_PER_MS)
        whole.append((stamps[-1] - stamps[0]) / _NS_PER_MS)
    return hops, whole


def distribution(values: Sequence[float]) -> dict[str, float | int]:
    """Give p50, p99 and n; of a single value both are that value, of none both are 0."""
    if len(values) > 1:
        cuts = quantiles(values, n=100, method="inclusive")
        return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3), "n": len(values)}
    only = round(values[0], 3) if values else 0.0
    return {"p50": only, "p99": only, "n": len(values)}


def decisions_hash(decisions: Iterable[Delivery]) -> str:
    """Hash what was decided: vectors, signals and submitted orders, without anything that depends on wall time or redelivery.

    Per symbol and kind in the order of their event times; ids are functions of their inputs, so equal decisions hash alike.
    """
    rows: set[tuple[str, int, str, str]] = set()
    for delivery in decisions:
        message = delivery.message
        if isinstance(message, Features):
            rows.add(("features", message.ts_event, message.symbol, message.values.hex()))
        elif isinstance(message, Signal):
            body = (message.signal_id, message.side, message.delta_bps, message.hold_ns, message.drawn_bps)
            rows.add(("signal", message.ts_event, message.symbol, repr(body)))
        elif isinstance(message, OrderChanged) and message.status is OrderStatus.SUBMITTED:
            order = (message.order_id, message.side, str(message.price), str(message.qty))
            rows.add(("order", 0, message.symbol, repr(order)))
    return hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()


def residual_of_positions(ours: Mapping[str, Decimal], venues: Mapping[str, Decimal]) -> Decimal:
    """Sum over all symbols of |our qty − the venue's|, base coin."""
    zero = Decimal(0)
    return sum((abs(ours.get(s, zero) - venues.get(s, zero)) for s in {*ours, *venues}), zero)


def plain(value: Decimal) -> str:
    """Decimal as text without exponent or trailing zeros; zero of any scale is "0"."""
    return format(value.normalize(), "f") if value else "0"


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write the report so that a reader sees the old one or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
