"""Books that begin anew: clients see unbroken numbers, and without a restart the very bytes of the source."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue.faults.renumber import Renumbering

TOPICS = ("orderbook.200.BTCUSDT", "orderbook.200.ETHUSDT")


def frame(topic: str, update_id: int, kind: str = "delta") -> bytes:
    data = {"s": topic.rpartition(".")[2], "b": [["65000.00", "1.000"]], "a": [], "u": update_id, "seq": update_id * 7}
    return msgspec.json.encode({"topic": topic, "type": kind, "ts": 5, "data": data, "cts": 4})


def number(raw: bytes) -> int:
    return int(msgspec.json.decode(raw)["data"]["u"])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(TOPICS), st.sampled_from(["delta", "delta", "snapshot", "restart"])), max_size=40
    )
)
def test_deltas_count_on_by_one_from_whatever_snapshot_came_last(steps) -> None:
    numbers = Renumbering()
    source = dict.fromkeys(TOPICS, 100)
    shown = {topic: number(numbers.apply(frame(topic, 100, "snapshot"))) for topic in TOPICS}
    for topic, step in steps:
        if step == "restart":
            first = numbers.restart(topic, frame(topic, shown[topic], "snapshot"))
            shown[topic] = number(first)
            assert shown[topic] == 1
            continue
        source[topic] += 1 if step == "delta" else 50
        raw = frame(topic, source[topic], step)
        seen = numbers.apply(raw)
        if step == "delta":
            assert number(seen) == shown[topic] + 1
            assert seen.replace(b'"u":%d' % number(seen), b'"u":%d' % source[topic]) == raw
        else:
            assert seen == raw
        shown[topic] = number(seen)


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**12), max_size=10))
def test_without_a_restart_and_for_other_topics_nothing_is_touched(numbers_seen) -> None:
    numbers = Renumbering()
    for update_id in numbers_seen:
        raw = frame(TOPICS[0], update_id)
        assert numbers.apply(raw) is raw
    numbers.restart(TOPICS[1], frame(TOPICS[1], 5, "snapshot"))
    trade = b'{"topic":"publicTrade.ETHUSDT","type":"snapshot","ts":1,"data":[{"u":7}]}'
    assert numbers.apply(trade) is trade
    for update_id in numbers_seen:
        raw = frame(TOPICS[0], update_id)
        assert numbers.apply(raw) is raw


def test_a_source_that_begins_anew_itself_keeps_its_own_numbers() -> None:
    numbers = Renumbering()
    numbers.restart(TOPICS[0], frame(TOPICS[0], 500, "snapshot"))
    assert number(numbers.apply(frame(TOPICS[0], 501))) == 2
    assert numbers.apply(again := frame(TOPICS[0], 1)) is again
    assert numbers.apply(after := frame(TOPICS[0], 2)) is after
