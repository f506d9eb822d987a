from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.undertow.features.facts import candle, flat_book, gap, ticker, value
from undertow.features.arrival import Waiting, in_known_order


def test_a_fact_stands_before_the_first_message_that_is_not_older_than_our_knowledge_of_it():
    market = [flat_book(0), ticker(9.999), ticker(10), ticker(11)]
    fact = value("dollar_index", "1", 10, held=-5)
    assert list(in_known_order(market, [fact])) == [*market[:2], fact, *market[2:]]


def test_what_the_market_does_not_come_up_to_is_left_out():
    market = [flat_book(0), ticker(9)]
    assert list(in_known_order(market, [value("dollar_index", "1", 9.001)])) == market


def test_a_message_without_rows_has_no_say_in_the_order():
    fact = value("dollar_index", "1", 10)
    market = [ticker(9), candle(12), ticker(9.5), gap(11)]
    assert list(in_known_order(market, [fact])) == [*market[:3], fact, market[3]]


def test_facts_learned_at_one_time_keep_the_order_of_their_stream():
    facts = [value("dollar_index", str(n), 5) for n in range(9)]
    assert list(in_known_order([ticker(5)], facts)) == [*facts, ticker(5)]


@given(st.lists(st.integers(0, 50), max_size=30), st.lists(st.integers(0, 50), max_size=30), st.data())
def test_the_order_does_not_depend_on_when_a_fact_came_as_long_as_it_came_in_time(times, known, data):
    market = [ticker(t) for t in times]
    facts = [value("dollar_index", str(n), k) for n, k in enumerate(sorted(known))]
    waiting, found, told = Waiting(), [], 0
    for message in market:
        needed = sum(fact.ts_recv <= message.ts_event for fact in facts)
        ahead = data.draw(st.integers(max(needed, told), len(facts)))
        for fact in facts[told:ahead]:
            waiting.add(fact.ts_recv, fact)
        told = ahead
        found += [*waiting.due(message), message]
    assert found == list(in_known_order(market, facts))
