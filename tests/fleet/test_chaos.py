import os
import random
import signal
from time import sleep

import pytest

from tests.fleet.fleet import Fleet

KILLABLE = (
    "ingestor",
    "rest_collector",
    "feature_hub",
    "model_server",
    "order_router",
    "position_manager",
    "guardian",
    "snapshotter",
    "admin",
    "redis",
)
pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]


def assert_whole(fleet: Fleet, killed: list[str]) -> None:
    assert fleet.wait(180) == 0, fleet.text
    report = fleet.report()
    assert (report["position_residual"], report["money_residual_usdt"]) == ("0", "0"), report
    assert report["restarts"] == {name: killed.count(name) for name in sorted(set(killed))}, report
    assert report["round_trips"] > 0, report
    assert report["duplicate_orders"] == 0, report
    assert fleet.left_behind() == []


def kill(fleet: Fleet, name: str) -> None:
    (pid,) = fleet.pids(name)
    os.kill(pid, signal.SIGKILL)


def test_two_kills_in_the_middle_of_a_run_leave_the_books_whole(tmp_path):
    """The two that hold the most: the router with its orders, Redis with everybody's messages."""
    fleet = Fleet(tmp_path, "--for", "30")
    fleet.until("console:")
    sleep(8)
    for name in ("order_router", "redis"):
        kill(fleet, name)
        sleep(7)
    assert_whole(fleet, ["order_router", "redis"])


@pytest.mark.long
@pytest.mark.parametrize("name", KILLABLE)
def test_each_service_may_be_killed_in_the_middle_of_a_run(tmp_path, name):
    fleet = Fleet(tmp_path, "--for", "90")
    fleet.until("console:")
    sleep(20)
    kill(fleet, name)
    assert_whole(fleet, [name])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(int(os.environ.get("UNDERTOW_TEST_SEEDS", "3"))))
def test_random_kills_leave_the_books_whole(tmp_path, seed):
    chance = random.Random(seed)
    fleet = Fleet(tmp_path, "--for", "60", "--seed", str(seed))
    fleet.until("console:")
    killed = []
    for _ in range(5):
        sleep(chance.uniform(3, 6))
        killed.append(chance.choice(KILLABLE))
        kill(fleet, killed[-1])
    assert_whole(fleet, killed)
