from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue.faults.catalogue import ACTIONS
from services.venue.faults.chaos import SCENARIOS, chaos
from services.venue.faults.specs import read_specs
from tests.services.venue.faults.little_venue import VOCABULARY


@settings(deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 1), st.integers(1_000, 200_000), st.sampled_from(tuple(SCENARIOS)))
def test_a_schedule_is_repeatable_valid_and_within_its_length(seed, intensity, for_ms, scenario) -> None:
    schedule = chaos(seed, intensity, for_ms, scenario)
    assert schedule == chaos(seed, intensity, for_ms, scenario)
    if schedule:
        specs = read_specs(schedule, VOCABULARY)
        assert max(spec.from_ms for spec in specs) < for_ms
        assert all(spec.from_ms or spec.for_ms == for_ms for spec in specs)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_the_mixed_scenario_leaves_out_what_ends_any_run(seed) -> None:
    schedule = chaos(seed, 1.0)
    assert not {"ban", "maintenance"} & {fault["action"] for fault in schedule}
    assert all(abs(fault.get("skew_ms", 0)) < 1_000 for fault in schedule)


def test_all_scenarios_together_use_every_action() -> None:
    used = {fault["action"] for name in SCENARIOS for fault in chaos(1, 1.0, scenario=name)}
    assert set(ACTIONS) == used


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_more_intensity_is_more_of_it_and_none_is_none(scenario) -> None:
    def weight(intensity: float) -> float:
        return sum(fault.get("probability", 1.0) for fault in chaos(5, intensity, scenario=scenario))

    assert chaos(5, 0.0, scenario=scenario) == []
    assert weight(0.1) < weight(0.5) < weight(1.0)
