"""The control API of faults: seeds, settings, counts, bad input."""

from __future__ import annotations

from typing import Any

import pytest

from services.venue.app import build
from services.venue.settings import PaperSettings, Settings
from tests.services.venue.little_market import Client, order, running
from tests.services.venue.mischief.bench import (
    CREATE,
    add,
    struck,
)
from tests.support import eventually
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime

# seeds, settings, counts


async def test_the_same_seed_schedules_the_same_chaos_and_another_another(client):
    async def scheduled(seed: int) -> list[dict[str, Any]]:
        wanted = {"seed": seed, "intensity": 0.7, "for_ms": 60_000}
        async with client.session.post("/control/chaos", json=wanted) as answer:
            assert answer.status == 200
            listed = (await answer.json())["faults"]
        async with client.session.delete("/control/faults") as answer:
            assert len((await answer.json())["removed"]) == len(listed)
        return [{key: value for key, value in each.items() if key not in ("id", "state")} for each in listed]

    first, again, other = await scheduled(3), await scheduled(3), await scheduled(4)
    assert first == again
    assert first != other
    assert (await client.page("/control/faults"))["faults"] == []


BAD_INPUT = [
    ("/control/faults", "{", "body"),
    ("/control/faults", "[" * 100_000, "body"),
    ("/control/faults", '[{"action": "drop"}, {"action": "drop", "probability": 7}]', "faults[1].probability"),
    ("/control/faults", '{"action": "refuse", "code": 1, "endpoint": "order/make"}', "fault.endpoint"),
    ("/control/chaos", "[]", "chaos"),
    ("/control/chaos", "{}", "chaos.seed"),
    ("/control/chaos", '{"seed": -1}', "chaos.seed"),
    ("/control/chaos", '{"seed": 1, "intensity": 2}', "chaos.intensity"),
    ("/control/chaos", '{"seed": 1, "speed": 2}', "chaos.speed"),
    ("/control/chaos", '{"seed": 1, "scenario": "doom"}', "chaos.scenario"),
]


async def test_bad_input_is_a_400_that_names_field_rule_and_remedy_and_changes_nothing(client):
    for path, body, field in BAD_INPUT:
        async with client.session.post(path, data=body) as answer:
            error = await answer.json()
            assert (answer.status, error["field"]) == (400, field)
            assert error["error"] == f"{error['field']}: {error['rule']}; {error['remedy']}"
    assert (await client.page("/control/faults"))["faults"] == []


async def test_an_unknown_fault_cannot_be_removed(client):
    name = await add(client, action="drop", where="private")
    async with client.session.delete("/control/faults/f99") as answer:
        error = await answer.json()
        assert (answer.status, error["field"]) == (404, "id")
        assert name in error["remedy"]


async def test_hits_are_listed_counted_and_measured(client):
    await add(client, action="refuse", endpoint="order/create", code=10016, count=2)
    for _ in range(3):
        await client.post(CREATE, order(price="64000.00"))
    (fault,) = (await client.page("/control/faults"))["faults"]
    assert (fault["asked"], fault["hits"], fault["state"]) == (2, 2, "over")
    assert await struck(client, "refuse") == 2
    await eventually(lambda: measured(client, "refuse", 2.0))


def measured(client: Client, action: str, value: float) -> bool:
    lines = client.venue._runtime.metrics.render().decode().splitlines()
    ours = [line for line in lines if line.startswith("undertow_venue_faults_total") and f'action="{action}"' in line]
    return [float(line.split()[-1]) for line in ours] == [value]


async def test_a_venue_can_begin_with_faults_of_its_settings(tape, tmp_path):
    file = tmp_path / "faults.json"
    file.write_text('[{"action": "refuse", "endpoint": "order/create", "code": 10016}]')
    async with running(tape=tape, faults=str(file)) as client:
        await eventually(lambda: client.has_sent(2))
        assert (await client.post(CREATE, order(price="64000.00")))["retCode"] == 10016
    async with running(tape=tape, chaos_seed=3, chaos_intensity=0.4) as client:
        assert len((await client.page("/control/faults"))["faults"]) > 15


async def test_the_same_seed_and_requests_meet_the_same_faults_in_another_venue(tape):
    async def codes(seed: int) -> list[int]:
        fault = f'{{"action": "refuse", "endpoint": "account/info", "code": 10016, "probability": 0.5, "seed": {seed}}}'
        async with running(tape=tape, faults=fault) as client:
            return [(await client.get("/v5/account/info", ""))["retCode"] for _ in range(16)]

    first, again, other = await codes(1), await codes(1), await codes(2)
    assert first == again
    assert first != other
    assert set(first) == {0, 10016}


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ('[{"action": "drop", "count": 0}]', "faults[0].count: 0 is not a whole number"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("/nowhere/faults.json", "cannot be read"),
    ],
)
def test_faults_in_the_settings_that_cannot_be_are_named(tape, given, rule):
    settings = Settings(paper=PaperSettings(tape=tape, faults=given))
    with pytest.raises(ConfigurationError) as caught:
        build(settings, Runtime("venue", settings))
    assert caught.value.variable == "UNDERTOW_PAPER__FAULTS"
    assert rule in caught.value.rule
