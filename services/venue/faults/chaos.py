"""Ready-made schedules of faults by scenario, seed and intensity: the same three give the same schedule. Pure.

Over the whole length small faults strike at random, each with its probability; now and then something larger happens at a moment of its
own. `mixed` leaves out what ends any run: the ten minutes of a 403, maintenance, and a clock that is off by more than the time rule allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.venue.faults.catalogue import CUT, NOTHING
from services.venue.faults.draw import fraction, pause, within
from services.venue.faults.kinds import BadFaultError, Choice, Fraction, Kind, Whole

SpecJson = dict[str, Any]
Drawn = Callable[[str, tuple[int, int]], int]
Steady = tuple[float, SpecJson]
Moment = Callable[[Drawn], SpecJson]
MIXED: Final = "mixed"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One theme.

    Attributes:
        steady: probability at full intensity, and the fault.
        moments: what may happen at a moment.
        every_ms: mean pause between two moments at full intensity.
    """

    steady: tuple[Steady, ...] = ()
    moments: tuple[Moment, ...] = ()
    every_ms: float = 4_000.0


_LINE: Final[tuple[Steady, ...]] = (
    (0.02, {"action": "drop", "where": "private"}),
    (0.05, {"action": "delay", "where": "private", "delay_ms": [5, 800]}),
    (0.04, {"action": "duplicate", "where": "private"}),
    (0.04, {"action": "reorder", "where": "private"}),
    (0.02, {"action": "delay", "where": "public", "delay_ms": [5, 300]}),
    (0.005, {"action": "reorder", "where": "public"}),
    (0.005, {"action": "duplicate", "where": "public"}),
    (0.01, {"action": "lose_update"}),
)
_ANSWERS: Final[tuple[Steady, ...]] = (
    (0.04, {"action": "refuse", "endpoint": "order*", "code": 10016}),
    (0.02, {"action": "refuse", "endpoint": "order*", "code": 10000, "performed": True}),
    (0.05, {"action": "accept_silently", "endpoint": "order?create"}),
    (0.03, {"action": "swallow", "endpoint": "order*"}),
    (0.01, {"action": "hang_up", "endpoint": "order*", "performed": True}),
    (0.02, {"action": "http", "where": "rest", "status": 504}),
)
_SLOW: Final[tuple[Steady, ...]] = (
    (0.10, {"action": "answer_slowly", "endpoint": "order*", "delay_ms": [20, 1_500]}),
    (0.02, {"action": "answer_slowly", "where": "rest", "delay_ms": [20, 1_500]}),
)
_PUBLIC_CLOSINGS: Final[tuple[Moment, ...]] = (
    lambda _: {"action": "close_sockets", "where": "public"},
    lambda _: {"action": "close_sockets", "where": "public", "abrupt": True},
)
_CLOSINGS: Final[tuple[Moment, ...]] = (
    _PUBLIC_CLOSINGS[0],
    lambda _: {"action": "close_sockets", "where": "private", "abrupt": True},
    lambda _: {"action": "close_sockets", "where": "trade", "abrupt": True},
    lambda _: {"action": "close_sockets", "share": 0.5},
)


_FEED: Final[tuple[Steady, ...]] = (
    (0.02, {"action": "drop", "where": "public"}),
    (0.02, {"action": "delay", "where": "public", "delay_ms": [5, 800]}),
    (0.02, {"action": "duplicate", "where": "public"}),
    (0.02, {"action": "reorder", "where": "public"}),
    (0.2, {"action": "drop", "where": "public", "topic": "orderbook.*", "kind": "snapshot"}),
    (0.2, {"action": "reorder", "where": "public", "topic": "orderbook.*", "kind": "snapshot"}),
    (0.002, {"action": "disconnect", "where": "public"}),
    (0.02, {"action": "lose_update"}),
    (0.2, {"action": "answer_slowly", "where": "public", "endpoint": "connect", "delay_ms": [50, 4_000]}),
    (0.2, {"action": "ban", "where": "public", "endpoint": "connect"}),
    (0.05, {"action": "swallow", "where": "public", "endpoint": "connect"}),
    (0.02, {"action": "refuse", "where": "public", "endpoint": "subscribe", "code": 10016}),
)


def _storm(drawn: Drawn) -> SpecJson:
    return {"action": "rate_limit", "endpoint": "order?create", "for_ms": drawn("storm", (500, 3_000))}


def _books(_drawn: Drawn) -> SpecJson:
    return {"action": "restart_books"}


def _restart(drawn: Drawn) -> SpecJson:
    spans = {"drain_ms": drawn("drain", (0, 1_000)), "down_ms": drawn("down", (200, 3_000))}
    return {"action": "restart", **spans, "down_answer": (CUT, NOTHING, 502, 503)[drawn("answer", (0, 3))]}


def _skew(largest_ms: int) -> Moment:
    def skewed(drawn: Drawn) -> SpecJson:
        size = drawn("skew", (largest_ms // 10, largest_ms))
        sign = (-1, 1)[drawn("sign", (0, 1))]
        return {"action": "clock_skew", "skew_ms": sign * size, "for_ms": drawn("skewed", (1_000, 10_000))}

    return skewed


def _maintenance(longest_ms: int) -> Moment:
    return lambda drawn: {"action": "maintenance", "for_ms": drawn("works", (1_000, longest_ms))}


SCENARIOS: Final[Mapping[str, Scenario]] = {
    MIXED: Scenario((*_LINE, *_ANSWERS, *_SLOW), (*_CLOSINGS, _storm, _books, _restart, _skew(700))),
    "bad_line": Scenario(_LINE, (*_CLOSINGS, _books)),
    "feed": Scenario(_FEED, (*_PUBLIC_CLOSINGS, _books, _restart, _maintenance(5_000)), every_ms=3_000.0),
    "lost_answers": Scenario(_ANSWERS),
    "overload": Scenario(_SLOW, (_storm,)),
    "restarts": Scenario((), (_restart,), every_ms=10_000.0),
    "wrong_clock": Scenario((), (_skew(10_000),), every_ms=10_000.0),
    "maintenance": Scenario((), (_maintenance(20_000),), every_ms=30_000.0),
}
_FIELDS: Final[Mapping[str, Kind]] = {
    "seed": Whole(0, 2**31),
    "scenario": Choice(tuple(SCENARIOS), default=MIXED),
    "intensity": Fraction(default=0.5),
    "for_ms": Whole(1_000, 6 * 3_600_000, default=600_000),
}


def chaos(seed: int, intensity: float = 0.5, for_ms: int = 600_000, scenario: str = MIXED) -> list[SpecJson]:
    """Give a schedule as faults to be added at once; none at an intensity of 0."""
    if not intensity:
        return []
    theme = SCENARIOS[scenario]
    faults: list[SpecJson] = [
        {**fault, "probability": round(likely * intensity, 6), "for_ms": for_ms, "seed": seed + number}
        for number, (likely, fault) in enumerate(theme.steady)
        if round(likely * intensity, 6)
    ]
    at_ms, turn = 0.0, 0
    while theme.moments:
        turn += 1
        at_ms += pause(theme.every_ms / intensity, seed, turn, "when")
        if at_ms >= for_ms:
            break
        which = int(fraction(seed, turn, "what") * len(theme.moments))
        faults.append({**theme.moments[which](_drawn(seed, turn)), "from_ms": int(at_ms), "seed": seed + turn})
    return faults


def read_chaos(sent: Any) -> list[SpecJson]:
    """Read `{"seed", "scenario", "intensity", "for_ms"}` and give its schedule.

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
    return chaos(given["seed"], given["intensity"], given["for_ms"], given["scenario"])


def _drawn(seed: int, turn: int) -> Drawn:
    return lambda purpose, span: within(span, seed, turn, purpose)
