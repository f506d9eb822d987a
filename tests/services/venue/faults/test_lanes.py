"""Held frames: nothing is lost, nothing is invented, order is kept where it is promised."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue.faults.lanes import Lane
from services.venue.faults.verdicts import FrameFault

MS = 1_000_000
offers = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.one_of(
            st.none(),
            st.builds(FrameFault, delay_ns=st.integers(0, 20 * MS)),
            st.builds(FrameFault, copies=st.integers(0, 3)),
            st.builds(FrameFault, behind=st.integers(1, 4), longest_ns=st.integers(1, 10 * MS)),
        ),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(offers)
def test_every_frame_comes_out_as_often_as_it_should_and_in_the_end_the_lane_is_empty(steps) -> None:
    lane, now_ns, sent, expected = Lane(), 0, [], []
    for number, (pause_ms, fault) in enumerate(steps):
        now_ns += pause_ms * MS
        sent += lane.due(now_ns)
        raw = b"%d" % number
        sent += lane.offer(raw, fault, now_ns)
        expected += [raw] * (1 if fault is None else fault.copies)
    sent += lane.due(now_ns + 20 * MS) + lane.due(now_ns + 20 * MS)
    assert sorted(sent) == sorted(expected)
    assert lane.is_empty


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=30))
def test_delayed_frames_keep_their_order_and_none_is_early(steps) -> None:
    lane, now_ns, due_ns, sent = Lane(), 0, {}, []
    for number, (pause_ms, delay_ms) in enumerate(steps):
        now_ns += pause_ms * MS
        raw = b"%d" % number
        due_ns[raw] = now_ns + delay_ms * MS
        for each in lane.due(now_ns) + lane.offer(raw, FrameFault(delay_ns=delay_ms * MS), now_ns):
            assert due_ns[each] <= now_ns
            sent.append(each)
    sent += lane.due(10**12)
    assert sent == [b"%d" % number for number in range(len(steps))]


def test_a_frame_is_overtaken_by_as_many_as_it_should_be() -> None:
    lane = Lane()
    assert lane.offer(b"a", FrameFault(behind=2, longest_ns=9), 0) == []
    assert lane.offer(b"b", None, 0) == [b"b"]
    assert lane.offer(b"c", None, 0) == [b"c", b"a"]
    assert lane.is_empty


def test_a_frame_that_nobody_overtakes_comes_when_its_time_is_over() -> None:
    lane = Lane()
    lane.offer(b"a", FrameFault(behind=2, longest_ns=9), 0)
    assert lane.due(8) == []
    assert lane.due(9) == [b"a"]
