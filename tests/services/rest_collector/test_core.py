from __future__ import annotations

from decimal import Decimal

import pytest

from services.rest_collector.core import MOST_PAGES, CollectorCore
from services.rest_collector.kinds import Kind, Task
from services.rest_collector.settings import CollectSettings
from undertow.contracts.messages.reference import (
    UNLISTED,
    ClockOffset,
    DayTicker,
    InstrumentChanged,
    NextFunding,
    OpenInterest,
    VenueStatus,
)
from undertow.exchange.errors import BadAnswerError

SYMBOL, OTHER = "ABCUSDT", "XYZUSDT"
NOW = 1_767_225_600_000_000_000
MS = 1_000_000
NOW_MS = NOW // MS
TIER = {"id": 1, "symbol": SYMBOL, "riskLimitValue": "200000", "maintenanceMargin": "0.01", "initialMargin": "0.02",
        "maxLeverage": "50.00", "mmDeduction": ""}  # fmt: skip
INSTRUMENT = {
    "symbol": SYMBOL, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "ABC", "quoteCoin": "USDT",
    "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
    "priceFilter": {"minPrice": "0.0001", "maxPrice": "1999.9998", "tickSize": "0.0001"},
    "lotSizeFilter": {"maxOrderQty": "50000.0", "minOrderQty": "0.1", "qtyStep": "0.1", "maxMktOrderQty": "9000.0",
                      "minNotionalValue": "5"},
    "fundingInterval": 480, "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"},
}  # fmt: skip
TICKER = {
    "symbol": SYMBOL, "lastPrice": "1.2", "indexPrice": "1.19", "markPrice": "1.21", "price24hPcnt": "-0.0171",
    "highPrice24h": "1.3", "lowPrice24h": "1.1", "openInterest": "77", "turnover24h": "120", "volume24h": "100",
    "fundingRate": "-0.0001", "nextFundingTime": str(NOW_MS + 5_000), "fundingIntervalHour": "8", "fundingCap": "0.005",
}  # fmt: skip


def new_core(*symbols, **how):
    return CollectorCore(symbols or (SYMBOL,), CollectSettings().intervals_ns(), CollectSettings().reach_ns, NOW, **how)


@pytest.fixture
def core():
    return new_core()


def asked(core, task, *answers, now_ns=NOW):
    """Play a whole task; give its news and the requests that it took."""
    request, requests = core.begin(task, now_ns).request, []
    for answer in answers:
        requests.append(request)
        request = core.on_answer(task, answer, now_ns)
    assert request is None
    news = core.news(task, now_ns)
    core.on_published(task, news, now_ns)
    return news, requests


def news(core, kind, *answers, symbol="", now_ns=NOW):
    return asked(core, Task(kind, symbol), *answers, now_ns=now_ns)[0]


def listed(*items, cursor=""):
    return {"list": list(items), "nextPageCursor": cursor}


# instruments


def test_filters_are_published_when_first_seen_and_when_they_change_with_what_changed(core):
    assert core.unknown_symbols() == [SYMBOL]
    (first,) = news(core, Kind.INSTRUMENT, listed(INSTRUMENT))
    assert (first.tick_size, first.changed) == (Decimal("0.0001"), ())
    assert core.unknown_symbols() == []
    assert news(core, Kind.INSTRUMENT, listed(INSTRUMENT), now_ns=NOW + 1) == []
    finer = {**INSTRUMENT, "priceFilter": {**INSTRUMENT["priceFilter"], "tickSize": "0.0005"}, "fundingInterval": 240}
    (changed,) = news(core, Kind.INSTRUMENT, listed(finer), now_ns=NOW + 2)
    assert (changed.ts_event, changed.changed) == (NOW + 2, ("tick_size", "funding_interval_minutes"))
    assert news(core, Kind.INSTRUMENT, listed(finer)) == []


def test_all_pages_are_read_and_other_peoples_contracts_left_out():
    core = new_core(SYMBOL, OTHER)
    strangers = [{**INSTRUMENT, "symbol": f"S{n}USDT"} for n in range(3)]
    pages = [
        listed(*strangers[:2], cursor="page_args%3D2%26"),
        listed({**INSTRUMENT, "symbol": OTHER}, cursor="b"),
        listed(INSTRUMENT, strangers[2]),
    ]
    facts, requests = asked(core, Task(Kind.INSTRUMENT), *pages)
    assert [fact.symbol for fact in facts] == [SYMBOL, OTHER]
    assert [request.params.get("cursor") for request in requests] == [None, "page_args%3D2%26", "b"]


def test_a_contract_that_no_longer_trades_is_looked_for_where_it_may_be(core):
    news(core, Kind.INSTRUMENT, listed(INSTRUMENT))
    closed = {**INSTRUMENT, "status": "Delivering"}
    facts, requests = asked(core, Task(Kind.INSTRUMENT), listed(), listed(), listed(closed))
    assert [(fact.status, fact.changed) for fact in facts] == [("Delivering", ("status",))]
    assert [request.params.get("status") for request in requests] == [None, "PreLaunch", "Delivering"]
    assert [request.may_be_refused for request in requests] == [False, True, True]


def test_a_contract_that_the_venue_names_no_longer_is_said_to_be_unlisted_once(core):
    news(core, Kind.INSTRUMENT, listed(INSTRUMENT))
    nowhere = [listed()] * 4
    (gone,) = news(core, Kind.INSTRUMENT, *nowhere, now_ns=NOW + 7)
    assert (gone.status, gone.changed, gone.ts_event) == (UNLISTED, ("status",), NOW + 7)
    assert gone.tick_size == Decimal("0.0001")
    assert news(core, Kind.INSTRUMENT, *nowhere) == []
    assert news(core, Kind.INSTRUMENT, listed(INSTRUMENT))[0].changed == ("status",)


def test_a_contract_that_never_was_is_unknown_and_not_unlisted(core):
    assert news(core, Kind.INSTRUMENT, *[listed()] * 4) == []
    assert core.unknown_symbols() == [SYMBOL]


def test_paging_that_does_not_end_is_a_bad_answer(core):
    task = Task(Kind.INSTRUMENT)
    core.begin(task, NOW)
    with pytest.raises(BadAnswerError, match="pages"):
        for page in range(MOST_PAGES + 1):
            core.on_answer(task, listed(INSTRUMENT, cursor=f"c{page}"), NOW)


# what is as it is now


def test_a_ticker_says_the_day_and_the_next_funding_of_our_symbols():
    day, due = DayTicker, NextFunding
    core = new_core(SYMBOL, OTHER)
    dated = {**TICKER, "symbol": OTHER, "fundingRate": "", "nextFundingTime": "0"}
    facts = news(core, Kind.TICKER, listed(TICKER, dated, {**TICKER, "symbol": "SUSDT"}))
    assert [(type(fact), fact.symbol) for fact in facts] == [(due, SYMBOL), (day, SYMBOL), (day, OTHER)]
    funding, ticker, _ = facts
    assert (funding.rate, funding.due_ns, funding.interval_minutes, funding.cap) == (
        Decimal("-0.0001"),
        NOW + 5_000 * MS,
        480,
        Decimal("0.005"),
    )
    assert (ticker.change, ticker.open_interest) == (Decimal("-0.0171"), 77)


def test_what_the_venue_says_of_other_contracts_need_not_make_sense(core):
    strange = {"symbol": "NEWUSDT", "fundingRate": "x", "fundingIntervalHour": "0.5", "lastPrice": "soon"}
    assert len(news(core, Kind.TICKER, listed(strange, TICKER))) == 2
    assert len(news(core, Kind.INSTRUMENT, listed(strange, INSTRUMENT))) == 1


def test_a_page_of_other_contracts_alone_is_followed_by_the_next(core):
    other = {"symbol": "NEWUSDT"}
    assert len(news(core, Kind.INSTRUMENT, listed(other, cursor="more"), listed(INSTRUMENT))) == 1


@pytest.mark.parametrize(
    ("kind", "symbol", "row"),
    [
        (Kind.INSTRUMENT, "", {**INSTRUMENT, "baseCoin": None}),
        (Kind.INSTRUMENT, "", {**INSTRUMENT, "fundingInterval": 10**30}),
        (Kind.TICKER, "", {**TICKER, "fundingIntervalHour": "9" * 30}),
        (Kind.RISK_TIERS, SYMBOL, {**TIER, "id": 10**30}),
        (Kind.STATUS, "", {"title": None, "state": "ongoing", "begin": "1", "end": "2"}),
    ],
)
def test_what_no_reader_could_decode_is_a_bad_answer_and_never_published(core, kind, symbol, row):
    task = Task(kind, symbol)
    core.begin(task, NOW)
    with pytest.raises(BadAnswerError):
        core.on_answer(task, listed(row), NOW)


def test_an_answer_about_another_contract_than_was_asked_for_is_a_bad_one():
    core = new_core(SYMBOL, OTHER)
    wrong = {Kind.OPEN_INTEREST: {**rows(10), "symbol": OTHER}, Kind.RISK_TIERS: listed({**TIER, "symbol": OTHER})}
    for kind, answer in wrong.items():
        task = Task(kind, SYMBOL)
        core.begin(task, NOW)
        with pytest.raises(BadAnswerError, match=f"{OTHER!r}, and {SYMBOL} was asked for"):
            core.on_answer(task, answer, NOW)


def test_of_a_ticker_only_what_is_new_is_published(core):
    news(core, Kind.TICKER, listed(TICKER))
    assert news(core, Kind.TICKER, listed(TICKER), now_ns=NOW + 1) == []
    assert [type(fact) for fact in news(core, Kind.TICKER, listed({**TICKER, "fundingRate": "0"}))] == [NextFunding]
    assert [
        type(fact) for fact in news(core, Kind.TICKER, listed({**TICKER, "fundingRate": "0", "lastPrice": "2"}))
    ] == [DayTicker]


def test_tiers_are_published_together_when_one_of_them_changes(core):
    second = {**TIER, "id": 2, "riskLimitValue": "400000", "mmDeduction": "1000"}
    both = [listed(TIER, cursor="more"), listed(second)]
    assert [tier.tier for tier in news(core, Kind.RISK_TIERS, *both, symbol=SYMBOL)] == [1, 2]
    assert news(core, Kind.RISK_TIERS, *both, symbol=SYMBOL, now_ns=NOW + 1) == []
    assert news(core, Kind.RISK_TIERS, listed(), symbol=SYMBOL) == []
    wider = [listed(TIER), *both[2:]]
    assert len(news(core, Kind.RISK_TIERS, *wider, symbol=SYMBOL)) == 1


def test_the_condition_of_the_venue_is_said_each_time(core):
    for now_ns in (NOW, NOW + 1):
        (fact,) = news(core, Kind.STATUS, listed(), now_ns=now_ns)
        assert fact == VenueStatus(ts_event=now_ns, ts_recv=now_ns, operational=True, maintenance="")


def test_what_is_measured_is_published_as_it_is(core):
    task, fact = Task(Kind.CLOCK), ClockOffset(ts_event=1, ts_recv=2, offset_ns=3, uncertainty_ns=4)
    assert core.begin(task, NOW).request is None
    core.on_measured(task, fact)
    assert core.news(task, NOW) == [fact]


# series


def rows(*ages_ms):
    return {
        "symbol": SYMBOL,
        "list": [{"openInterest": "1", "timestamp": str(NOW_MS - age)} for age in sorted(ages_ms)],
    }


def test_the_rows_of_a_series_come_oldest_first_and_once(core):
    task = Task(Kind.OPEN_INTEREST, SYMBOL)
    facts, (request,) = asked(core, task, rows(10, 20))
    assert [fact.ts_event for fact in facts] == [NOW - 20 * MS, NOW - 10 * MS]
    assert request.params == {
        "category": "linear", "intervalTime": "5min", "limit": "200", "symbol": SYMBOL,
        "startTime": str(NOW_MS - 72 * 3_600_000), "endTime": str(NOW_MS + 60_000),
    }  # fmt: skip
    facts, (request,) = asked(core, task, rows())
    assert (facts, request.params["startTime"]) == ([], str(NOW_MS - 9))


def test_a_full_answer_is_followed_by_the_rows_before_it(core):
    full = rows(*range(1, 201))
    facts, requests = asked(core, Task(Kind.OPEN_INTEREST, SYMBOL), full, rows(*range(201, 301)))
    assert len(facts) == 300
    assert requests[1].params["endTime"] == str(NOW_MS - 201)


def test_rows_count_as_published_when_they_are(core):
    task = Task(Kind.OPEN_INTEREST, SYMBOL)
    core.on_answer(task, rows(10), NOW) if core.begin(task, NOW) else None
    assert len(core.news(task, NOW)) == 1
    core.on_failure(task, 0)  # the bus did not take it
    facts, _ = asked(core, task, rows(10))
    assert len(facts) == 1


def test_rows_that_the_bus_took_before_it_was_full_are_not_given_again(core):
    task = Task(Kind.OPEN_INTEREST, SYMBOL)
    core.on_answer(task, rows(10, 20, 30), NOW) if core.begin(task, NOW) else None
    core.on_taken(task, core.news(task, NOW)[:2])
    core.on_failure(task, 0)
    facts, _ = asked(core, task, rows(10, 20, 30))
    assert [fact.ts_event for fact in facts] == [NOW - 10 * MS]


def test_nonsense_is_a_bad_answer_that_names_the_page(core):
    task = Task(Kind.OPEN_INTEREST, SYMBOL)
    for nonsense in ({}, {"list": None}, {"list": [{}], "symbol": SYMBOL}, rows(-70_000)):
        core.begin(task, NOW)
        with pytest.raises(BadAnswerError, match="/v5/market/open-interest"):
            core.on_answer(task, nonsense, NOW)
        core.on_failure(task, 0)


# restart


def test_a_restart_neither_repeats_nor_misses_anything():
    core, published = new_core(), []
    published += news(core, Kind.INSTRUMENT, listed(INSTRUMENT))
    published += news(core, Kind.RISK_TIERS, listed(TIER), symbol=SYMBOL)
    tiers = [TIER, {**TIER, "id": 2}]
    published += news(core, Kind.RISK_TIERS, listed(*tiers), symbol=SYMBOL, now_ns=NOW + 1)
    published += news(core, Kind.TICKER, listed(TICKER))
    published += news(core, Kind.OPEN_INTEREST, rows(20, 30), symbol=SYMBOL)
    again = new_core()
    again.remember(SYMBOL, published)
    assert again.unknown_symbols() == []
    assert news(again, Kind.RISK_TIERS, listed(*tiers), symbol=SYMBOL) == []
    assert news(again, Kind.TICKER, listed(TICKER)) == []
    facts, (request,) = asked(again, Task(Kind.OPEN_INTEREST, SYMBOL), rows(5, 10))
    assert [fact.ts_event for fact in facts] == [NOW - 10 * MS, NOW - 5 * MS]
    assert request.params["startTime"] == str(NOW_MS - 19)
    halted = {**INSTRUMENT, "status": "Closed"}
    assert news(again, Kind.INSTRUMENT, listed(), listed(), listed(), listed(halted))[0].changed == ("status",)


def test_an_outage_that_is_too_long_says_what_is_left_out():
    core = new_core()
    last = NOW - 100 * 3_600 * 10**9
    core.remember(SYMBOL, [OpenInterest(ts_event=last, ts_recv=last, symbol=SYMBOL, open_interest=Decimal(1))])
    assert core.begin(Task(Kind.OPEN_INTEREST, SYMBOL), NOW).skipped_ns == 28 * 3_600 * 10**9
    assert core.begin(Task(Kind.FUNDING, SYMBOL), NOW).skipped_ns == 0


def test_what_the_stream_holds_of_a_symbol_without_tiers_is_no_trouble():
    core = new_core()
    core.remember(SYMBOL, [])
    assert core.unknown_symbols() == [SYMBOL]
    assert isinstance(news(core, Kind.INSTRUMENT, listed(INSTRUMENT))[0], InstrumentChanged)
