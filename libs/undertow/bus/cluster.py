"""Where the keys of a Redis Cluster are: redis-py reads the cluster's own map, our bare connections carry the commands.

A node that refuses a key (MOVED, ASK, TRYAGAIN, CLUSTERDOWN) or does not answer makes the map stale; it is read again before the next
connection. ASK is not followed: a key that is on its way from one node to another is waited for, and found where it arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
)

from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.resp import CONNECT_TIMEOUT_S, DEFAULT_PORT, Address, Connection, DirectLink, Link

LOOK_EVERY_S: Final = 0.1
FORM: Final = "redis+cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]"


def parse_seeds(url: str) -> tuple[Address, ...]:
    """Read `redis+cluster://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]`: some nodes of one cluster, which name the others.

    Raises:
        ValueError: it is not of this form; a cluster has no numbered databases.
    """
    parts = urlsplit(url)
    login, _, places = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"a cluster's address ends with its nodes, it has no database or options; give {FORM}")
    seeds = []
    for place in places.split(","):
        one = urlsplit(f"//{place}")
        try:
            port = DEFAULT_PORT if one.port is None else one.port
        except ValueError:
            port = 0
        if not one.hostname or not port or one.path:
            raise ValueError(f"{place!r} is not HOST:PORT of a node; give {FORM}")
        seeds.append(Address(one.hostname, port, username=unquote(username), password=unquote(password)))
    return tuple(seeds)


class Topology:
    """The cluster's map, as redis-py reads it from whichever node answers."""

    def __init__(self, seeds: Sequence[Address]) -> None:
        self._login = seeds[0]
        self._client = RedisCluster(
            startup_nodes=[ClusterNode(seed.host, seed.port) for seed in seeds],
            username=self._login.username or None,
            password=self._login.password or None,
            require_full_coverage=False,  # where one master is away, only its keys are
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=CONNECT_TIMEOUT_S,
        )
        self._lock = asyncio.Lock()
        self._stale = True
        self._looked_at = float("-inf")

    def distrust(self) -> None:
        """Read the map again before its next use."""
        self._stale = True

    async def address_of(self, key: str) -> Address:
        """Give the master that has a key.

        Raises:
            BusAwayError: no node tells, or none has the key's slot.
            BusRefusedError: it is no cluster, or it does not let us in.
        """
        await self._look()
        try:
            node = self._client.nodes_manager.get_node_from_slot(key_slot(key.encode()))
        except (KeyError, SlotNotCoveredError) as error:
            self._stale = True
            raise BusAwayError(f"no node of the cluster has the slot of {key!r}") from error
        return self._address(node)

    async def masters(self) -> list[Address]:
        """Give every master.

        Raises:
            BusAwayError: no node tells.
            BusRefusedError: it is no cluster, or it does not let us in.
        """
        await self._look()
        return [self._address(node) for node in self._client.get_primaries()]

    async def close(self) -> None:
        """Disconnect."""
        await self._client.nodes_manager.aclose()
        await self._client.nodes_manager.aclose("startup_nodes")

    def _address(self, node: ClusterNode) -> Address:
        return Address(node.host, int(node.port), username=self._login.username, password=self._login.password)

    async def _look(self) -> None:
        async with self._lock:  # many keys may lose their node at once, and one look serves them all
            now = asyncio.get_running_loop().time()
            if not self._stale or now - self._looked_at < LOOK_EVERY_S:
                return
            self._looked_at = now
            try:
                await self._client.nodes_manager.initialize()
            except (RedisError, RedisClusterException, OSError) as error:
                if isinstance(error.__cause__, AuthenticationError | AuthorizationError | RedisClusterException):
                    raise BusRefusedError(str(error.__cause__)) from error
                raise BusAwayError(str(error)) from error
            self._stale = False


class Cluster:
    """The routes of a cluster. See `Routes`."""

    def __init__(self, seeds: Sequence[Address], answer_timeout_s: float, topology: Topology | None = None) -> None:
        self._seeds = seeds
        self._answer_timeout_s = answer_timeout_s
        self._owns_topology = topology is None
        self.topology = topology or Topology(seeds)
        self._nodes: dict[Address, DirectLink] = {}

    def lane(self, key: str) -> str:
        """See `Routes.lane`."""
        return key

    def shares(self, keys: Sequence[str]) -> list[tuple[str, ...]]:
        """See `Routes.shares`."""
        shares: dict[int, list[str]] = {}
        for key in keys:
            shares.setdefault(key_slot(key.encode()), []).append(key)
        return [tuple(share) for share in shares.values()]

    def link(self, key: str) -> Link:
        """See `Routes.link`."""
        return KeyLink(self, key)

    async def links(self, keys: Sequence[str]) -> list[Link]:
        """See `Routes.links`."""
        places = [await self.topology.address_of(key) for key in keys] if keys else await self.topology.masters()
        return [self.node(place) for place in dict.fromkeys(places)]

    def node(self, address: Address) -> DirectLink:
        """Give the link to one node."""
        link = self._nodes.get(address)
        if link is None:
            link = self._nodes[address] = DirectLink(address, self._answer_timeout_s)
        return link

    def apart(self) -> Cluster:
        """See `Routes.apart`."""
        return Cluster(self._seeds, self._answer_timeout_s, self.topology)

    async def close(self) -> None:
        """See `Routes.close`."""
        self.disconnect()
        if self._owns_topology:
            await self.topology.close()

    def disconnect(self) -> None:
        """End every connection to a node."""
        for link in self._nodes.values():
            link.close()


class KeyLink(Link):
    """The way to one key: to the node that has it now."""

    def __init__(self, cluster: Cluster, key: str) -> None:
        self._cluster = cluster
        self._key = key

    async def once(self) -> Connection:
        """See `Link.once`."""
        node = self._cluster.node(await self._cluster.topology.address_of(self._key))
        try:
            return await node.once()
        except BusAwayError:
            self.distrust()
            raise

    def distrust(self) -> None:
        """See `Link.distrust`."""
        self._cluster.topology.distrust()

    def close(self) -> None:
        """See `Link.close`; to whom the connections are shared, it ends for all."""
        self._cluster.disconnect()
