"""Which connection leads to a key: one server has one answer, a cluster one for each slot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.resp import Address, Connection, DirectLink, Link, is_astray

T = TypeVar("T")
CLUSTER_SCHEME: Final = "redis+cluster"
MOST_REDIRECTS: Final = 5


class Routes(Protocol):
    """The ways to the keys of one Redis, over connections that all who ask for the same place share."""

    def lane(self, key: str) -> str:
        """Name what a key waits with while its place is away."""
        ...

    def shares(self, keys: Sequence[str]) -> list[tuple[str, ...]]:
        """Divide keys into those that one command may name together."""
        ...

    def link(self, key: str) -> Link:
        """Give the way to a key, wherever it moves."""
        ...

    async def links(self, keys: Sequence[str]) -> list[Link]:
        """Give one link to each place that has one of the keys now; without keys to each place that may have keys.

        Raises:
            BusAwayError: nobody says where they are.
        """
        ...

    def apart(self) -> Routes:
        """Give the same ways over connections of their own: for who blocks."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class OneServer:
    """The routes of a single Redis. See `Routes`."""

    def __init__(self, address: Address, answer_timeout_s: float) -> None:
        self._address = address
        self._answer_timeout_s = answer_timeout_s
        self._link = DirectLink(address, answer_timeout_s)

    def lane(self, key: str) -> str:
        """See `Routes.lane`."""
        del key
        return ""

    def shares(self, keys: Sequence[str]) -> list[tuple[str, ...]]:
        """See `Routes.shares`."""
        return [tuple(keys)]

    def link(self, key: str) -> Link:
        """See `Routes.link`."""
        del key
        return self._link

    async def links(self, keys: Sequence[str]) -> list[Link]:
        """See `Routes.links`."""
        del keys
        return [self._link]

    def apart(self) -> OneServer:
        """See `Routes.apart`."""
        return OneServer(self._address, self._answer_timeout_s)

    async def close(self) -> None:
        """See `Routes.close`."""
        self._link.close()


def routes_to(url: str, answer_timeout_s: float) -> Routes:
    """Read the url of a bus; nothing is connected yet.

    Raises:
        ValueError: it is no address of a Redis or of a cluster.
    """
    if urlsplit(url).scheme == CLUSTER_SCHEME:
        from undertow.bus.cluster import Cluster, parse_seeds  # noqa: PLC0415 - redis-py loads only where there is a cluster

        return Cluster(parse_seeds(url), answer_timeout_s)
    return OneServer(Address.parse(url), answer_timeout_s)


async def asked(link: Link, ask: Callable[[Connection], Awaitable[T]]) -> T:
    """Ask over a link, again where the answer says that the key has moved.

    Raises:
        BusAwayError: Redis is away, or the key is on its way from one node to another.
        BusRefusedError: Redis answered with an error.
    """
    for _ in range(MOST_REDIRECTS):
        connection = await link.once()
        try:
            return await ask(connection)
        except BusRefusedError as error:
            if not is_astray(error):
                raise
            last = error
            link.distrust()
    raise BusAwayError(f"no node serves the key now: {last}") from last
