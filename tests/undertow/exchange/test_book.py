from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.exchange.book import OrderBook


def levels(*pairs):
    return tuple(pairs)


@pytest.fixture
def book():
    book = OrderBook(3)
    book.replace(levels(("10.0", "1"), ("9.5", "2")), levels(("10.5", "3"), ("11", "4")))
    return book


def test_a_snapshot_is_kept_in_the_venue_s_own_text_best_first(book):
    assert book.levels() == ((("10.0", "1"), ("9.5", "2")), (("10.5", "3"), ("11", "4")))
    assert (book.best_bid, book.best_ask, book.is_crossed) == (("10.0", "1"), ("10.5", "3"), False)


def test_an_empty_side_has_no_best_price_and_is_not_crossed(book):
    book.replace((), levels(("1", "1")))
    assert (book.best_bid, book.best_ask, book.is_crossed) == (None, ("1", "1"), False)
    book.replace(levels(("1", "1")), ())
    assert (book.best_ask, book.is_crossed) == (None, False)


@pytest.mark.parametrize("zero", ["0", "0.000", "0.0"])
def test_a_size_of_zero_deletes_in_any_spelling(book, zero):
    book.apply(levels(("10.00", zero)), levels(("10.5", zero)))
    assert (book.best_bid, book.best_ask) == (("9.5", "2"), ("11", "4"))


def test_deleting_an_unknown_level_is_harmless(book):
    before = book.levels()
    book.apply(levels(("7", "0")), levels(("70", "0")))
    assert book.levels() == before


def test_zero_sizes_in_a_snapshot_are_no_levels(book):
    book.replace(levels(("10", "0"), ("9", "1")), ())
    assert book.levels() == ((("9", "1"),), ())


def test_what_falls_out_of_the_depth_is_dropped_at_the_far_end(book):
    book.apply(levels(("9.9", "1"), ("9.8", "1")), levels(("10.6", "1"), ("10.7", "1")))
    assert [price for price, _ in book.levels()[0]] == ["10.0", "9.9", "9.8"]
    assert [price for price, _ in book.levels()[1]] == ["10.5", "10.6", "10.7"]
    book.replace([(str(p), "1") for p in range(1, 9)], [(str(p), "1") for p in range(10, 19)])
    assert (book.best_bid, book.best_ask, len(book.levels()[0])) == (("8", "1"), ("10", "1"), 3)


@pytest.mark.parametrize(
    "bad", [("x", "1"), ("nan", "1"), ("-1", "1"), ("0", "1"), ("inf", "1"), ("1", "x"), ("", "1")]
)
def test_a_level_that_is_no_number_or_no_price_is_refused(book, bad):
    with pytest.raises(ValueError):
        book.apply((bad,), ())
    with pytest.raises(ValueError):
        book.replace((), (bad,))


@pytest.mark.parametrize("size", ["-1", "nan", "inf", ""])
def test_a_size_that_is_no_size_is_refused(book, size):
    with pytest.raises(ValueError):
        book.apply((), (("10.5", size),))


CHANGES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), max_size=12)


@given(st.lists(st.tuples(CHANGES, CHANGES), max_size=20))
def test_the_book_equals_a_sorted_dictionary(changes):
    book, twin = OrderBook(1000), ({}, {})
    for bids, asks in changes:
        book.apply([(str(p), str(s)) for p, s in bids], [(str(p), str(s)) for p, s in asks])
        for side, rows in zip(twin, (bids, asks), strict=True):
            for price, size in rows:
                side[price] = size
                if not size:
                    del side[price]
        found = book.levels()
        assert [int(p) for p, _ in found[0]] == sorted(twin[0], reverse=True)
        assert [int(p) for p, _ in found[1]] == sorted(twin[1])
        assert book.is_crossed == (bool(twin[0] and twin[1]) and max(twin[0]) >= min(twin[1]))


def test_another_spelling_of_a_price_is_the_same_level(book):
    book.apply(levels(("10.00", "7")), levels(("10.50", "0")))
    assert book.levels() == ((("10.00", "7"), ("9.5", "2")), (("11", "4"),))
    book.apply(levels(("10.0", "0")), ())
    assert book.best_bid == ("9.5", "2")


def test_a_snapshot_that_spells_a_price_twice_has_it_once_and_later_wins(book):
    book.replace(levels(("10", "1"), ("10.0", "2"), ("9", "3"), ("9", "4")), ())
    assert book.levels() == ((("10.0", "2"), ("9", "4")), ())


@pytest.mark.parametrize("bad", [("nan", "1"), ("2", "nan"), ("2", "-1"), ("-2", "1"), ("inf", "1")])
def test_what_is_no_level_is_found_among_good_ones_of_a_snapshot(book, bad):
    with pytest.raises(ValueError):
        book.replace(levels(("3", "1"), bad, ("1", "1")), ())
