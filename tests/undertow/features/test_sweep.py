"""Properties of whole sweeps: online is offline, no look-ahead, no memory beyond the windows, the same tape the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import recorded
from tests.undertow.features.facts import EXAMPLES, SECOND, RandomMarket, outside_world, tape_messages
from undertow.features.arrival import in_known_order
from undertow.features.catalogue import FEATURES, Group
from undertow.features.events import KINDS, EventBuffer, Events, events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.layout import REASON_LONG, REASON_SHORT

RULE = TriggerRule(threshold_usdt=20_000, warm_ns=2 * SECOND, sample_ns=SECOND // 2)


def head(events: Events, count: int) -> Events:
    return Events(*(column[:count] for column in events))


@pytest.fixture(scope="module")
def market():
    return list(in_known_order(RandomMarket(11, gaps=True).messages(6000), outside_world(11, 120, 400)))


@pytest.fixture(scope="module")
def offline(market):
    vectors = sweep(FeatureState.empty(), RULE, events_of(market))
    assert len(vectors.rows) > 150
    assert {REASON_LONG, REASON_SHORT} <= set(vectors.reasons.tolist())
    outside = [n for n, feature in enumerate(FEATURES) if feature.group is Group.OUTSIDE]
    assert (np.ptp(vectors.values[:, outside], axis=0) > 0).all()
    return vectors


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_online_in_random_batches_is_offline_in_one_call_bit_for_bit(market, offline, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(market)), max_size=60)))
    state, buffer, found = FeatureState.empty(), EventBuffer(), []
    for begin, end in zip([0, *cuts], [*cuts, len(market)], strict=True):
        for message in market[begin:end]:
            buffer.append_fact(message)
        found.append(sweep(state, RULE, buffer.columns(), capacity=8))
        buffer.clear()
    assert np.concatenate([part.values for part in found]).tobytes() == offline.values.tobytes()
    assert np.concatenate([part.clock_ns for part in found]).tobytes() == offline.clock_ns.tobytes()
    assert np.concatenate([part.quotes for part in found]).tobytes() == offline.quotes.tobytes()


@settings(max_examples=EXAMPLES, deadline=None)
@given(cut=st.integers(0, 20_000), seed=st.integers(0, 1000))
def test_altering_what_comes_later_changes_nothing_before(market, offline, cut, seed):
    events = events_of(market)
    cut = min(cut, len(events.kind) - 1)
    chance = np.random.default_rng(seed)
    altered = Events(*(column.copy() for column in events))
    count = len(events.kind) - cut
    altered.kind[cut:] = chance.integers(0, KINDS, count)
    altered.price[cut:] = chance.uniform(0, 2000, count)
    altered.size[cut:] = chance.uniform(0, 100, count)
    altered.ts_ns[cut:] += chance.integers(-SECOND, SECOND, count)
    vectors = sweep(FeatureState.empty(), RULE, altered)
    before = offline.rows < cut
    assert vectors.values[vectors.rows < cut].tobytes() == offline.values[before].tobytes()


def test_a_vector_from_history_cut_at_its_row_is_the_same(market, offline):
    events = events_of(market)
    for index in (0, len(offline.rows) // 2, len(offline.rows) - 1):
        alone = sweep(FeatureState.empty(), RULE, head(events, int(offline.rows[index]) + 1))
        assert alone.values[-1].tobytes() == offline.values[index].tobytes()


def test_history_older_than_the_windows_leaves_no_trace():
    rule = TriggerRule(threshold_usdt=20_000, warm_ns=0)
    market = RandomMarket(12, step_ms=50, checkpoint_every=40).messages(4000)  # 200 s
    whole = sweep(FeatureState.empty(), rule, events_of(market))
    begin = next(n for n, m in enumerate(market) if n > 1200 and getattr(m, "snapshot", False))
    slow = [m for m in market[:begin] if type(m).__name__ in ("OpenInterest", "Funding", "LongShortRatio")]
    late = sweep(FeatureState.empty(), rule, events_of([*slow, *market[begin:]]))
    settled = market[begin].ts_event + 62 * SECOND
    expected = whole.values[whole.clock_ns >= settled]
    assert len(expected) > 10
    assert late.values[late.clock_ns >= settled].tobytes() == expected.tobytes()


@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 400))
def test_no_sequence_of_rows_gives_a_vector_that_is_not_finite(seed, count):
    chance = np.random.default_rng(seed)
    times = 1_786_310_819 * SECOND + np.cumsum(chance.integers(-SECOND, 2 * SECOND, count))
    numbers = np.array([0.0, 1.0, 99.9, 100.0, 100.1, 1e9, -5.0, np.nan, np.inf])
    events = Events(
        times,
        chance.integers(0, KINDS + 2, count).astype(np.uint8),
        chance.choice(numbers, count),
        chance.choice(numbers, count),
    )
    rule = TriggerRule(threshold_usdt=1, warm_ns=0, refractory_ns=0, sample_ns=1)
    assert np.isfinite(sweep(FeatureState.empty(), rule, events).values).all()


@pytest.mark.parametrize("symbol", ["BTCUSDT", "DOGEUSDT"])
def test_the_recorded_tape_gives_the_same_vectors_twice(symbol):
    path = recorded("bybit/linear-20260809.rawlines.gz")
    rule = TriggerRule(warm_ns=10 * SECOND, sample_ns=SECOND)
    states = [FeatureState.empty(), FeatureState.empty()]
    first, second = (sweep(state, rule, events_of(tape_messages(path, symbol))) for state in states)
    assert len(first.rows) >= 25
    assert first.values.tobytes() == second.values.tobytes()
    assert np.isfinite(first.values).all()
    assert (first.quotes[:, 0] < first.quotes[:, 1]).all()
    assert states[0].invalid_books == states[0].ignored_rows == 0


def test_without_the_jit_the_kernels_give_the_same_numbers():
    market = list(in_known_order(RandomMarket(13).messages(700), outside_world(13, 14, 60)))
    program = (
        "import sys; import numpy as np\n"
        "from tests.undertow.features.facts import RandomMarket, outside_world\n"
        "from undertow.features.arrival import in_known_order\n"
        "from undertow.features.events import events_of\n"
        "from undertow.features.kernel import FeatureState, TriggerRule, advance, sweep\n"
        "assert not hasattr(advance, 'signatures')\n"
        "rule = TriggerRule(threshold_usdt=20_000, warm_ns=2_000_000_000)\n"
        "market = in_known_order(RandomMarket(13).messages(700), outside_world(13, 14, 60))\n"
        "sys.stdout.buffer.write(sweep(FeatureState.empty(), rule, events_of(market)).values.tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    rule = TriggerRule(threshold_usdt=20_000, warm_ns=2 * SECOND)
    compiled = sweep(FeatureState.empty(), rule, events_of(market)).values
    plain = np.frombuffer(done.stdout).reshape(compiled.shape)
    assert len(compiled) >= 3
    np.testing.assert_allclose(plain, compiled, rtol=1e-12, atol=1e-12)
