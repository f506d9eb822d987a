"""From JSON to faults: everything is checked before anything is applied, and what is wrong is said with field, rule and remedy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.venue.faults.catalogue import ACTIONS, FRAME_KINDS, PUBLIC, Action, Seam
from services.venue.faults.kinds import REQUIRED, BadFaultError, Choice, Fraction, Kind, Text, Whole
from services.venue.faults.reach import Vocabulary, check_reach

MOST_AT_ONCE: Final = 10_000
_LATEST_MS: Final = 7 * 86_400_000
_ACTION: Final = "action"
_FROM: Final[Mapping[str, Kind]] = {"from_ms": Whole(0, _LATEST_MS, default=0), "seed": Whole(0, 2**53, default=None)}
_FOR: Final[Mapping[str, Kind]] = {"for_ms": Whole(1, _LATEST_MS, default=None)}
_CHANCE: Final[Mapping[str, Kind]] = {
    **_FROM,
    **_FOR,
    "probability": Fraction(default=1.0, is_above_zero=True),
    "count": Whole(1, 2**53, default=None),
}


@dataclass(frozen=True, slots=True)
class Spec:
    """A fault as it was asked for; None matches everything.

    Attributes:
        endpoint: pattern of a path without `/v5/` or of a socket's operation.
        topic: pattern of a topic, or of the operation that a reply answers.
        kind: of a frame.
        probability: of a hit, drawn anew for each candidate.
        count: of hits, after which it is over.
        from_ms: market ms after it was added.
        for_ms: how long it lasts.
        seed: of its draws; None means the venue's own.
        values: the action's own.
    """

    action: str
    where: str | None = None
    endpoint: str | None = None
    topic: str | None = None
    kind: str | None = None
    key: str | None = None
    uid: str | None = None
    probability: float = 1.0
    count: int | None = None
    from_ms: int = 0
    for_ms: int | None = None
    seed: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Give it as it is asked for, without what was left open."""
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in self.values.items()}
        common = {name: getattr(self, name) for name in _COMMON}
        return {name: value for name, value in {**common, **own}.items() if value is not None}


_COMMON: Final = tuple(name for name in Spec.__dataclass_fields__ if name != "values")


def read_specs(sent: Any, vocabulary: Vocabulary) -> list[Spec]:
    """Read one fault or a list of them.

    Raises:
        BadFaultError: the first thing that is wrong.
    """
    several = isinstance(sent, list)
    items = sent if isinstance(sent, list) else [sent]
    if not 1 <= len(items) <= MOST_AT_ONCE:
        raise BadFaultError("faults", f"{len(items)} were given", f"give one fault, or a list of 1 to {MOST_AT_ONCE}")
    return [_spec(f"faults[{number}]" if several else "fault", item, vocabulary) for number, item in enumerate(items)]


def _spec(name: str, item: Any, vocabulary: Vocabulary) -> Spec:
    if not isinstance(item, dict):
        raise BadFaultError(name, "is not a JSON object", 'give one such as {"action": "drop", "topic": "order"}')
    word = item.get(_ACTION)
    action = ACTIONS.get(word) if isinstance(word, str) else None
    if action is None:
        rule = f"{word!r} is not an action" if _ACTION in item else "is missing"
        raise BadFaultError(f"{name}.{_ACTION}", rule, f"give one of {', '.join(ACTIONS)}")
    fields = {**_shared(str(word), action, vocabulary), **action.values}
    for given in item:
        if given not in fields and given != _ACTION:
            raise BadFaultError(
                f"{name}.{given}",
                f"is not a field of {word}",
                f"leave it out or use one of {', '.join(fields)}",
            )
    read: dict[str, Any] = {}
    for field_name, kind in fields.items():
        if item.get(field_name) is not None:
            read[field_name] = kind.read(f"{name}.{field_name}", item[field_name])
        elif kind.default is REQUIRED:
            raise BadFaultError(f"{name}.{field_name}", "is missing", f"give {kind.words}")
        else:
            read[field_name] = kind.default
    own = {field_name: read.pop(field_name) for field_name in action.values}
    spec = Spec(action=str(word), **read, values=own)
    check_reach(name, spec, action, vocabulary)
    return spec


def _shared(word: str, action: Action, vocabulary: Vocabulary) -> dict[str, Kind]:
    who = {
        "key": Text(knows=lambda key: vocabulary.owner_of(key) is not None, what="an API key of this venue"),
        "uid": Text(knows=vocabulary.has_uid, what="an account (uid) of this venue"),
    }
    where = {"where": Choice(tuple(action.places), default=None)}
    topic = {"topic": Text(what="a topic or a pattern with *")}
    match action.seam:
        case Seam.REQUEST:
            return {**where, "endpoint": Text(what="an endpoint or a pattern with *"), **who, **_CHANCE}
        case Seam.FRAME:
            return {**where, **topic, "kind": Choice(FRAME_KINDS[PUBLIC], default=None), **who, **_CHANCE}
        case Seam.BROADCAST:
            return {**where, **topic, **_CHANCE}
        case Seam.TIME:
            return _timed(word, {**where, **who}, topic)


def _timed(word: str, whose: Mapping[str, Kind], topic: Mapping[str, Kind]) -> dict[str, Kind]:
    match word:
        case "close_sockets":
            return {**whose, **_FROM}
        case "restart_books":
            return {**topic, **_FROM}
        case "maintenance":
            return {**_FROM, "for_ms": Whole(1, _LATEST_MS)}
        case "clock_skew":
            return {**_FROM, **_FOR}
        case _:
            return dict(_FROM)
