"""A fleet under test: `undertow run` as a person starts it, in a folder and on a port of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

ROOT = Path(__file__).parents[2]


class Fleet:
    """One `undertow run` and what it left behind."""

    verb = "run"

    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.output = home / "output.txt"
        self.environment = (
            os.environ
            | {
                "UNDERTOW_VAR": str(home / "var"),
                "UNDERTOW_CONSOLE_PORT": str(self.port),
                "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(ROOT / "var" / "numba")),
                "TMPDIR": str(home),
            }
            | environment
        )
        self.before = processes()
        with self.output.open("wb") as output:
            self.launcher = subprocess.Popen(
                [sys.executable, "-m", "services.cli", self.verb, *options], cwd=ROOT, env=self.environment, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait(self, seconds: float = 150) -> int:
        """Wait for the launcher's end; give its exit code."""
        return self.launcher.wait(seconds)

    def interrupt(self) -> None:
        self.launcher.send_signal(signal.SIGINT)

    def until(self, words: str, seconds: float = 90) -> None:
        """Wait until the terminal shows `words`."""
        deadline = monotonic() + seconds
        while words not in self.text:
            assert self.launcher.poll() is None, self.text
            assert monotonic() < deadline, f"{words!r} did not appear: {self.text}"
            sleep(0.05)

    def report(self) -> dict[str, Any]:
        return json.loads((self.home / "var" / "run-report.json").read_text())

    def pids(self, name: str) -> list[int]:
        """Process ids of a service of this fleet."""
        mark = f"UNDERTOW_VAR={self.home / 'var'}"
        words = {"redis": "redis-server"}.get(name, f"services.{name}")
        return [pid for pid, (command, environment) in processes().items() if words in command and (
            mark in environment or str(self.home) in command)]  # fmt: skip

    def left_behind(self) -> list[str]:
        """What still runs, listens or lies about after the end."""
        mark = str(self.home)
        running = [c for c, e in processes().values() if mark in c or f"UNDERTOW_VAR={mark}" in e]
        temporary = [str(p) for p in self.home.glob("undertow-*")]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
                listening = []
            except OSError:
                listening = [f"port {self.port}"]
        return running + temporary + listening


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes() -> dict[int, tuple[str, str]]:
    """Give command line and environment of every process that we may read, zombies left out."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            environment = (path / "environ").read_bytes().replace(b"\0", b"\n").decode(errors="replace")
        except OSError:
            continue
        if command:
            found[int(path.name)] = (command, environment)
    return found
