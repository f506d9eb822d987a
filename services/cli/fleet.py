"""The fleet as local processes: which services there are, in which order they start and stop, and what each is told."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.cli.processes import ProcessSpec

SERVICES: Final = (
    "guardian",
    "order_router",
    "position_manager",
    "snapshotter",
    "model_server",
    "feature_hub",
    "ingestor",
    "rest_collector",
    "macro_collector",
    "admin",
)
"""Long-running services besides the venue, in the order in which they start."""

STOP_ORDER: Final = (
    "ingestor",
    "rest_collector",
    "macro_collector",
    "feature_hub",
    "model_server",
    "order_router",
    "position_manager",
    "snapshotter",
    "admin",
    "guardian",
    "venue",
    "redis",
)
"""Facts first, then decisions, then those that keep the books, then those that keep them safe."""

SHARDED: Final = ("ingestor", "rest_collector", "feature_hub", "snapshotter")
"""Services of which several may share the symbols. The others are one by design: the model server has one audit chain and one budget for
exploring, order router and position manager one account."""

_NICENESS: Final = {"snapshotter": 10, "admin": 10, "rest_collector": 10, "macro_collector": 10}
"""Who gives way to the services between a frame and its order."""

_INDEX: Final = "-"
"""Between a service's name and the number of its shard."""
_KEPT_FROM_OUR_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "PYTHONPATH")
_OURS: Final = (
    "UNDERTOW_",
    "BYBIT_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "SOCKS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT",
    "COVERAGE_",
)
SNAPSHOT_ROOT: Final = "UNDERTOW_SNAPSHOT__ROOT"


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """Where everything listens and writes.

    Attributes:
        state: directory of journals, checkpoints and snapshots.
        logs: directory with one log per process.
        temporary: directory of this run alone, removed at its end; the services' `TMPDIR`.
        ports: HTTP port of each process.
        shards: how many instances of each of `SHARDED` share the symbols.
        has_own_bus: False when the services inherit the address of a bus from our environment.
    """

    state: Path
    logs: Path
    temporary: Path
    bus_url: str
    ports: Mapping[str, int]
    has_paper_venue: bool
    has_own_bus: bool = True
    shards: int = 1

    def url(self, process: str) -> str:
        """Base URL of a process."""
        return f"http://127.0.0.1:{self.ports[process]}"

    def spec(self, process: str) -> ProcessSpec:
        """Describe a process of the fleet, named as by `processes_of`."""
        service, _, index = process.partition(_INDEX)
        return ProcessSpec(
            name=process,
            argv=[sys.executable, "-m", f"services.{service}"],
            env=self._environment(process) | ({"UNDERTOW_SHARD": f"{index}/{self.shards}"} if index else {}),
            log=self.logs / f"{process}.log",
            essential=service == "venue",
            niceness=_NICENESS.get(service, 0),
        )

    def _environment(self, process: str) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT_FROM_OUR_ENVIRONMENT or name.upper().startswith(_OURS)
        }
        told = {
            "UNDERTOW_HTTP__HOST": "127.0.0.1",
            "UNDERTOW_HTTP__PORT": str(self.ports[process]),
            "UNDERTOW_GUARDIAN__URL": self.url("guardian"),
            "UNDERTOW_STATE_DIR": str(self.state / process),
            "UNDERTOW_ADMIN__SERVICES": json.dumps({name: self.url(name) for name in self.ports}),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.temporary),
            "NUMBA_CACHE_DIR": str(numba_cache()),
        }
        if self.has_own_bus:
            told["UNDERTOW_BUS__URL"] = self.bus_url
        if not any(name.startswith(SNAPSHOT_ROOT) for name in os.environ):
            told[SNAPSHOT_ROOT] = str(self.state.parent / "snapshots")
        if self.has_paper_venue:
            venue = f"127.0.0.1:{self.ports['venue']}"
            told |= {
                "UNDERTOW_CLOCK__URL": f"http://{venue}/control/clock",
                "UNDERTOW_VENUE__REST_URL": f"http://{venue}",
                "UNDERTOW_VENUE__PUBLIC_URL": f"ws://{venue}/v5/public/linear",
                "UNDERTOW_VENUE__PRIVATE_URL": f"ws://{venue}/v5/private",
                "UNDERTOW_VENUE__TRADE_URL": f"ws://{venue}/v5/trade",
                "UNDERTOW_PAPER__START": "on_command",
            }
        return inherited | told


def processes_of(services: Sequence[str], shards: int) -> tuple[str, ...]:
    """Name the processes of services: a service by itself, or one of its shards."""
    names: list[str] = []
    for service in services:
        if service in SHARDED and shards > 1:
            names += [f"{service}{_INDEX}{index}" for index in range(shards)]
        else:
            names.append(service)
    return tuple(names)


def numba_cache() -> Path:
    """Where compiled kernels are kept between runs."""
    return Path(os.environ.get("NUMBA_CACHE_DIR", "var/numba")).absolute()


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def is_free(host: str, port: int) -> bool:
    """Answer whether we could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
