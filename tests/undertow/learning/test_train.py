from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.undertow.learning.conftest import SMALL, small_dataset
from undertow.features.catalogue import N_FEATURES, SCHEMA_HASH
from undertow.learning.dataset import build_dataset, events_by_symbol
from undertow.learning.errors import DatasetError
from undertow.learning.grid import ARM_COLUMNS, ARMS
from undertow.learning.registry import write_entry
from undertow.learning.scoring import OnnxScorer
from undertow.learning.train import PURGE_NS, held_out_metrics, split, train
from undertow.markets.generated import GeneratedMarket
from undertow.markets.generated_wire import CONTRACTS


def test_a_dataset_has_a_vector_and_36_outcomes_per_trigger_in_time_order(dataset):
    n = len(dataset)
    assert n > 200
    assert dataset.vectors.shape == (n, N_FEATURES)
    assert dataset.filled.shape == dataset.return_bps.shape == (n, 36)
    assert (np.diff(dataset.ts_ns) >= 0).all()
    assert np.isfinite(dataset.return_bps[dataset.filled]).all()
    assert np.isnan(dataset.return_bps[~dataset.filled]).all()
    assert dataset.schema_hash == SCHEMA_HASH
    assert set(dataset.trigger_signs) == {-1, 1}


def test_model_input_is_the_one_that_the_model_server_builds(dataset):
    from undertow.domain.order import Side  # noqa: PLC0415 - used here alone
    from undertow.learning.grid import model_input  # noqa: PLC0415 - used here alone

    whole = dataset.model_input().reshape(len(dataset), 36, -1)
    for row in (0, 17, len(dataset) - 1):
        side = Side.BUY if dataset.trigger_signs[row] > 0 else Side.SELL
        assert np.array_equal(whole[row], model_input(dataset.vectors[row], side))


def test_the_fingerprint_changes_with_any_value(dataset):
    changed = dataset.rows(np.arange(len(dataset)))
    assert changed.fingerprint == dataset.fingerprint
    changed.vectors[3, 3] += 1e-9
    assert changed.fingerprint != dataset.fingerprint


def test_the_splits_are_apart_by_more_than_any_trade(dataset):
    parts = split(dataset, SMALL.shares)
    for earlier, later in itertools.pairwise(parts):
        assert later.ts_ns[0] - earlier.ts_ns[-1] >= PURGE_NS
    assert sum(len(part) for part in parts) <= len(dataset)


def test_the_same_data_and_seed_give_the_same_hash(dataset, trained, tmp_path):
    again = train(dataset, SMALL, demonstration=True, data={})
    first = write_entry(tmp_path, trained.card, trained.return_onnx, trained.fill_onnx)
    assert write_entry(tmp_path, again.card, again.return_onnx, again.fill_onnx) == first
    other = train(dataset, replace(SMALL, seed=8), demonstration=True, data={})
    assert write_entry(tmp_path, other.card, other.return_onnx, other.fill_onnx) != first


def test_the_export_equals_catboost_and_takes_the_declared_columns(trained):
    assert max(trained.card.metrics["parity"].values()) <= 1e-5
    scorer = OnnxScorer(
        trained.return_onnx, trained.fill_onnx, model_hash="m", schema_hash="s", columns=N_FEATURES + len(ARM_COLUMNS)
    )
    scores = scorer.score(np.zeros((len(ARMS), N_FEATURES + len(ARM_COLUMNS)), dtype=np.float32))
    assert scores.return_bps.shape == scores.fill_probability.shape == (36,)
    assert ((scores.fill_probability >= 0) & (scores.fill_probability <= 1)).all()


def test_a_planted_edge_is_found_on_time_that_training_has_not_seen(trained):
    metrics = trained.card.metrics
    assert metrics["signal_share"] >= 0.6
    assert metrics["net_bps_mean"] > 3 * metrics["net_bps_mean_error"] > 0


@pytest.mark.unmeasured
def test_where_no_edge_is_planted_there_are_almost_no_signals():
    none = train(small_dataset(0.0), SMALL, demonstration=True, data={})
    assert none.card.metrics["signal_share"] <= 0.02


def test_held_out_metrics_count_only_what_was_filled(dataset):
    part = dataset.rows(np.arange(50))
    nothing = held_out_metrics(part, np.full((50, 36), -1.0), np.full((50, 36), 0.5))
    assert (nothing["signal_share"], nothing["trades"], nothing["net_bps_total"]) == (0.0, 0, 0.0)
    oracle = held_out_metrics(part, np.where(part.filled, part.return_bps, -1.0), np.ones((50, 36)))
    assert oracle["fill_share"] == 1.0
    assert oracle["net_bps_mean"] == pytest.approx(
        np.mean([m for m in np.nanmax(np.where(part.filled, part.return_bps, -1.0), axis=1) if m > 0]), abs=1e-5
    )


def test_too_little_data_is_an_error_that_says_so():
    market = GeneratedMarket(("BTCUSDT",))
    events = events_by_symbol(market, 60.0)
    small = build_dataset(events, {"BTCUSDT": CONTRACTS["BTCUSDT"].tick}, market.label)
    with pytest.raises(DatasetError, match="too few triggers"):
        train(small, SMALL, demonstration=True, data={})
    with pytest.raises(DatasetError, match="no liquidation"):
        build_dataset(events_by_symbol(market, 1.0), {"BTCUSDT": 0.1}, market.label)
