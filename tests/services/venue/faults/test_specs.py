from __future__ import annotations

import pytest

from services.venue.faults.catalogue import ACTIONS
from services.venue.faults.kinds import BadFaultError
from services.venue.faults.specs import MOST_AT_ONCE, read_specs
from tests.services.venue.faults.little_venue import VOCABULARY


def refused(sent: object) -> BadFaultError:
    with pytest.raises(BadFaultError) as caught:
        read_specs(sent, VOCABULARY)
    return caught.value


@pytest.mark.parametrize(
    ("sent", "field", "rule", "remedy"),
    [
        ([], "faults", "0 were given", "list of 1 to 10000"),
        ([{"action": "drop"}] * (MOST_AT_ONCE + 1), "faults", "10001 were given", "list of 1 to 10000"),
        ("drop", "fault", "is not a JSON object", '{"action"'),
        ([{"action": "drop"}, 7], "faults[1]", "is not a JSON object", '{"action"'),
        ({}, "fault.action", "is missing", "give one of refuse, "),
        ({"action": "explode"}, "fault.action", "'explode' is not an action", "give one of refuse, "),
        ({"action": 7}, "fault.action", "7 is not an action", "give one of refuse, "),
        ({"action": "drop", "speed": 1}, "fault.speed", "is not a field of drop", "use one of where, topic, kind"),
        (
            {"action": "drop", "probability": 1.5},
            "fault.probability",
            "1.5 is not a number above 0, at most 1",
            "give a",
        ),
        (
            {"action": "drop", "probability": True},
            "fault.probability",
            "True is not a number above 0, at most 1",
            "give a",
        ),
        ({"action": "delay", "delay_ms": -1}, "fault.delay_ms", "-1 is not a whole number from 0 to", "[from, to]"),
        ({"action": "delay", "delay_ms": [9, 3]}, "fault.delay_ms", "[9, 3] is not a whole number", "[from, to]"),
        ({"action": "delay", "delay_ms": [1, 2, 3]}, "fault.delay_ms", "[1, 2, 3] is not", "[from, to]"),
        ({"action": "delay"}, "fault.delay_ms", "is missing", "give a whole number from 0"),
        ({"action": "drop", "count": 0}, "fault.count", "0 is not a whole number from 1", "give a whole number"),
        ({"action": "drop", "count": 1.5}, "fault.count", "1.5 is not a whole number", "give a whole number"),
        ({"action": "drop", "from_ms": -5}, "fault.from_ms", "-5 is not a whole number from 0", "give a whole"),
        ({"action": "drop", "for_ms": 0}, "fault.for_ms", "0 is not a whole number from 1", "give a whole number"),
        ({"action": "drop", "where": "rest"}, "fault.where", "'rest' is not one of public, private", "give one of"),
        ({"action": "drop", "kind": "big"}, "fault.kind", "'big' is not one of snapshot, delta", "give one of"),
        ({"action": "drop", "topic": ""}, "fault.topic", "'' is not a topic", "give a topic"),
        ({"action": "drop", "topic": "*a" * 251}, "fault.topic", "has 502 characters", "at most 500"),
        ({"action": "drop", "topic": "books.*"}, "fault.topic", "is no topic that drop can strike", "give one such"),
        ({"action": "drop", "where": "public", "topic": "wallet"}, "fault.topic", "is no topic", "orderbook"),
        ({"action": "drop", "key": "nobody"}, "fault.key", "'nobody' is not an API key of this venue", "give an"),
        ({"action": "drop", "uid": "1"}, "fault.uid", "'1' is not an account (uid) of this venue", "give an"),
        ({"action": "drop", "where": "public", "key": "paper-router"}, "fault.key", "nobody has", "leave key out"),
        (
            {"action": "swallow", "endpoint": "connect", "uid": "100001"},
            "fault.uid",
            "nobody has authenticated there",
            "leave uid out",
        ),
        (
            {"action": "drop", "where": "private", "kind": "delta"},
            "fault.kind",
            "there are no frames of kind delta on private",
            "event, reply",
        ),
        ({"action": "refuse"}, "fault.code", "is missing", "give a whole number from -1"),
        ({"action": "refuse", "code": 0}, "fault.code", "0 is not a whole number from -1", "but not 0"),
        ({"action": "refuse", "code": "10006"}, "fault.code", "'10006' is not a whole number", "give a whole"),
        ({"action": "refuse", "code": 1, "message": ""}, "fault.message", "'' is not the text", "give the text"),
        (
            {"action": "refuse", "code": 1, "endpoint": "order/destroy"},
            "fault.endpoint",
            "'order/destroy' is nothing that refuse can strike",
            "order/create",
        ),
        (
            {"action": "refuse", "code": 1, "where": "trade", "endpoint": "order/create"},
            "fault.endpoint",
            "'order/create' is nothing that refuse can strike",
            "order.create",
        ),
        ({"action": "http", "status": 200}, "fault.status", "200 is not a whole number from 400 to 599", "give"),
        ({"action": "accept_silently", "surface_ms": 5000}, "fault.surface_ms", "5000 is not", "from 0 to 4900"),
        ({"action": "refuse", "code": 1, "performed": 1}, "fault.performed", "1 is not true or false", "give true"),
        ({"action": "lose_update", "topic": "tickers.*"}, "fault.topic", "is no topic that lose_update", "orderbook"),
        ({"action": "maintenance"}, "fault.for_ms", "is missing", "give a whole number from 1"),
        ({"action": "restart", "for_ms": 5}, "fault.for_ms", "is not a field of restart", "drain_ms"),
        ({"action": "restart", "down_answer": 404}, "fault.down_answer", "404 is not one of cut", "502, 503"),
        (
            {"action": "close_sockets", "share": 2},
            "fault.share",
            "2 is not a number above 0, at most 1",
            "give a number",
        ),
        ({"action": "clock_skew", "skew_ms": 0}, "fault.skew_ms", "0 is not a whole number", "but not 0"),
    ],
)
def test_what_is_wrong_is_named_with_field_rule_and_remedy(sent, field, rule, remedy) -> None:
    error = refused(sent)
    assert error.field == field
    assert rule in error.rule
    assert remedy in error.remedy
    assert str(error) == f"{error.field}: {error.rule}; {error.remedy}"


def test_a_fault_describes_itself_as_it_was_asked_for() -> None:
    sent = {"action": "delay", "where": "public", "topic": "orderbook.*", "delay_ms": [5, 9], "count": 3, "seed": 4}
    (spec,) = read_specs(sent, VOCABULARY)
    assert spec.describe() == {**sent, "probability": 1.0, "from_ms": 0}
    assert read_specs(spec.describe(), VOCABULARY) == [spec]


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_says_in_a_sentence_what_it_does(action) -> None:
    assert ACTIONS[action].about.endswith(".")
