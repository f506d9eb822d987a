from services.cli.counters import CounterTotals

PAGE = """# TYPE undertow_fills_total counter
undertow_fills_total{{service="order_router",symbol="BTCUSDT"}} {btc}
undertow_fills_total{{service="order_router",symbol="ETHUSDT"}} {eth}
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes {rss}
"""


def test_a_counter_is_added_up_over_symbols():
    totals = CounterTotals()
    totals.feed("order_router", PAGE.format(btc=2, eth=3, rss=1e6))
    assert totals.total("undertow_fills_total") == 5
    assert totals.by_label("undertow_fills_total", "symbol") == {"BTCUSDT": 2, "ETHUSDT": 3}


def test_a_counter_that_begins_again_after_a_restart_is_added_to_what_was_counted():
    totals = CounterTotals()
    totals.feed("order_router", PAGE.format(btc=5, eth=0, rss=1e6))
    totals.feed("order_router", PAGE.format(btc=7, eth=0, rss=1e6))
    totals.feed("order_router", PAGE.format(btc=1, eth=0, rss=1e6))
    totals.feed("order_router", PAGE.format(btc=4, eth=0, rss=1e6))
    assert totals.total("undertow_fills_total") == 11


def test_a_gauge_keeps_its_last_value_for_each_service():
    totals = CounterTotals()
    totals.feed("a", PAGE.format(btc=0, eth=0, rss=1e6))
    totals.feed("a", PAGE.format(btc=0, eth=0, rss=2e6))
    totals.feed("b", PAGE.format(btc=0, eth=0, rss=3e6))
    assert totals.gauge_by_service("process_resident_memory_bytes") == {"a": 2e6, "b": 3e6}
