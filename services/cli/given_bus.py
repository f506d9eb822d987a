"""A Redis or a cluster that `undertow run` is given instead of bringing its own: checked and claimed before anything is started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.resp import Connection, Link
from undertow.bus.routes import CLUSTER_SCHEME, Routes, asked, routes_to
from undertow.contracts.streams import STREAMS
from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import FILE_SUFFIX, PREFIX, BusSettings, ServiceSettings, load

VARIABLE: Final = f"{PREFIX}BUS__URL"
OWNER: Final = "undertow:owner"
"""Key that says whose streams these are: the mode, and for paper the run."""
OLDEST_REDIS: Final = (6, 2)
_TIMEOUT_S: Final = 5.0
_SCAN_PAGE: Final = 1000
_SHOWN: Final = 3
_BEGINNING_S: Final = 120
"""Longer than a fleet takes to start."""


class _Choice(ServiceSettings):
    bus: BusSettings


def given_url() -> str:
    """Give the url that the environment names, "" when the launcher is to bring a Redis along.

    Raises:
        ConfigurationError: it is none.
    """
    forms = {VARIABLE, VARIABLE + FILE_SUFFIX, VARIABLE.partition("__")[0]}
    return "" if forms.isdisjoint(os.environ) else load(_Choice).bus.url


async def claim(url: str, mode: Mode, run: str) -> str:
    """Check that the bus can carry this run, and mark it as this run's; say what it is, without its password.

    Paper runs begin with a market of their own each time, so they need a bus without our streams; other modes go on with the streams of
    the same mode.

    Raises:
        ConfigurationError: it does not answer, is too old, would forget, is not whole, or belongs to another run.
    """
    async with _routes(url) as routes:
        nodes = await routes.links(())
        facts = [await _ask(node, "INFO") for node in nodes]
        for each in facts:
            _check_server(each, url)
        if urlsplit(url).scheme == CLUSTER_SCHEME:
            for node in nodes:
                _check_cluster(await _ask(node, "CLUSTER", "INFO"))
        streams = sorted([key for node in nodes for key in await _streams(node)])
        await _own(routes.link(OWNER), mode, run, streams)
    return _label(url, facts)


@contextlib.asynccontextmanager
async def _routes(url: str) -> AsyncIterator[Routes]:
    try:
        routes = routes_to(url, _TIMEOUT_S)
    except ValueError as error:
        raise ConfigurationError(VARIABLE, str(error), "correct it") from None
    try:
        yield routes
    except BusAwayError as error:
        remedy = "start it, or unset the variable to have a Redis brought along"
        raise ConfigurationError(VARIABLE, f"Redis does not answer: {error}", remedy) from None
    except BusRefusedError as error:
        raise ConfigurationError(
            VARIABLE, f"Redis refuses: {error}", "correct the address, the login or its rights"
        ) from None
    finally:
        await routes.close()


async def _ask(node: Link, *command: str) -> dict[str, str]:
    (reply,) = await (await node.once()).ask(command)
    lines = reply.decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


async def _streams(node: Link) -> list[str]:
    names = {stream.name for stream in STREAMS}
    connection: Connection = await node.once()
    keys: list[str] = []
    cursor: Any = b"0"
    while True:
        ((cursor, found),) = await connection.ask(("SCAN", cursor, "COUNT", _SCAN_PAGE, "TYPE", "stream"))
        keys += [key.decode() for key in found]
        if cursor == b"0":
            return [key for key in keys if key.partition(":")[0] in names]


def _check_server(facts: dict[str, str], url: str) -> None:
    version = facts["redis_version"]
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        raise ConfigurationError(VARIABLE, f"Redis {version} is too old", "6.2 or later is needed")
    if facts["cluster_enabled"] == "1" and urlsplit(url).scheme != CLUSTER_SCHEME:
        raise ConfigurationError(
            VARIABLE, "is a node of a cluster", f"set it to {CLUSTER_SCHEME}://HOST:PORT[,HOST:PORT…]"
        )
    if facts["maxmemory_policy"] != "noeviction":
        rule = f"Redis throws data away when memory is short (maxmemory-policy {facts['maxmemory_policy']})"
        raise ConfigurationError(VARIABLE, rule, "CONFIG SET maxmemory-policy noeviction")


def _check_cluster(facts: dict[str, str]) -> None:
    if facts["cluster_state"] != "ok" or facts["cluster_slots_ok"] != "16384":
        rule = f"the cluster is not whole: state {facts['cluster_state']}, {facts['cluster_slots_ok']} of 16384 slots served"
        raise ConfigurationError(VARIABLE, rule, "`redis-cli --cluster fix HOST:PORT`, then try again")


async def _own(link: Link, mode: Mode, run: str, streams: list[str]) -> None:
    is_paper = mode is Mode.PAPER
    mark = f"{mode} {run}" if is_paper else f"{mode}"
    # a paper run's streams speak for it once it has begun; the mark only keeps two from beginning at once
    expiry = ("EX", _BEGINNING_S) if is_paper else ()

    async def ask(connection: Connection) -> bytes | None:
        (owner,) = await connection.ask(("GET", OWNER))
        if owner is None and not streams:
            (taken,) = await connection.ask(("SET", OWNER, mark, "NX", *expiry))
            return mark.encode() if taken else None
        return bytes(owner) if owner else None

    owner = await asked(link, ask)
    if owner != mark.encode():
        whose = f"the run {owner.decode()!r}" if owner else "another run"
        some = f" ({', '.join(streams[:_SHOWN])}{', …' if len(streams) > _SHOWN else ''})" if streams else ""
        remedy = f"name an empty Redis or database, or empty it once nobody needs it: the streams and the key {OWNER}"
        raise ConfigurationError(VARIABLE, f"belongs to {whose}{some}", remedy)


def _label(url: str, facts: list[dict[str, str]]) -> str:
    place = url.rpartition("@")[2].rpartition("://")[2]
    versions = "/".join(dict.fromkeys(each["redis_version"] for each in facts))
    kept = "" if all(each["aof_enabled"] == "1" for each in facts) else ", without an append-only file"
    kind = f"Redis Cluster {versions}, {len(facts)} masters" if CLUSTER_SCHEME in url else f"Redis {versions}"
    return f"{kind} at {place}{kept}"
