from pathlib import Path

import pytest

from services.cli.fleet import SERVICES, SHARDED, STOP_ORDER, FleetPlan, processes_of


def plan(*, has_own_bus: bool = True, shards: int = 1) -> FleetPlan:
    names = processes_of(SERVICES, shards)
    return FleetPlan(
        state=Path("/state"),
        logs=Path("/logs"),
        temporary=Path("/temporary"),
        bus_url="unix:///own.sock",
        ports={name: 9000 + number for number, name in enumerate(names)},
        has_paper_venue=False,
        has_own_bus=has_own_bus,
        shards=shards,
    )


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in ("UNDERTOW_BUS__URL", "UNDERTOW_BUS__URL_FILE", "UNDERTOW_SHARD"):
        monkeypatch.delenv(name, raising=False)


def test_one_of_each_is_called_by_its_service():
    assert processes_of(SERVICES, 1) == SERVICES
    assert "UNDERTOW_SHARD" not in plan().spec("ingestor").env


def test_several_of_a_service_each_get_a_share_a_port_a_log_and_a_place_of_their_own():
    three = plan(shards=3)
    specs = [three.spec(f"ingestor-{index}") for index in range(3)]
    assert [spec.env["UNDERTOW_SHARD"] for spec in specs] == ["0/3", "1/3", "2/3"]
    for name in ("UNDERTOW_HTTP__PORT", "UNDERTOW_STATE_DIR"):
        assert len({spec.env[name] for spec in specs}) == 3
    assert len({spec.log for spec in specs}) == 3
    assert {tuple(spec.argv[1:]) for spec in specs} == {("-m", "services.ingestor")}


@pytest.mark.parametrize("order", [SERVICES, STOP_ORDER])
def test_those_that_share_the_symbols_are_as_many_as_asked_and_the_others_one(order):
    names = processes_of(order, 2)
    assert len(names) == len(order) + len(SHARDED)
    assert set(SHARDED).isdisjoint(names)


def test_the_bus_that_is_given_is_inherited_as_it_was_given(monkeypatch):
    monkeypatch.setenv("UNDERTOW_BUS__URL_FILE", "/run/secrets/bus")
    env = plan(has_own_bus=False).spec("order_router").env
    assert env["UNDERTOW_BUS__URL_FILE"] == "/run/secrets/bus"
    assert "UNDERTOW_BUS__URL" not in env
    monkeypatch.delenv("UNDERTOW_BUS__URL_FILE")
    assert plan().spec("order_router").env["UNDERTOW_BUS__URL"] == "unix:///own.sock"
