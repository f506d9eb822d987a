"""Whether a fault could ever strike at this venue, and each of its values ever matter; what could not is refused. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from services.venue.faults.catalogue import CHANGING, CONNECT, DELTA, PUBLIC, Action, Seam
from services.venue.faults.kinds import BadFaultError

if TYPE_CHECKING:
    from services.venue.faults.specs import Spec

_EVERYTHING: Final = "*"
Reached = Collection[tuple[str, str]]
"""Places and the endpoints or topics there."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What this venue has.

    Attributes:
        endpoints: by place: paths without `/v5/` for rest, operations for the sockets.
        topics: by place: topics, and the operations that replies answer, each with the kinds of its frames.
        owner_of: whose an API key is; None where there is no such key.
        has_uid: whether there is such an account.
    """

    endpoints: Mapping[str, Collection[str]]
    topics: Mapping[str, Mapping[str, Collection[str]]]
    owner_of: Callable[[str], str | None]
    has_uid: Callable[[str], bool]


def check_reach(name: str, spec: Spec, action: Action, vocabulary: Vocabulary) -> None:
    """Refuse what could never strike, and what would change nothing where it strikes.

    Raises:
        BadFaultError: which field keeps it from it.
    """
    places = [place for place in action.places if spec.where in {None, place}]
    match action.seam:
        case Seam.REQUEST:
            reached = _endpoints(name, spec, action, places, vocabulary)
            _check_performed(name, spec, reached)
            _check_whose(name, spec, (place for place, endpoint in reached if endpoint != CONNECT), vocabulary)
        case Seam.FRAME | Seam.BROADCAST:
            _check_whose(
                name, spec, (place for place, _ in _topics(name, spec, action, places, vocabulary)), vocabulary
            )
        case Seam.TIME:
            if spec.topic is not None:
                _topics(name, spec, action, places, vocabulary)
            _check_whose(name, spec, places, vocabulary)
    _check_pairs(name, spec)


def _endpoints(name: str, spec: Spec, action: Action, places: Iterable[str], vocabulary: Vocabulary) -> Reached:
    strikable = [
        (place, endpoint)
        for place in places
        for endpoint in vocabulary.endpoints[place]
        if _matches_any(endpoint, action.places[place])
    ]
    reached = [each for each in strikable if fnmatchcase(each[1], spec.endpoint or _EVERYTHING)]
    if not reached:
        raise BadFaultError(
            f"{name}.endpoint",
            f"{spec.endpoint!r} is nothing that {spec.action} can strike",
            f"give one of {', '.join(sorted({endpoint for _, endpoint in strikable}))}, "
            "or a pattern with * that matches some",
        )
    return reached


def _topics(name: str, spec: Spec, action: Action, places: Iterable[str], vocabulary: Vocabulary) -> Reached:
    strikable = [
        (place, topic, kinds)
        for place in places
        for topic, kinds in vocabulary.topics[place].items()
        if _matches_any(topic, action.places[place]) and (action.seam is not Seam.BROADCAST or DELTA in kinds)
    ]
    meant = [each for each in strikable if fnmatchcase(each[1], spec.topic or _EVERYTHING)]
    if not meant:
        examples = {topic.partition(".")[0]: topic for _, topic, _ in reversed(strikable)}
        raise BadFaultError(
            f"{name}.topic",
            f"{spec.topic!r} is no topic that {spec.action} can strike",
            f"give one such as {', '.join(sorted(examples.values()))}, or a pattern with * that matches some",
        )
    reached = [(place, topic) for place, topic, kinds in meant if spec.kind in {None, *kinds}]
    if not reached:
        there = sorted({kind for _, _, kinds in meant for kind in kinds})
        raise BadFaultError(
            f"{name}.kind",
            f"there are no frames of kind {spec.kind} on {spec.topic or spec.where}",
            f"give one of {', '.join(there)}",
        )
    return reached


def _check_performed(name: str, spec: Spec, reached: Reached) -> None:
    if spec.values.get("performed") and not any(
        _matches_any(endpoint, CHANGING.get(place, ())) for place, endpoint in reached
    ):
        raise BadFaultError(
            f"{name}.performed",
            "nothing that it strikes changes anything, so nothing can be done all the same",
            "leave performed out, or strike a request that changes something, such as order/create or auth",
        )


def _check_whose(name: str, spec: Spec, places: Iterable[str], vocabulary: Vocabulary) -> None:
    given = [field for field in ("key", "uid") if getattr(spec, field) is not None]
    if given and not set(places) - {PUBLIC}:
        raise BadFaultError(
            f"{name}.{given[0]}",
            "nobody has authenticated there",
            f"leave {given[0]} out or change where it strikes",
        )
    if spec.key is not None and spec.uid is not None and vocabulary.owner_of(spec.key) != spec.uid:
        raise BadFaultError(f"{name}.uid", f"{spec.uid} is not whose {spec.key} is", "leave uid or key out")


def _check_pairs(name: str, spec: Spec) -> None:
    values = spec.values
    if values.get("abrupt") and values.get("close_code") is not None:
        raise BadFaultError(
            f"{name}.close_code", "who is cut abruptly is told no code", "leave close_code or abrupt out"
        )
    if values.get("down_answer") is not None and not values["down_ms"]:
        raise BadFaultError(
            f"{name}.down_answer", "with down_ms 0 nobody is answered so", "leave down_answer out or raise down_ms"
        )


def _matches_any(word: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(word, pattern) for pattern in patterns)
