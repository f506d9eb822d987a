"""Frame received → order bytes written, in the running fleet, beside a floor in the same run: `python -m bench.tick_to_order`.

`undertow run` is started twice with the generated market (real processes, embedded Redis, paper venue), once at the speed of the
market and once eight times faster; thresholds are low, so that most cascades decide something. What an entry order took is read from the
run's own report.

The floor is the least that the same path can cost in this language on this machine: four processes with bare blocking sockets, three Redis
hops, the same grid inference, the same journal write (append and fdatasync) and a write to a loopback socket. It uses the fleet's own Redis
while the fleet runs, so both have the same background. Its messages are paced, the fleet's come in cascades: the ratio contains that.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import hiredis
import numpy as np

from undertow.domain.order import Side
from undertow.domain.state import Mode
from undertow.learning.grid import model_input
from undertow.learning.registry import load_serving

COMMAND = "python -m bench.tick_to_order"
SPEEDS = {"market speed": 1, "8 × market speed": 8}
SECONDS = 20
START_TIMEOUT_S = 60
END_TIMEOUT_S = 60
FLOOR_PER_S = 10
FLOOR_COUNT = 170
FLOOR_WARM_UP = 20
FRAME_BYTES, ORDER_BYTES, RECORD_BYTES = 400, 314, 700
GROUP = "g"
LAST = 3
SETTINGS = {
    "UNDERTOW_FEATURES__THRESHOLD_USDT": "500",
    "UNDERTOW_FEATURES__REFRACTORY_SECONDS": "0.1",
    "UNDERTOW_POLICY__EXPLORATION_BUDGET_BPS": "1e6",
    "UNDERTOW_SIGNAL__VALID_MS": "4000",
    "UNDERTOW_RISK__MAX_SIGNAL_AGE_MS": "4000",
    "UNDERTOW_RISK__MAX_ORDERS_PER_SECOND": "400",
    "UNDERTOW_PAPER__RATE_LIMITS": '{"order/create": 400, "order/cancel": 400}',
}


# the floor: each stage is a process with one blocking socket


class Redis:
    """A blocking socket, hiredis' packer and reader."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.reader = hiredis.Reader()

    def send(self, *commands: tuple[Any, ...]) -> None:
        self.socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))

    def reply(self) -> Any:
        while (reply := self.reader.gets()) is False:
            self.reader.feed(self.socket.recv(65_536))
        return reply

    def entries(self, key: str) -> Iterator[bytes]:
        """Read a stream as a group; acknowledge with the next read."""
        self.send(("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM"))
        self.reply()
        ack: tuple[tuple[Any, ...], ...] = ()
        while True:
            self.send(*ack, ("XREADGROUP", "GROUP", GROUP, "c", "COUNT", 16, "BLOCK", 60_000, "STREAMS", key, ">"))
            for _ in ack:
                self.reply()
            found = self.reply()[0][1]
            ack = (("XACK", key, GROUP, *(entry_id for entry_id, _ in found)),)
            yield from (fields[1] for _, fields in found)


def stage(number: int, path: str, run: str) -> None:
    """Live as one stage: 0 makes frames, 1 makes vectors, 2 scores, 3 journals and writes the order."""
    redis = Redis(path)
    source, target = f"bench:{run}:{number - 1}", f"bench:{run}:{number}"
    add = ("XADD", target, "MAXLEN", "~", 10_000, "*", b"m")

    if number == 0:
        pace = random.Random(1)  # noqa: S311 - a pace, no secret
        for _ in range(FLOOR_COUNT):
            time.sleep(pace.uniform(0.2, 1.8) / FLOOR_PER_S)
            redis.send((*add, time.time_ns().to_bytes(8, "big") + bytes(FRAME_BYTES)))
            redis.reply()
        return

    work = {1: _vector, 2: _scoring, 3: _order}[number]()
    took = []
    with tempfile.TemporaryDirectory(dir=os.environ["FLOOR_HOME"]) as folder:
        file = os.open(f"{folder}/journal", os.O_CREAT | os.O_RDWR | os.O_APPEND)
        there, here = socket.socketpair()
        for count, raw in enumerate(redis.entries(source), 1):
            body = work(raw)
            if number < LAST:
                redis.send((*add, raw[:8] + body))
                redis.reply()
            else:
                os.write(file, bytes(RECORD_BYTES))
                os.fdatasync(file)
                here.sendall(body)
                took.append((time.time_ns() - int.from_bytes(raw[:8], "big")) / 1e6)
                there.recv(65_536)
            if count == FLOOR_COUNT:
                break
    if took:
        print(json.dumps(took[FLOOR_WARM_UP:]))


def _vector() -> Any:
    values = np.random.default_rng(1).normal(size=40).tobytes()
    return lambda _raw: values


def _scoring() -> Any:
    entry = load_serving(Path("var/no-registry"), Mode.PAPER)
    scorer, columns = entry.scorer(), len(entry.card.features)

    def score(raw: bytes) -> bytes:
        vector = np.resize(np.frombuffer(raw[8:], dtype="<f8"), columns)
        scores = scorer.score(model_input(vector, Side.BUY))
        return int((scores.return_bps * scores.fill_probability).argmax()).to_bytes(1, "big") + bytes(200)

    return score


def _order() -> Any:
    return lambda _raw: bytes(ORDER_BYTES)


# the fleet


class Run:
    """One `undertow run` in a folder of its own, and the floor beside it."""

    def __init__(self, home: Path, speed: int) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.environment = (
            os.environ
            | SETTINGS
            | {
                "UNDERTOW_VAR": str(home / "var"),
                "UNDERTOW_CONSOLE_PORT": str(port),
                "UNDERTOW_PAPER__RATE": str(speed),
                "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(Path("var/numba").absolute())),
                "TMPDIR": str(home),
                "FLOOR_HOME": str(home),
            }
        )

    def measure(self) -> tuple[dict[str, Any], list[float]]:
        """Give the report, and what each message of the floor took, ms."""
        output = self.home / "output.txt"
        with output.open("wb") as file:
            fleet = subprocess.Popen(
                [sys.executable, "-m", "services.cli", "run", "--for", str(SECONDS)],
                env=self.environment, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while "console:" not in output.read_text():
                if fleet.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"the fleet did not start: {output.read_text().strip()[-300:]}")
                time.sleep(0.05)
            floor = self._floor()
            fleet.wait(END_TIMEOUT_S)
        finally:
            if fleet.poll() is None:
                fleet.send_signal(signal.SIGINT)
                fleet.wait(END_TIMEOUT_S)
        report = json.loads((self.home / "var" / "run-report.json").read_text())
        if report["errors"] or not report["tick_to_order_ms"]["n"]:
            sys.exit(f"the run measured nothing: {report['failures'] or report['verdicts']}")
        return report, floor

    def _floor(self) -> list[float]:
        path = next(self.home.glob("**/redis.sock"))
        stages = []
        for number in range(LAST, -1, -1):
            command = [sys.executable, "-m", "bench.tick_to_order", str(number), str(path), "floor"]
            stages.append(subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True))
        try:
            took: list[float] = json.loads(stages[0].communicate(timeout=SECONDS + 20)[0])
            for each in stages:
                each.wait(5)
        finally:
            for each in stages:
                each.kill()
        return took


def tell(name: str, value: float, floor: float | None = None, **more: object) -> None:
    ratio = {"ratio_to": "floor", "ratio": round(value / floor, 2)} if floor else {"ratio_to": None, "ratio": None}
    print(json.dumps({"name": name, "value": round(value, 3), "unit": "ms", **ratio, "command": COMMAND, **more}))


def main() -> None:
    for label, speed in SPEEDS.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            report, took = Run(Path(home), speed).measure()
        cuts = quantiles(took, n=100, method="inclusive")
        floor = {"p50": cuts[49], "p99": cuts[98]}
        rates = {
            "frames_per_s": round(report["frames_received"] / report["seconds"]),
            "decisions_per_s": round(report["feature_vectors"] / report["seconds"], 2),
            "load": round(os.getloadavg()[0], 2),
        }
        whole = report["tick_to_order_ms"]
        for share, least in floor.items():
            tell(f"tick to order, {label}, {share}", whole[share], least, n=whole["n"], **rates)
        for share, least in floor.items():
            tell(f"tick to order, {label}, floor, {share}", least, n=len(took), per_s=FLOOR_PER_S)
        for hop, figures in report["latency_ms"].items():
            for share in floor:
                tell(f"hop {hop}, {label}, {share}", figures[share], n=figures["n"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        stage(int(sys.argv[1]), *sys.argv[2:])
    else:
        main()
