from __future__ import annotations

from decimal import Decimal

from undertow.trading.marks import Marks


def test_a_mark_has_a_price_a_time_and_a_distance_from_the_one_before():
    marks = Marks()
    assert (marks.at_ns("A"), dict(marks.prices)) == (0, {})
    assert marks.put("A", Decimal(100), 5) == (0, 0)
    assert marks.put("A", Decimal(101), 8) == (Decimal(100), 3)
    assert marks.put("B", Decimal(7), 9) == (0, 0)
    assert marks.prices == {"A": Decimal(101), "B": Decimal(7)}
    assert marks.at_ns("A") == 8


def test_an_older_mark_changes_nothing():
    marks = Marks()
    marks.put("A", Decimal(100), 5)
    assert marks.put("A", Decimal(1), 5) == (0, 0)
    assert marks.prices["A"] == 100
