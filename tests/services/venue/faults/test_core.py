"""What the pure faults promise: repeatable, exact in count and time, gone without a trace."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue.faults.core import Faults
from services.venue.faults.fault import Frame, Request
from services.venue.faults.specs import read_specs
from services.venue.faults.steps import AnnounceStatus, CloseSockets, ForgetClosedOrders, RestartBooks, SkewClock
from services.venue.faults.verdicts import Coded, Performed, Plain, RequestFault, Silence
from tests.services.venue.faults.little_venue import BOOK, CREATE, EVENT, MS, NOW_NS, VOCABULARY, faults

CHANCES = [
    {"action": "refuse", "code": 10016, "probability": 0.3},
    {"action": "accept_silently", "endpoint": "order*", "probability": 0.5},
    {"action": "answer_slowly", "delay_ms": [1, 900], "count": 4},
    {"action": "delay", "delay_ms": [0, 50], "probability": 0.4},
    {"action": "reorder", "topic": "order*", "probability": 0.7, "from_ms": 3},
    {"action": "lose_update", "probability": 0.5, "for_ms": 9},
]
SUBJECTS: list[Request | Frame] = [
    CREATE,
    dataclasses.replace(CREATE, where="trade", endpoint="order.create"),
    dataclasses.replace(CREATE, endpoint="position/list"),
    BOOK,
    EVENT,
]
walks = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=60)
rules = st.lists(st.sampled_from(CHANCES), min_size=1, max_size=6)


def asked(made: Faults, walk: list[tuple[int, int]]) -> list[Any]:
    """Ask along a walk of subjects and pauses."""
    verdicts: list[Any] = []
    now_ns = NOW_NS
    for which, pause_ms in walk:
        now_ns += pause_ms * MS
        subject = SUBJECTS[which]
        if isinstance(subject, Request):
            verdicts.append(made.on_request(subject, now_ns))
        else:
            lost = subject is BOOK and made.loses(subject.topic, now_ns)
            verdicts.append("lost" if lost else made.on_frame(subject, now_ns))
    return verdicts


@settings(deadline=None)
@given(rules, walks, st.integers(0, 5))
def test_the_same_seed_and_the_same_sequence_meet_the_same_faults(sent, walk, seed) -> None:
    first, second = faults(*sent, seed=seed), faults(*sent, seed=seed)
    assert asked(first, walk) == asked(second, walk)
    assert first.hits == second.hits
    assert sum(first.hits.values()) == sum(each["hits"] for each in first.listed(NOW_NS))


def test_another_seed_meets_other_faults() -> None:
    walk = [(0, 1)] * 60
    sent = {"action": "refuse", "code": 10016, "probability": 0.5}
    assert asked(faults(sent, seed=1), walk) != asked(faults(sent, seed=2), walk)
    assert asked(faults({**sent, "seed": 9}, seed=1), walk) == asked(faults({**sent, "seed": 9}, seed=2), walk)


@settings(deadline=None)
@given(rules, rules, walks, walks)
def test_removed_faults_leave_no_trace(kept, removed, before, after) -> None:
    plain, touched = faults(*kept), faults(*kept)
    names = [each.name for each in touched.add(read_specs(removed, VOCABULARY), NOW_NS)]
    for name in names:
        assert touched.remove(name, NOW_NS) is not None
    assert asked(plain, before + after) == asked(touched, before + after)


@settings(deadline=None)
@given(rules, walks)
def test_without_faults_nothing_is_watched_and_nothing_happens(sent, walk) -> None:
    made = faults(*sent)
    asked(made, walk)
    made.clear(NOW_NS)
    assert not any((made.watches_requests, made.watches_frames, made.watches_time))
    assert set(asked(made, walk)) <= {None}
    assert made.listed(NOW_NS) == []


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(0, 30))
def test_a_count_is_exact(count, asks) -> None:
    made = faults({"action": "refuse", "code": 10016, "count": count})
    struck = [made.on_request(CREATE, NOW_NS) is not None for _ in range(asks)]
    assert struck == [True] * min(count, asks) + [False] * (asks - count)
    assert made.watches_requests == (asks < count)


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 70))
def test_a_window_is_exact(from_ms, for_ms, at_ms) -> None:
    made = faults({"action": "drop", "from_ms": from_ms, "for_ms": for_ms})
    struck = made.on_frame(EVENT, NOW_NS + at_ms * MS) is not None
    assert struck == (from_ms <= at_ms < from_ms + for_ms)
    state = "waiting" if at_ms < from_ms else "active" if struck else "over"
    assert made.listed(NOW_NS + at_ms * MS)[0]["state"] == state


def test_a_probability_is_met_over_many() -> None:
    made = faults({"action": "drop", "probability": 0.25})
    struck = sum(made.on_frame(EVENT, NOW_NS) is not None for _ in range(4000))
    assert 900 <= struck <= 1100
    assert made.listed(NOW_NS)[0] | {"asked": 4000, "hits": struck} == made.listed(NOW_NS)[0]


@pytest.mark.parametrize(
    ("sent", "where", "struck"),
    [
        ({"where": "trade"}, {}, False),
        ({"where": "rest"}, {}, True),
        ({"endpoint": "order/create"}, {}, True),
        ({"endpoint": "order/c*"}, {"endpoint": "order/cancel"}, True),
        ({"endpoint": "order/create"}, {"endpoint": "order/cancel"}, False),
        ({"key": "paper-reader"}, {}, False),
        ({"key": "paper-router"}, {}, True),
        ({"uid": "100001"}, {}, True),
        ({"uid": "100001"}, {"uid": ""}, False),
    ],
)
def test_a_fault_strikes_whom_it_means(sent, where, struck) -> None:
    made = faults({"action": "refuse", "code": 10016, **sent})
    assert (made.on_request(dataclasses.replace(CREATE, **where), NOW_NS) is not None) is struck


@pytest.mark.parametrize(
    ("sent", "frame", "struck"),
    [
        ({"topic": "orderbook.*"}, BOOK, True),
        ({"topic": "orderbook.50.*"}, BOOK, False),
        ({"kind": "delta"}, BOOK, True),
        ({"kind": "snapshot"}, BOOK, False),
        ({"where": "private"}, BOOK, False),
        ({"where": "private", "topic": "order"}, EVENT, True),
        ({"uid": "100001"}, EVENT, True),
        ({"uid": "100001"}, BOOK, False),
    ],
)
def test_a_frame_fault_strikes_what_it_means(sent, frame, struck) -> None:
    assert (faults({"action": "drop", **sent}).on_frame(frame, NOW_NS) is not None) is struck


def test_where_several_would_strike_the_oldest_does() -> None:
    made = faults({"action": "refuse", "code": 10016, "count": 1}, {"action": "refuse", "code": 110007})
    codes = [made.on_request(CREATE, NOW_NS) for _ in range(2)]
    assert [fault.answer.code for fault in codes if fault and isinstance(fault.answer, Coded)] == [10016, 110007]


@pytest.mark.parametrize(
    ("sent", "verdict"),
    [
        ({"action": "refuse", "code": 10016}, RequestFault(Performed.NEVER, Coded(10016, "Server error."))),
        (
            {"action": "refuse", "code": 42, "message": "no", "performed": True},
            RequestFault(Performed.NOW, Coded(42, "no")),
        ),
        ({"action": "http", "status": 502}, RequestFault(Performed.NEVER, Plain(502, "502 Bad Gateway"))),
        ({"action": "http", "status": 599, "text": "x"}, RequestFault(Performed.NEVER, Plain(599, "x"))),
        ({"action": "swallow"}, RequestFault(Performed.NEVER, Silence())),
        ({"action": "hang_up"}, RequestFault(Performed.NEVER, Silence(hangs_up=True))),
        (
            {"action": "accept_silently", "surface_ms": 4900},
            RequestFault(Performed.LATE, Silence(), late_ns=4900 * MS),
        ),
        ({"action": "answer_slowly", "delay_ms": 7}, RequestFault(Performed.NOW, None, wait_ns=7 * MS)),
    ],
)
def test_an_action_becomes_its_verdict(sent, verdict) -> None:
    assert faults(sent).on_request(CREATE, NOW_NS) == verdict


@settings(deadline=None)
@given(st.integers(0, 4000), st.integers(0, 900), st.integers(0, 50))
def test_a_span_is_drawn_within_its_ends(lowest, more, seed) -> None:
    fault = faults({"action": "accept_silently", "surface_ms": [lowest, lowest + more]}, seed=seed)
    verdict = fault.on_request(CREATE, NOW_NS)
    assert verdict is not None
    assert lowest <= verdict.late_ns // MS <= lowest + more


def test_a_ban_holds_for_its_ten_minutes_for_its_address_only() -> None:
    made = faults({"action": "ban", "endpoint": "order/create", "count": 1})
    other = dataclasses.replace(CREATE, endpoint="market/time")
    elsewhere = dataclasses.replace(other, address="127.0.0.2")
    assert made.on_request(other, NOW_NS) is None
    banned = made.on_request(CREATE, NOW_NS)
    assert banned == RequestFault(Performed.NEVER, Plain(403, "403 Forbidden: access too frequent"))
    assert made.watches_requests
    assert made.on_request(other, NOW_NS + 600_000 * MS - 1) == banned
    assert made.on_request(elsewhere, NOW_NS + 1) is None
    assert made.on_request(other, NOW_NS + 600_000 * MS) is None
    assert not made.watches_requests


def test_a_ban_met_at_a_handshake_holds_for_requests_too_and_leaves_open_sockets_alone() -> None:
    made = faults({"action": "ban", "where": "public", "endpoint": "connect", "count": 1})
    knock = Request("trade", "connect", address=CREATE.address)
    assert made.on_request(knock, NOW_NS) is None
    banned = made.on_request(dataclasses.replace(knock, where="public"), NOW_NS)
    assert banned == RequestFault(Performed.NEVER, Plain(403, "403 Forbidden: access too frequent"))
    assert made.on_request(knock, NOW_NS + 1) == banned
    assert made.on_request(CREATE, NOW_NS + 1) == banned
    assert made.on_request(Request("trade", "order.create", address=CREATE.address), NOW_NS + 1) is None


def test_removing_a_ban_lifts_it() -> None:
    made = faults({"action": "ban"})
    assert made.on_request(CREATE, NOW_NS) is not None
    made.remove("f1", NOW_NS)
    assert made.on_request(CREATE, NOW_NS) is None


def test_a_restart_drains_then_is_down_then_is_over() -> None:
    made = faults({"action": "restart", "from_ms": 10, "drain_ms": 20, "down_ms": 30, "down_answer": 503})
    order = Request("trade", "order.create", joined_ns=NOW_NS)
    later = dataclasses.replace(order, joined_ns=NOW_NS + 15 * MS)
    at = {name: NOW_NS + ms * MS for name, ms in (("before", 9), ("drain", 10), ("down", 30), ("up", 60))}
    assert made.on_request(order, at["before"]) is None
    drained = made.on_request(order, at["drain"])
    assert drained is not None
    assert isinstance(drained.answer, Coded)
    assert drained.answer.code == 10019
    assert made.on_request(later, at["down"] - 1) is None
    assert made.on_request(CREATE, at["down"] - 1) is None
    assert made.due(at["down"] - 1) == []
    assert made.due(at["down"]) == [
        CloseSockets(("trade", "private", "public"), abrupt=True),
        ForgetClosedOrders(),
    ]
    down = RequestFault(Performed.NEVER, Plain(503, "503 Service Unavailable"))
    assert made.on_request(CREATE, at["up"] - 1) == down
    assert made.on_request(Request("public", "connect"), at["up"] - 1) == down
    assert made.on_request(CREATE, at["up"]) is None
    assert made.due(at["up"]) == [RestartBooks()]
    assert not made.watches_time


def test_maintenance_is_told_before_during_and_after_and_refuses_changes_only() -> None:
    made = faults({"action": "maintenance", "from_ms": 10, "for_ms": 10, "code": 10016, "title": "New engine"})
    told = AnnounceStatus("f1", "scheduled", "New engine", NOW_NS + 10 * MS, NOW_NS + 20 * MS)
    assert made.due(NOW_NS) == [told]
    assert [each.state for each in made.notices(NOW_NS)] == ["scheduled"]
    assert made.on_request(CREATE, NOW_NS + 9 * MS) is None
    begin = NOW_NS + 10 * MS
    assert made.due(begin) == [dataclasses.replace(told, state="ongoing"), CloseSockets(("trade", "private", "public"))]
    refused = made.on_request(CREATE, begin)
    assert refused is not None
    assert isinstance(refused.answer, Coded)
    assert refused.answer.code == 10016
    for read in ("order/realtime", "order/pre-check", "position/closed-pnl"):
        assert made.on_request(Request("rest", read), begin) is None
    assert [each.state for each in made.notices(begin)] == ["ongoing"]
    assert made.due(NOW_NS + 20 * MS) == [dataclasses.replace(told, state="completed")]
    assert [each.state for each in made.notices(NOW_NS + 20 * MS)] == ["completed"]
    assert made.on_request(CREATE, NOW_NS + 20 * MS) is None


@pytest.mark.parametrize("after_ms", [0, 15])
def test_maintenance_that_is_removed_is_canceled(after_ms) -> None:
    made = faults({"action": "maintenance", "from_ms": 10, "for_ms": 10})
    made.due(NOW_NS + after_ms * MS)
    made.remove("f1", NOW_NS + after_ms * MS)
    assert [step.state for step in made.due(NOW_NS + after_ms * MS) if isinstance(step, AnnounceStatus)] == ["canceled"]
    assert made.notices(NOW_NS) == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 45))
def test_clock_skews_cancel_out_however_they_are_ended(moments, removed_ms) -> None:
    made = faults(
        {"action": "clock_skew", "skew_ms": 250, "from_ms": 10, "for_ms": 20}, {"action": "clock_skew", "skew_ms": -40}
    )
    total = 0
    for ms in sorted([*moments, removed_ms]):
        total += sum(step.by_ns for step in made.due(NOW_NS + ms * MS) if isinstance(step, SkewClock))
        assert total // MS == (250 if 10 <= ms < 30 else 0) - 40
        if ms == removed_ms:
            break
    made.clear(NOW_NS + removed_ms * MS)
    total += sum(step.by_ns for step in made.due(NOW_NS + removed_ms * MS) if isinstance(step, SkewClock))
    assert total == 0
