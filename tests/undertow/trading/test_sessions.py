from __future__ import annotations

from datetime import UTC, datetime

import pytest

from undertow.trading.sessions import Session, is_open


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("window", "moment", "holds"),
    [
        ("08:00-16:30", "2026-11-25T08:00", True),
        ("08:00-16:30", "2026-11-25T16:29", True),
        ("08:00-16:30", "2026-11-25T16:30", False),
        ("08:00-16:30", "2026-11-25T07:59", False),
        ("wed 00:00-24:00", "2026-11-25T23:59", True),
        ("wed 00:00-24:00", "2026-11-26T00:00", False),
        ("Mon-Fri 22:00-06:00", "2026-11-27T23:00", True),  # a Friday
        ("mon-fri 22:00-06:00", "2026-11-28T05:59", True),  # begun on that Friday
        ("mon-fri 22:00-06:00", "2026-11-28T06:00", False),
        ("mon-fri 22:00-06:00", "2026-11-28T22:00", False),
        ("mon-fri 22:00-06:00", "2026-11-23T05:00", False),  # a Monday: it would have begun on Sunday
        ("sat-mon 09:00-10:00", "2026-11-29T09:30", True),
        ("sat-mon 09:00-10:00", "2026-11-24T09:30", False),
    ],
)
def test_a_window_holds_from_its_begin_to_its_end_on_its_days(window, moment, holds):
    assert Session.parse(window).holds(at(moment)) is holds
    assert is_open((Session.parse(window),), at(moment)) is holds


def test_without_windows_it_is_always_open_and_with_several_in_any():
    assert is_open((), at("2026-11-25T03:00"))
    both = (Session.parse("01:00-02:00"), Session.parse("03:00-04:00"))
    assert is_open(both, at("2026-11-25T03:00"))
    assert not is_open(both, at("2026-11-25T02:00"))


@pytest.mark.parametrize(
    "text", ["", "8:00-16:00", "08:00-25:00", "24:00-01:00", "08:60-09:00", "08:00-09:61", "08:00-08:00",
             "xyz 08:00-09:00", "mon-xyz 08:00-09:00"],
)  # fmt: skip
def test_what_is_no_window_is_refused_by_name(text):
    with pytest.raises(ValueError, match=text or "''"):
        Session.parse(text)
