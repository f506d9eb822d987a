"""The least that a frame's way to an order can cost in this language on this machine: `python -m bench.floor` is one stage of it.

Four processes with bare blocking sockets, three Redis hops, the same grid inference, the same journal write (append and fdatasync) and a
write to a loopback socket.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hiredis
import numpy as np

from undertow.domain.order import Side
from undertow.domain.state import Mode
from undertow.learning.grid import model_input
from undertow.learning.registry import load_serving

PER_S = 10
COUNT = 170
WARM_UP = 20
SECONDS = COUNT / PER_S
FRAME_BYTES, ORDER_BYTES, RECORD_BYTES = 400, 314, 700
GROUP = "g"
LAST = 3


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


def stage(number: int, path: str, home: str) -> None:
    """Live as one stage: 0 makes frames, 1 makes vectors, 2 scores, 3 journals and writes the order."""
    redis = Redis(path)
    source, target = f"bench:floor:{number - 1}", f"bench:floor:{number}"
    add = ("XADD", target, "MAXLEN", "~", 10_000, "*", b"m")

    if number == 0:
        pace = random.Random(1)  # noqa: S311 - a pace, no secret
        sys.stdin.readline()
        for _ in range(COUNT):
            time.sleep(pace.uniform(0.2, 1.8) / PER_S)
            redis.send((*add, time.time_ns().to_bytes(8, "big") + bytes(FRAME_BYTES)))
            redis.reply()
        return

    work = {1: _vector, 2: _scoring, 3: _order}[number]()
    took = []
    with tempfile.TemporaryDirectory(dir=home) as folder:
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
            if count == COUNT:
                break
    if took:
        print(json.dumps(took[WARM_UP:]))


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


class Floor:
    """The stages beside a fleet, in the fleet's own Redis; they wait for `begin`.

    Args:
        path: Redis' socket.
        home: a folder on the disk that the journal of the fleet is on.
    """

    def __init__(self, path: Path, home: Path, environment: Mapping[str, str]) -> None:
        self.stages = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.floor", str(number), str(path), str(home)],
                env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for number in range(LAST, -1, -1)
        ]  # fmt: skip

    def begin(self) -> None:
        first = self.stages[-1].stdin
        assert first is not None
        first.write("\n")
        first.flush()

    def took(self) -> list[float]:
        """Wait for the end; give what each message took, ms."""
        took: list[float] = json.loads(self.stages[0].communicate(timeout=SECONDS + 30)[0])
        return took

    def stop(self) -> None:
        for each in self.stages:
            each.kill()
            each.wait()


if __name__ == "__main__":
    stage(int(sys.argv[1]), *sys.argv[2:])
