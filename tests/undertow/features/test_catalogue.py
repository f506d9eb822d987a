from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np

from tests.undertow.features.facts import SECOND, RandomMarket
from undertow.features.catalogue import FEATURES, INDEX_OF, N_FEATURES, NAMES, SCHEMA_HASH, Group, document
from undertow.features.events import events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.layout import LONGEST, NEIGHBOUR_BUCKETS, NEIGHBOUR_WINDOWS
from undertow.features.slots import SLOTS
from undertow.features.vector import write_vector


def test_there_are_at_least_thirty_features_of_every_group_with_a_name_of_their_own():
    assert N_FEATURES >= 30
    assert len(set(NAMES)) == N_FEATURES
    assert {feature.group for feature in FEATURES} == set(Group)
    assert all(feature.unit and feature.formula and feature.default for feature in FEATURES)
    assert [INDEX_OF[name] for name in NAMES] == list(range(N_FEATURES))


def test_no_rolling_window_is_longer_than_the_ring():
    assert all(feature.window * 10 <= LONGEST for feature in FEATURES if not feature.name.endswith("_age_s"))
    assert max(NEIGHBOUR_WINDOWS) < NEIGHBOUR_BUCKETS


def test_every_slot_has_a_value_and_an_age_and_what_stands_for_nothing_can_be_true():
    for slot in SLOTS:
        known, age = FEATURES[INDEX_OF[slot.feature]], FEATURES[INDEX_OF[f"{slot.name}_age_s"]]
        assert known.group is age.group is Group.OUTSIDE
        assert age.window == float(age.default) == slot.limit_seconds
        assert float(known.default) == slot.default
        assert slot.lowest <= Decimal(slot.default) / Decimal(slot.scale) <= slot.highest


def test_the_kernel_writes_as_many_values_as_the_catalogue_names():
    state = FeatureState.empty()
    sweep(state, TriggerRule(), events_of(RandomMarket(1).messages(50)))
    out = np.full(N_FEATURES + 5, np.nan)
    assert write_vector(*state, out) == N_FEATURES
    assert np.isfinite(out[:N_FEATURES]).all()
    assert np.isnan(out[N_FEATURES:]).all()


def test_a_ratio_stays_within_the_range_that_its_unit_names():
    rule = TriggerRule(warm_ns=0, sample_ns=SECOND // 5)
    values = sweep(FeatureState.empty(), rule, events_of(RandomMarket(2).messages(4000))).values
    assert len(values) > 300
    for index, feature in enumerate(FEATURES):
        if "[" in feature.unit:
            low, high = (float(part) for part in feature.unit.partition("[")[2].rstrip("]").split(","))
            assert low <= values[:, index].min(), feature.name
            assert values[:, index].max() <= high, feature.name


def test_the_page_of_features_is_current():
    page = Path(__file__).parents[3] / "docs" / "features.md"
    assert page.read_text(encoding="utf-8") == document(), (
        "run: python -m undertow.features.catalogue > docs/features.md"
    )


def test_the_schema_hash_is_short_and_stable_text():
    assert len(SCHEMA_HASH) == 16
    assert int(SCHEMA_HASH, 16) >= 0
