"""No fault is taken in that can have no effect: every action in every scope with every value, asked about all that the venue has."""

from __future__ import annotations

import itertools
from fnmatch import fnmatchcase
from typing import Any

import pytest

from services.venue.core import VenueCore
from services.venue.faults.catalogue import ACTIONS, CHANGING, FRAME_KINDS, PUBLIC, Seam
from services.venue.faults.core import Faults
from services.venue.faults.fault import Frame, Request
from services.venue.faults.kinds import REQUIRED, BadFaultError, Choice, Flag, Kind
from services.venue.faults.specs import Spec, read_specs
from services.venue.faults.steps import RestartBooks
from services.venue.faults.verdicts import Performed
from tests.services.venue.faults.little_venue import NOW_NS, OWNERS, VOCABULARY
from undertow.markets.instruments import instruments_for

LATER_NS = NOW_NS + 10_000_000_000
CHANGES = {
    "order/create",
    "order/cancel",
    "account/set-margin-mode",
    "order.create",
    "order.cancel",
    "auth",
    "subscribe",
}
NEEDED = {"code": 10016, "status": 502, "delay_ms": 5, "skew_ms": 5, "for_ms": 1_000}
WHOSE: list[dict[str, str]] = [
    {},
    {"key": "paper-router"},
    {"uid": "200001"},
    {"key": "other", "uid": "200001"},
    {"key": "other", "uid": "100001"},
]
WHERE = (None, "rest", "trade", "private", "public")
ENDPOINTS = (
    None,
    "*",
    "order/*",
    "order?create",
    "position/list",
    "market/*",
    "account/*",
    "auth",
    "sub*",
    "con*",
    "nothing",
)
TOPICS = (None, "order*", "orderbook.*", "*.1.*", "orderbook.77.BTCUSDT", "priceLimit.*", "auth", "wallet", "nothing")
KINDS = (None, *FRAME_KINDS[PUBLIC])
REQUESTS = [
    Request(place, endpoint, *(("", "") if endpoint == "connect" or place == "public" else owned), "127.0.0.1")
    for place, endpoints in VOCABULARY.endpoints.items()
    for endpoint in endpoints
    for owned in OWNERS.items()
]
FRAMES = [
    Frame(place, topic, kind, *(("", "") if place == "public" else owned))
    for place, topics in VOCABULARY.topics.items()
    for topic, kinds in topics.items()
    for kind in kinds
    for owned in OWNERS.items()
]
BOOKS = {topic for topic in VOCABULARY.topics["public"] if topic.startswith("orderbook.")}


def fields_of(word: str) -> list[dict[str, Any]]:
    """Every combination of scope and values of an action, as it is sent."""
    action = ACTIONS[word]
    needed = {name: NEEDED[name] for name, kind in action.values.items() if kind.default is REQUIRED}
    if word == "maintenance":
        needed["for_ms"] = 1_000
    match action.seam:
        case Seam.REQUEST:
            scopes = [
                {"where": w, "endpoint": e, **whose} for w, e, whose in itertools.product(WHERE, ENDPOINTS, WHOSE)
            ]
        case Seam.FRAME:
            chosen = itertools.product(WHERE, TOPICS, KINDS, WHOSE)
            scopes = [{"where": w, "topic": t, "kind": k, **whose} for w, t, k, whose in chosen]
        case Seam.BROADCAST:
            scopes = [{"where": w, "topic": t} for w, t in itertools.product(WHERE, TOPICS)]
        case Seam.TIME if word == "close_sockets":
            scopes = [{"where": w, **whose} for w, whose in itertools.product(WHERE, WHOSE)]
        case Seam.TIME:
            scopes = [{"topic": t} for t in TOPICS] if word == "restart_books" else [{}]
    own = [{}, *({name: value} for name, kind in action.values.items() for value in tried(kind))]
    return [
        {"action": word, **needed, **{k: v for k, v in scope.items() if v is not None}, **more}
        for scope in scopes
        for more in own
    ]


def tried(kind: Kind) -> list[Any]:
    return [True] if isinstance(kind, Flag) else list(kind.values) if isinstance(kind, Choice) else []


def accepted(sent: dict[str, Any]) -> Spec | None:
    try:
        (spec,) = read_specs(sent, VOCABULARY)
    except BadFaultError:
        return None
    return spec


def effects(spec: Spec) -> list[Any]:
    """What it does to anything that the venue has."""
    made = Faults()
    made.add([spec], NOW_NS)
    match ACTIONS[spec.action].seam:
        case Seam.REQUEST:
            struck = [(each, made.on_request(each, NOW_NS)) for each in REQUESTS]
            if spec.values.get("performed") or spec.action == "accept_silently":
                return [
                    v for each, v in struck if v and v.performed is not Performed.NEVER and each.endpoint in CHANGES
                ]
            return [verdict for _, verdict in struck if verdict is not None]
        case Seam.FRAME:
            return [verdict for each in FRAMES if (verdict := made.on_frame(each, NOW_NS)) is not None]
        case Seam.BROADCAST:
            return [each for each in FRAMES if each.kind == "delta" and made.loses(each.topic, NOW_NS)]
        case Seam.TIME:
            return [step for step in made.due(LATER_NS) if not isinstance(step, RestartBooks) or _meets_a_book(step)]


def _meets_a_book(step: RestartBooks) -> bool:
    return any(fnmatchcase(topic, step.topic) for topic in BOOKS)


@pytest.mark.parametrize("word", ACTIONS)
def test_every_fault_has_an_effect_or_is_refused(word) -> None:
    idle = [sent for sent in fields_of(word) if (spec := accepted(sent)) and not effects(spec)]
    assert idle == []


@pytest.mark.parametrize(
    "word", [word for word, action in ACTIONS.items() if action.seam in {Seam.REQUEST, Seam.FRAME}]
)
def test_nothing_is_refused_that_would_have_an_effect(word) -> None:
    """Whoever is refused for its reach strikes nothing where it is taken in unchecked."""
    wronged = []
    for sent in fields_of(word):
        if accepted(sent) is not None or sent.get("where") not in {None, *ACTIONS[word].places}:
            continue
        own = {name: _read(kind, sent, name) for name, kind in ACTIONS[word].values.items()}
        shared = {name: value for name, value in sent.items() if name not in own and name != "action"}
        if effects(Spec(word, **shared, values=own)):
            wronged.append(sent)
    assert wronged == []


def _read(kind: Kind, sent: dict[str, Any], name: str) -> Any:
    return kind.read(name, sent[name]) if name in sent else kind.default


def test_what_counts_as_a_change_is_what_the_core_takes_as_one() -> None:
    core = VenueCore(instruments_for(["BTCUSDT"]), [], [])
    changing = {path.removeprefix("/v5/") for path in core._posts} - {
        "order/pre-check",
        "order/disconnected-cancel-all",
    }
    named = {path.removeprefix("/v5/") for path in core.paths}
    assert {path for path in named if any(fnmatchcase(path, each) for each in CHANGING["rest"])} == changing


@pytest.mark.parametrize(
    ("sent", "field", "remedy"),
    [
        ({"action": "refuse", "code": 1, "endpoint": "position/list", "performed": True}, "performed", "leave perform"),
        ({"action": "http", "status": 500, "endpoint": "connect", "performed": True}, "performed", "leave performed"),
        ({"action": "hang_up", "where": "private", "performed": True}, "performed", "such as order/create or auth"),
        ({"action": "accept_silently", "endpoint": "order/realtime"}, "endpoint", "order/create"),
        ({"action": "http", "status": 500, "where": "trade", "key": "other"}, "key", "change where it strikes"),
        ({"action": "drop", "topic": "orderbook.*", "key": "other"}, "key", "leave key out"),
        ({"action": "drop", "topic": "order", "kind": "delta"}, "kind", "give one of event"),
        ({"action": "lose_update", "topic": "orderbook.1.*"}, "topic", "orderbook.200.BTCUSDT"),
        ({"action": "drop", "key": "other", "uid": "100001"}, "uid", "leave uid or key out"),
        ({"action": "drop", "probability": 0}, "probability", "above 0"),
        ({"action": "delay", "delay_ms": 0}, "delay_ms", "but not 0 alone"),
        ({"action": "answer_slowly", "delay_ms": [0, 0]}, "delay_ms", "but not 0 alone"),
        ({"action": "close_sockets", "share": 0}, "share", "above 0"),
        ({"action": "close_sockets", "abrupt": True, "close_code": 4001}, "close_code", "leave close_code or abrupt"),
        ({"action": "disconnect", "abrupt": True, "close_code": 4001}, "close_code", "leave close_code or abrupt"),
        ({"action": "restart", "down_ms": 0, "down_answer": 503}, "down_answer", "raise down_ms"),
    ],
)
def test_what_keeps_a_fault_from_having_an_effect_is_named(sent, field, remedy) -> None:
    with pytest.raises(BadFaultError) as caught:
        read_specs(sent, VOCABULARY)
    assert caught.value.field == f"fault.{field}"
    assert remedy in caught.value.remedy
