"""A schedule of faults by seed and intensity: the same two give the same schedule. Pure.

Over its whole length small faults strike at random (frames lost, late, doubled, out of order; requests refused, unanswered, slow); now and
then something larger happens at a moment of its own (sockets closed, books begun anew, a storm of 10006, a restart). Left out is what ends
any run: the ten minutes of a 403, maintenance, and a clock that is off by more than the time rule allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from services.venue.faults.draw import fraction, pause, within
from services.venue.faults.kinds import BadFaultError, Fraction, Kind, Whole

SpecJson = dict[str, Any]
_FIELDS: Final[Mapping[str, Kind]] = {
    "seed": Whole(0, 2**31),
    "intensity": Fraction(default=0.5),
    "for_ms": Whole(1_000, 7 * 86_400_000, default=600_000),
}
_STEADY: Final[tuple[tuple[float, SpecJson], ...]] = (
    (0.02, {"action": "drop", "where": "private"}),
    (0.05, {"action": "delay", "where": "private", "delay_ms": [5, 800]}),
    (0.04, {"action": "duplicate", "where": "private"}),
    (0.04, {"action": "reorder", "where": "private"}),
    (0.02, {"action": "delay", "where": "public", "delay_ms": [5, 300]}),
    (0.005, {"action": "reorder", "where": "public"}),
    (0.005, {"action": "duplicate", "where": "public"}),
    (0.01, {"action": "lose_update"}),
    (0.04, {"action": "refuse", "endpoint": "order*", "code": 10016}),
    (0.02, {"action": "refuse", "endpoint": "order*", "code": 10000, "performed": True}),
    (0.05, {"action": "accept_silently", "endpoint": "order?create"}),
    (0.03, {"action": "swallow", "endpoint": "order*"}),
    (0.10, {"action": "answer_slowly", "endpoint": "order*", "delay_ms": [20, 1_500]}),
    (0.02, {"action": "answer_slowly", "where": "rest", "delay_ms": [20, 1_500]}),
    (0.02, {"action": "http", "where": "rest", "status": 504}),
)
"""Probability at full intensity, and the fault."""
_FASTEST_MS: Final = 4_000
"""Mean pause between two larger events at full intensity."""
_STORM_MS: Final = (500, 3_000)
_LARGEST_SKEW_MS: Final = 700

Drawn = Callable[[str, tuple[int, int]], int]
_MOMENTS: Final[tuple[Callable[[Drawn], SpecJson], ...]] = (
    lambda _: {"action": "close_sockets", "where": "public"},
    lambda _: {"action": "close_sockets", "where": "private", "abrupt": True},
    lambda _: {"action": "close_sockets", "where": "trade", "abrupt": True},
    lambda _: {"action": "close_sockets", "share": 0.5},
    lambda _: {"action": "restart_books"},
    lambda drawn: {"action": "rate_limit", "endpoint": "order?create", "for_ms": drawn("storm", _STORM_MS)},
    lambda drawn: {
        "action": "clock_skew",
        "skew_ms": drawn("skew", (1, _LARGEST_SKEW_MS)),
        "for_ms": drawn("skewed", (1_000, 10_000)),
    },
    lambda drawn: {
        "action": "restart",
        "drain_ms": drawn("drain", (0, 1_000)),
        "down_ms": drawn("down", (200, 3_000)),
        "down_answer": ("nothing", 502, 503)[drawn("answer", (0, 2))],
    },
)


def chaos(seed: int, intensity: float = 0.5, for_ms: int = 600_000) -> list[SpecJson]:
    """Give the schedule as faults to be added at once; none at an intensity of 0."""
    if not intensity:
        return []
    faults: list[SpecJson] = [
        {**fault, "probability": round(likely * intensity, 6), "for_ms": for_ms, "seed": seed + number}
        for number, (likely, fault) in enumerate(_STEADY)
    ]
    at_ms, turn = 0.0, 0
    while True:
        turn += 1
        at_ms += pause(_FASTEST_MS / intensity, seed, turn, "when")
        if at_ms >= for_ms:
            return faults
        which = int(fraction(seed, turn, "what") * len(_MOMENTS))
        drawn = _drawn(seed, turn)
        faults.append({**_MOMENTS[which](drawn), "from_ms": int(at_ms), "seed": seed + turn})


def read_chaos(sent: Any) -> list[SpecJson]:
    """Read `{"seed", "intensity", "for_ms"}` and give its schedule.

    Raises:
        BadFaultError: the first thing that is wrong.
    """
    if not isinstance(sent, dict):
        raise BadFaultError("chaos", "is not a JSON object", 'give one such as {"seed": 7, "intensity": 0.5}')
    unknown = next((name for name in sent if name not in _FIELDS), None)
    if unknown is not None:
        raise BadFaultError(f"chaos.{unknown}", "is not a field of chaos", f"use {', '.join(_FIELDS)}")
    if sent.get("seed") is None:
        raise BadFaultError("chaos.seed", "is missing", f"give {_FIELDS['seed'].words}")
    given: Mapping[str, Any] = {
        name: kind.read(f"chaos.{name}", sent[name]) if sent.get(name) is not None else kind.default
        for name, kind in _FIELDS.items()
    }
    return chaos(given["seed"], given["intensity"], given["for_ms"])


def _drawn(seed: int, turn: int) -> Drawn:
    return lambda purpose, span: within(span, seed, turn, purpose)
