"""The bus: `open_bus` gives the real one; `undertow.bus.memory.MemoryBus` is its twin within a process."""

from __future__ import annotations

from undertow.bus.ports import Bus, Delivery, Topic, Watch
from undertow.bus.settings import PublisherSettings, ReaderSettings

__all__ = ["Bus", "Delivery", "Topic", "open_bus"]


def open_bus(
    url: str,
    producer: str,
    *,
    watch: Watch | None = None,
    reading: ReaderSettings | None = None,
    publishing: PublisherSettings | None = None,
) -> Bus:
    """Make the bus of a process; it connects when it is first used.

    Args:
        url: `redis://[USER:PASSWORD@]HOST:PORT/DB`, `unix:///PATH.sock`, or some nodes of a cluster:
            `redis+cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]`.
        producer: service name and boot id (`Runtime.producer`).
        watch: told of hops and dead letters (`Runtime.bus_watch`).
        reading: limits of readers.
        publishing: limits of the publisher.

    Raises:
        ValueError: the url is none of these.
    """
    from undertow.bus.redis_bus import RedisBus  # noqa: PLC0415 - the memory bus must work where hiredis is not installed

    return RedisBus(url, producer, watch=watch, reading=reading, publishing=publishing)
