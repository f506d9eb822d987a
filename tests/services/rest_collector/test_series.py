from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rest_collector.series import AHEAD_MS, Series, Span
from undertow.contracts.messages.reference import OpenInterest

MS = 1_000_000
HOUR_MS = 3_600_000
REACH_NS = 72 * HOUR_MS * MS
NOW_MS = 1_767_225_600_000


def point(at_ms, value="1"):
    return OpenInterest(ts_event=at_ms * MS, ts_recv=99, symbol="ABCUSDT", open_interest=Decimal(value))


def page(rows, span, most):
    """What the venue answers: the newest rows of a span."""
    found = sorted(at for at in rows if span.begin_ms <= at <= span.end_ms)
    return [point(at) for at in reversed(found[-most:])]


def fetch(series, rows, now_ms, most):
    """Ask until the rows have joined; give them and the number of requests."""
    span, _ = series.begin(now_ms * MS)
    asked = 0
    while span is not None:
        asked += 1
        span = series.take(page(rows, span, most))
    found = [row.ts_event // MS for row in series.joined()]
    series.published()
    return found, asked


def test_a_first_start_fetches_as_far_back_as_it_may():
    series = Series(most_rows=200, reach_ns=REACH_NS)
    assert series.begin(NOW_MS * MS) == (Span(NOW_MS - 72 * HOUR_MS, NOW_MS + AHEAD_MS), 0)


def test_afterwards_only_what_came_later_is_asked_for():
    series = Series(most_rows=200, reach_ns=REACH_NS)
    assert fetch(series, [NOW_MS - 5, NOW_MS - 3], NOW_MS, 200) == ([NOW_MS - 5, NOW_MS - 3], 1)
    assert series.begin((NOW_MS + 10) * MS) == (Span(NOW_MS - 2, NOW_MS + 10 + AHEAD_MS), 0)


@given(
    rows=st.sets(st.integers(NOW_MS - HOUR_MS, NOW_MS), max_size=60),
    looks=st.lists(st.integers(0, HOUR_MS), min_size=1, max_size=6),
    most=st.integers(1, 7),
)
def test_whenever_it_looks_each_row_is_given_once_and_in_order(rows, looks, most):
    series, given_rows = Series(most_rows=most, reach_ns=REACH_NS), []
    for at in sorted(looks):
        now_ms = NOW_MS - HOUR_MS + at
        known = [row for row in rows if row <= now_ms]
        found, asked = fetch(series, known, now_ms, most)
        assert asked <= len(found) // most + 1
        given_rows += found
    assert given_rows == sorted(row for row in rows if row <= NOW_MS - HOUR_MS + max(looks))


@given(rows=st.sets(st.integers(NOW_MS - HOUR_MS, NOW_MS), min_size=1, max_size=40), fails_at=st.integers(0, 12))
def test_what_failed_in_the_middle_goes_on_from_there(rows, fails_at):
    series, asked = Series(most_rows=3, reach_ns=REACH_NS), []
    span, _ = series.begin(NOW_MS * MS)
    while span is not None:
        asked.append(span)
        if len(asked) == fails_at:  # no answer; the task is begun again
            span, skipped_ns = series.begin((NOW_MS + 60_000) * MS)
            assert (span, skipped_ns) == (asked[-1], 0)
        span = series.take(page(rows, span, 3))
    assert [row.ts_event // MS for row in series.joined()] == sorted(rows)
    assert len(set(asked)) == len(asked)


def test_a_venue_that_gave_the_oldest_rows_first_would_cost_turns_and_no_rows():
    series, rows, given_rows = Series(most_rows=3, reach_ns=REACH_NS), range(NOW_MS - 70, NOW_MS, 10), []
    for turn in range(3):
        span, _ = series.begin((NOW_MS + turn) * MS)
        while span is not None:
            found = [point(at) for at in rows if span.begin_ms <= at <= span.end_ms][:3]
            span = series.take(found)
        given_rows += [row.ts_event // MS for row in series.joined()]
        series.published()
    assert given_rows == list(rows)


def test_after_a_restart_the_last_published_row_is_where_it_goes_on():
    series = Series(most_rows=2, reach_ns=REACH_NS, last_ns=(NOW_MS - 100) * MS)
    rows = [NOW_MS - back for back in (300, 100, 80, 60, 40, 20)]
    assert fetch(series, rows, NOW_MS, 2) == ([NOW_MS - 80, NOW_MS - 60, NOW_MS - 40, NOW_MS - 20], 3)


def test_an_outage_that_reaches_too_far_back_is_cut_and_said_once():
    series = Series(most_rows=200, reach_ns=HOUR_MS * MS, last_ns=(NOW_MS - 3 * HOUR_MS) * MS)
    span, skipped_ns = series.begin(NOW_MS * MS)
    assert (span.begin_ms, skipped_ns) == (NOW_MS - HOUR_MS, 2 * HOUR_MS * MS)
    series.take([])
    series.published()
    later_ms = NOW_MS + HOUR_MS // 2
    assert series.begin(later_ms * MS) == (Span(NOW_MS - 3 * HOUR_MS + 1, later_ms + AHEAD_MS), 0)


def test_a_row_that_nobody_asked_for_is_no_answer():
    series = Series(most_rows=200, reach_ns=REACH_NS, last_ns=NOW_MS * MS)
    series.begin(NOW_MS * MS)
    with pytest.raises(ValueError, match="outside the span"):
        series.take([point(NOW_MS)])
    with pytest.raises(ValueError, match="no span"):
        Series(most_rows=1, reach_ns=1).take([])
