"""Starts the venue's process, and points the clients of this process at it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
PRICE = "65000.00"
OPENING = "1000"


class RunningVenue:
    """A venue that listens.

    Attributes:
        port: of plain HTTP.
        tls_port: of TLS, at some distance.
        plain_port: of plain HTTP, at some distance.
        ca_file: what a client must trust.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port: int = json.loads(process.stdout.readline())["port"]
        self.tls_port, self.plain_port = json.loads(process.stdout.readline())["relays"]
        self.ca_file: str = self.control("tls")["ca_file"]
        until(lambda: self.control("stats")["frames_sent"] > 10)

    def control(self, page: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control/{page}") as answer:
            return json.load(answer)

    def ledger(self, key: str) -> dict[str, Any]:
        """Give what the venue's core says of the account of a key."""
        return self.control(f"ledger?key={key}")

    def tell(self, **command: Any) -> None:
        """Command the market."""
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()


def until(happens: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until something is true, without a loop of asyncio; give its value."""
    deadline = monotonic() + seconds
    while not (value := happens()):
        if monotonic() > deadline:
            pytest.fail(f"did not happen within {seconds:g} s")
        sleep(0.01)
    return value


@contextlib.contextmanager
def running_venue(folder: Path, *keys: str, rsa: Mapping[str, str]) -> Iterator[RunningVenue]:
    """Start the venue with an account for each key; those of `rsa` have a public key instead of a secret."""
    accounts = [
        {
            "uid": str(200_001 + number),
            "opening_balance": OPENING,
            "vip_level": 3,
            "keys": [{"key": key} | ({"rsa_public_key": rsa[key]} if key in rsa else {"secret": f"{key}-secret"})],
        }
        for number, key in enumerate((*keys, *rsa))
    ]
    environment = {
        **os.environ,
        "UNDERTOW_PAPER__ACCOUNTS": json.dumps(accounts),
        "UNDERTOW_PAPER__ORIGIN": "now",
        "UNDERTOW_PAPER__TLS_FOLDER": str(folder / "tls"),
        "UNDERTOW_LOG__LEVEL": "warning",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.services.venue.clients.venue_process"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield RunningVenue(process)
    finally:
        process.terminate()
        code = process.wait(10)
        process.stdin.close()
        process.stdout.close()
    assert code == 0


def point_at(venue: RunningVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve Bybit's names to the venue in this process, and trust its authority."""
    resolve = socket.getaddrinfo

    def locally(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(host, str) and host.endswith(".bybit.com"):
            return resolve("127.0.0.1", venue.tls_port, *rest, **more)
        return resolve(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", locally)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "WEBSOCKET_CLIENT_CA_BUNDLE"):
        monkeypatch.setenv(name, venue.ca_file)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
