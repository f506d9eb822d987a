"""The containers as a user starts them. Grafana's image is left out where it cannot be had; its queries are run against Prometheus."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "infra" / "grafana" / "dashboards").glob("*.json"))
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


def compose(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    command = ["docker", "compose"] if plugin else ["docker-compose"]
    environment = os.environ | {
        "COMPOSE_PROJECT_NAME": "undertow-e2e",
        "DOCKER_BUILDKIT": "0",
        "COMPOSE_DOCKER_CLI_BUILD": "0",
    }
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, check=check, capture_output=True, text=True, env=environment
    )


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def ask(query: str) -> list:
    return get(f"http://127.0.0.1:9090/api/v1/query?query={urllib.parse.quote(query)}")["data"]["result"]


def until(what, seconds: float):
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = what()
        except OSError as error:
            value, reason = None, error
        else:
            reason = value
        if value:
            return value
        assert time.monotonic() < deadline, reason
        time.sleep(1)


@pytest.fixture(scope="module")
def services():
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.fail("no Docker engine answers; start one, `make e2e` needs it")
    declared = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    wanted = [
        name
        for name, service in declared.items()
        if "build" in service
        or subprocess.run(["docker", "image", "inspect", service["image"]], capture_output=True, check=False).returncode
        == 0
        or subprocess.run(["docker", "pull", "-q", service["image"]], capture_output=True, check=False).returncode == 0
    ]
    assert set(declared) - set(wanted) <= {"grafana"}
    built = compose("build", *[name for name in wanted if "build" in declared[name]], check=False)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    began = time.monotonic()
    try:
        up = compose("up", "-d", "--no-build", *wanted, check=False)
        assert up.returncode == 0, up.stderr
        yield {"wanted": wanted, "declared": declared, "began": began}
    finally:
        compose("down", "-v", "--remove-orphans")


def unhealthy(services) -> list[str]:
    ids = compose("ps", "-q").stdout.split()
    states = json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True, text=True).stdout)
    return [s["Name"] for s in states if s["State"].get("Health", {"Status": "healthy"})["Status"] != "healthy"]


def test_every_service_becomes_healthy_within_ninety_seconds(services):
    until(lambda: not unhealthy(services), 90 - (time.monotonic() - services["began"]))
    assert len(compose("ps", "-q").stdout.split()) == len(services["wanted"])


def test_prometheus_sees_every_target_up(services):
    until(lambda: ask("min(up) == 1"), 60)
    assert len(ask("up")) == len([s for s in services["declared"].values() if "build" in s]) + 2


def test_the_fleet_trades_and_the_books_agree(services):
    until(lambda: ask("sum(undertow_round_trips_total) > 0"), 180)
    until(lambda: ask("max(undertow_position_residual) == 0 and max(abs(undertow_money_residual_usdt)) == 0"), 60)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_of_every_dashboard_returns_data(services, dashboard):
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            until(lambda expr=target["expr"]: ask(expr), 60)


def test_only_the_four_consoles_are_published_and_only_on_this_machine(services):
    published = [port for service in services["declared"].values() for port in service.get("ports", [])]
    assert sorted(published) == [
        "127.0.0.1:3000:3000",
        "127.0.0.1:8080:8080",
        "127.0.0.1:9090:9090",
        "127.0.0.1:9093:9093",
    ]


def test_containers_run_as_nobody_special_on_a_read_only_root(services):
    ids = compose("ps", "-q").stdout.split()
    for state in json.loads(
        subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True, text=True).stdout
    ):
        assert state["HostConfig"]["ReadonlyRootfs"], state["Name"]
        assert state["Config"]["User"] not in ("", "root", "0"), state["Name"]
