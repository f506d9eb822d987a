import contextlib
import fcntl
import gzip
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep

import pytest

from services.cli.snapshots import ask, chosen, latest
from tests.fleet.fleet import ROOT, Fleet, free_port
from tests.support import recorded

Sides = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]
pytestmark = [
    pytest.mark.fleet,
    pytest.mark.timeout(240),
    pytest.mark.skipif(os.name != "posix", reason="needs signals"),
]

LONG = pytest.mark.long


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(*options: str, **environment: str) -> Fleet:
        started.append(Fleet(tmp_path, *options, **environment))
        return started[-1]

    yield begin
    for fleet in started:
        fleet.launcher.kill()
        fleet.launcher.wait()


def assert_clean(fleet: Fleet, code: int, expected: int = 0) -> None:
    assert code == expected, fleet.text
    assert fleet.left_behind() == []


def test_the_fleet_trades_round_trips_and_its_books_agree_with_the_venues(start):
    fleet = start("--for", "22", "--rate", "2")
    assert_clean(fleet, fleet.wait())
    report = fleet.report()
    for field in ("liquidations", "feature_vectors", "signals", "orders_submitted", "fills", "round_trips"):
        assert report[field] > 0, (field, report)
    assert (report["position_residual"], report["money_residual_usdt"]) == ("0", "0")
    assert (report["book_gaps"], report["dead_letters"], report["errors"]) == (0, 0, 0), report
    assert report["tick_to_order_ms"]["n"] > 0, report["tick_to_order_ms"]
    assert set(report["rss_mb"]) >= {"ingestor", "feature_hub", "model_server", "order_router", "guardian", "venue"}


def assert_books_end_like_the_tape(fleet: Fleet, tape: Path) -> None:
    """Rebuild each book from what the snapshotter stored and compare it with the tape's own frames, by plain dictionaries."""
    wanted: dict[str, Sides] = {}
    with gzip.open(tape) as lines:
        for line in lines:
            frame = json.loads(line.partition(b" ")[2])
            if frame.get("topic", "").startswith("orderbook."):
                data = frame["data"]
                sides = wanted.setdefault(data["s"], ({}, {}))
                apply(sides, data["b"], data["a"], whole=frame["type"] == "snapshot")
    stored: dict[str, Sides] = {}
    found = ask(
        chosen(str(latest(fleet.home / "var"))),
        "SELECT symbol, snapshot, bids, asks FROM book ORDER BY symbol, producer_sequence",
    )
    for row in found.records:
        sides = stored.setdefault(row["symbol"], ({}, {}))
        apply(sides, row["bids"], row["asks"], whole=row["snapshot"])
        bid, ask_price = best(sides)
        assert bid < ask_price, row["symbol"]
    assert len(stored) == 4
    assert {symbol: best(sides) for symbol, sides in stored.items()} == {s: best(sides) for s, sides in wanted.items()}


def apply(sides: Sides, bids: list[list[str]], asks: list[list[str]], *, whole: bool) -> None:
    for side, levels in zip(sides, (bids, asks), strict=True):
        if whole:
            side.clear()
        side.update({Decimal(price): Decimal(size) for price, size in levels})
        for price in [price for price, size in side.items() if not size]:
            del side[price]


def best(sides: Sides) -> tuple[Decimal, Decimal]:
    return max(sides[0]), min(sides[1])


def test_every_frame_of_a_recorded_tape_goes_through_the_fleet(start):
    tape = recorded("bybit/linear-20260809.rawlines.gz")
    fleet = start("--for", "16", "--tape", str(tape), "--rate", "3")
    assert_clean(fleet, fleet.wait())
    report = fleet.report()
    assert report["frames_received"] - report["frames_injected"] == 2529, report
    assert_books_end_like_the_tape(fleet, tape)
    assert (report["book_gaps"], report["dead_letters"], report["errors"]) == (0, 0, 0), report
    assert (report["position_residual"], report["money_residual_usdt"]) == ("0", "0")
    assert report["orders_submitted"] > 0, report


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline
        sleep(0.005)


@pytest.mark.parametrize(
    "newest", ["cli.warm", *(pytest.param(n, marks=LONG) for n in ("redis", "venue", "admin")), "guardian"]
)
def test_an_interrupt_during_start_up_leaves_nothing(start, newest):
    """Interrupt as soon as the process `newest` is there; those after it are not yet."""
    fleet = start()
    until(lambda: fleet.pids(newest))
    fleet.interrupt()
    assert_clean(fleet, fleet.wait(60))
    report = fleet.home / "var" / "run-report.json"
    assert not report.exists() or fleet.report()["errors"] == 0, fleet.report()


@pytest.mark.parametrize("gap", [0.4, *(pytest.param(gap, marks=LONG) for gap in (0.1, 1.0))])
def test_a_second_interrupt_changes_nothing(start, gap):
    fleet = start()
    until(lambda: fleet.pids("admin"))
    for _ in range(4):
        fleet.interrupt()
        sleep(gap)
    assert_clean(fleet, fleet.wait(60))


def test_an_interrupt_while_the_launcher_still_imports_leaves_nothing(start):
    fleet = start()
    maps = Path(f"/proc/{fleet.launcher.pid}/maps")
    until(lambda: "_pydantic_core" in maps.read_text())
    fleet.interrupt()
    assert_clean(fleet, fleet.wait(60))


@pytest.mark.parametrize("moment", ["at once", "when it trades"])
def test_ctrl_c_in_a_terminal_stops_the_fleet_and_not_make(tmp_path, moment):
    controller, terminal = pty.openpty()
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@cd {ROOT} && exec {sys.executable} -m services.cli run\n")
    environment = os.environ | {"UNDERTOW_VAR": str(tmp_path / "var"), "UNDERTOW_CONSOLE_PORT": str(free_port())}
    with subprocess.Popen(
        ["make", "-f", str(makefile), "run"],
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - this process has one thread
    ) as make:
        os.close(terminal)
        until(lambda: os.tcgetpgrp(controller) != make.pid)  # the launcher has made Ctrl-C its own
        shown = b""
        while moment == "when it trades" and b"console:" not in shown:
            shown += os.read(controller, 4096)
        os.write(controller, b"\x03")
        with contextlib.suppress(OSError):  # the other end is closed when all have ended
            while more := os.read(controller, 4096):
                shown += more
        assert make.wait(60) == 0, shown.decode(errors="replace")
    os.close(controller)


def test_nothing_outlives_a_launcher_that_is_killed(start):
    fleet = start()
    fleet.until("console:")
    fleet.launcher.send_signal(signal.SIGKILL)
    fleet.wait()
    sleep(1.0)
    running = [what for what in fleet.left_behind() if "services." in what or "redis-server" in what]
    assert running == []


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"UNDERTOW_MODE": "papre"}, "UNDERTOW_MODE"),
        ({"UNDERTOW_PAPER__RATE": "fast"}, "UNDERTOW_PAPER__RATE"),
        ({"UNDERTOW_PAPER__TAPE": "/nowhere/tape.gz"}, "UNDERTOW_PAPER__TAPE"),
        ({"UNDERTOW_SYMBOLS": "BTCUSDT,BTCUSDT"}, "UNDERTOW_SYMBOLS"),
        ({"UNDERTOW_MODE": "live"}, "BYBIT_API_KEY"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_and_nothing_is_started(start, environment, words):
    fleet = start("--for", "5", **environment)
    assert_clean(fleet, fleet.wait(60), expected=4)
    assert words in fleet.text
    assert len(fleet.text.strip().splitlines()) == 1, fleet.text


def test_a_console_port_in_use_is_named(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fleet = start("--for", "5", UNDERTOW_CONSOLE_PORT=str(port))
        assert fleet.wait(60) == 4
        assert f"port {port}" in fleet.text
        assert fleet.left_behind() == []


def test_a_corrupt_tape_is_named_with_its_line(start, tmp_path):
    tape = tmp_path / "broken.txt"
    tape.write_text(
        '1786310819526357000 {"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT"},"ts":1}\n17 {"to\n'
    )
    fleet = start("--for", "5", "--tape", str(tape))
    assert_clean(fleet, fleet.wait(60), expected=4)
    assert "broken.txt" in fleet.text
    assert "2" in fleet.text
    assert len(fleet.text.strip().splitlines()) == 1
