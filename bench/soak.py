"""The whole fleet on two hours of market at ten times the speed: does anything grow? `python -m bench.soak [--seconds 720] [--rate 10]`.

`undertow run` is started with real processes on the generated market, at a base rate above 200 frames a market second. Every few seconds
each process' resident memory, each stream's length and size and what Redis says it uses are read. Told: per process the slope of its memory
over the second half (the first fills caches and windows of fixed size), each stream's greatest length beside its limit, and what Redis
uses beside its streams: those below their limits still grow towards them. Exits 1 when a stream was longer than its limit allows, or when
the run's own report has errors or residuals.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import redis

from undertow.contracts.streams import STREAMS

COMMAND = "python -m bench.soak"
FRAME_RATE = 48  # of each symbol's book; with trades, tickers and candles above 200 frames a market second
EVERY_S = 3.0
START_TIMEOUT_S = 120
END_TIMEOUT_S = 120
ROUGHLY = 1.2  # `MAXLEN ~` cuts whole nodes of the stream only
SMALL = 200  # entries more that the rough cut of a short stream may leave

Series = dict[str, list[tuple[float, float]]]


def children(pid: int) -> dict[str, int]:
    """Give the fleet's processes below the launcher: name → pid."""
    found: dict[str, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if parent != pid:
            continue
        named = [word.decode() for word in words if word.startswith(b"services.")]
        name = named[0].removeprefix("services.") if named else "redis" if b"redis-server" in words[0] else "other"
        found[f"{name} {folder.name}" if name in found else name] = int(folder.name)
    return found


def resident_mb(pid: int) -> float | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def watch(fleet: subprocess.Popen[bytes], home: Path) -> tuple[Series, Series, dict[str, int]]:
    """Read memory, what Redis holds and lengths until the launcher ends."""
    memory: Series = {}
    held: Series = {"all that Redis holds": [], "streams": []}
    longest: dict[str, int] = {}
    bus: redis.Redis | None = None
    began = time.monotonic()
    while fleet.poll() is None:
        at_s = time.monotonic() - began
        for name, pid in children(fleet.pid).items():
            mb = resident_mb(pid)
            if mb is not None:
                memory.setdefault(name, []).append((at_s, mb))
        sockets = list(home.glob("**/redis.sock"))
        if sockets:
            bus = bus or redis.Redis(unix_socket_path=str(sockets[0]))
            try:
                keys = [key.decode() for key in bus.scan_iter(_type="stream")]
                for key in keys:
                    longest[key] = max(longest.get(key, 0), int(bus.xlen(key)))
                streams_mb = sum(int(bus.memory_usage(key) or 0) for key in keys) / 2**20
                held["streams"].append((at_s, streams_mb))
                held["all that Redis holds"].append((at_s, bus.info("memory")["used_memory"] / 2**20))
            except redis.RedisError:
                bus = None  # it is about to end
        time.sleep(EVERY_S)  # one reading and the next
    return memory, held, longest


def limit_of(key: str) -> int | None:
    name = key.split(":", maxsplit=1)[0]
    return next((stream.maxlen for stream in STREAMS if stream.pattern.split(":")[0] == name), None)


def slope_mb_per_min(points: list[tuple[float, float]]) -> float:
    """Fit a line to the second half."""
    half = [each for each in points if each[0] >= points[-1][0] / 2]
    if len(half) < 3:  # noqa: PLR2004 - a line needs more than its two ends
        return 0.0
    line = statistics.linear_regression([at for at, _ in half], [mb for _, mb in half])
    return line.slope * 60


def run(home: Path, seconds: float, rate: float) -> tuple[Series, Series, dict[str, int], dict[str, Any]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "UNDERTOW_VAR": str(home / "var"),
        "UNDERTOW_CONSOLE_PORT": str(port),
        "UNDERTOW_PAPER__FRAME_RATE": str(FRAME_RATE),
        "UNDERTOW_PAPER__RATE": str(rate),
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(Path("var/numba").absolute())),
        "TMPDIR": str(home),
    }
    output = home / "output.txt"
    with output.open("wb") as file:
        fleet = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "run", "--for", str(seconds)],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        memory, held, longest = watch(fleet, home)
    finally:
        if fleet.poll() is None:
            fleet.send_signal(signal.SIGINT)
            fleet.wait(END_TIMEOUT_S)
    path = home / "var" / "run-report.json"
    if not path.exists():
        sys.exit(f"the fleet did not run: {output.read_text().strip()[-300:]}")
    return memory, held, longest, json.loads(path.read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=720.0)
    parser.add_argument("--rate", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        memory, held, longest, report = run(Path(folder), options.seconds, options.rate)
    command = f"{COMMAND} --seconds {options.seconds:g} --rate {options.rate:g}"

    def tell(name: str, value: float, unit: str, to: tuple[str, float] | None = None, **more: object) -> None:
        ratio = {"ratio_to": to[0], "ratio": round(value / to[1], 4)} if to else {"ratio_to": None, "ratio": None}
        print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, **ratio, "command": command, **more}))

    market_s = report["seconds"] * options.rate
    tell("soak: frames per market second", report["frames_received"] / market_s, "frames/s", ("asked", 200.0))
    ended_s = max(points[-1][0] for points in memory.values())
    for name, points in sorted(memory.items()):
        at_s, last = points[-1]
        if at_s < ended_s - options.seconds / 4:
            continue  # it was there for the start only
        tell(
            f"soak: {name}, memory",
            slope_mb_per_min(points),
            "MiB/min",
            ("resident MiB", last),
            resident_mb=round(last, 1),
        )
    for name, points in held.items():
        tell(f"soak: {name}", slope_mb_per_min(points), "MiB/min", ("MiB", points[-1][1]), mb=round(points[-1][1], 1))
    too_long = []
    for key, most in sorted(longest.items()):
        limit = limit_of(key)
        if limit is None:
            tell(f"soak: {key}, longest", most, "entries")
            continue
        tell(f"soak: {key}, longest", most, "entries", ("its limit", float(limit)))
        if most > max(limit * ROUGHLY, limit + SMALL):
            too_long.append(key)
    kept = ("liquidations", "round_trips", "book_gaps", "dead_letters", "errors", "restarts")
    told = {name: report[name] for name in (*kept, "position_residual", "money_residual_usdt", "stream_lag_max")}
    tell("soak: frames received", report["frames_received"], "frames", **told)
    is_wrong = report["errors"] or report["position_residual"] != "0" or report["money_residual_usdt"] != "0"
    if too_long or is_wrong:
        sys.stderr.write(f"longer than their limit: {too_long or 'none'}; report: {told}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
