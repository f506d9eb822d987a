from __future__ import annotations

import pytest

from undertow.contracts.metrics import DEAD_LETTERS, ERRORS, FRAMES_RECEIVED, HOP, TRADING_STATE
from undertow.runtime.metrics import BusMetrics, Metrics


def test_every_value_says_whose_and_in_which_mode() -> None:
    metrics = Metrics("ingestor", "paper")
    metrics.counter(FRAMES_RECEIVED, symbol="BTCUSDT").inc(3)
    metrics.gauge(TRADING_STATE).set(2)
    metrics.counter(ERRORS)
    page = metrics.render().decode()
    assert 'undertow_frames_received_total{mode="paper",service="ingestor",symbol="BTCUSDT"} 3.0' in page
    assert 'undertow_trading_state{mode="paper",service="ingestor"} 2.0' in page
    assert 'undertow_errors_total{mode="paper",service="ingestor"} 0.0' in page
    assert "process_resident_memory_bytes" in page
    assert "# HELP undertow_frames_received_total Market frames received" in page


def test_children_are_kept() -> None:
    metrics = Metrics("s", "paper")
    assert metrics.counter(FRAMES_RECEIVED, symbol="A") is metrics.counter(FRAMES_RECEIVED, symbol="A")
    assert metrics.counter(FRAMES_RECEIVED, symbol="A") is not metrics.counter(FRAMES_RECEIVED, symbol="B")


def test_a_missing_label_is_an_error() -> None:
    with pytest.raises(KeyError):
        Metrics("s", "paper").counter(FRAMES_RECEIVED)


def test_what_the_bus_tells_becomes_metrics() -> None:
    metrics = Metrics("s", "paper")
    watch = BusMetrics(metrics)
    watch.delivered("market", 0.00012)
    watch.dead_letter("market")
    page = metrics.render().decode()
    assert 'undertow_hop_seconds_bucket{hop="market",le="0.00015",mode="paper",service="s"} 1.0' in page
    assert 'undertow_hop_seconds_bucket{hop="market",le="0.0001",mode="paper",service="s"} 0.0' in page
    assert 'undertow_dead_letters_total{mode="paper",service="s",stream="market"} 1.0' in page
    assert HOP.name in page
    assert DEAD_LETTERS.name in page
