"""The bus: `open_bus` gives the real one; `undertow.bus.memory.MemoryBus` is its twin within a process."""

from __future__ import annotations

from undertow.bus.ports import Bus, Delivery, Topic, Watch
from undertow.bus.settings import PublisherSettings, ReaderSettings
from undertow.runtime.settings import BusSettings

__all__ = ["Bus", "Delivery", "Topic", "open_bus"]


def open_bus(
    settings: BusSettings, producer: str, *, watch: Watch | None = None, reading: ReaderSettings | None = None
) -> Bus:
    """Make the bus of a process; it connects when it is first used.

    Args:
        settings: where Redis is (one server, or some nodes of a cluster), and the outage budget.
        producer: service name and boot id (`Runtime.producer`).
        watch: told of hops and dead letters (`Runtime.bus_watch`).
        reading: limits of readers.

    Raises:
        ValueError: the url is no address of Redis.
    """
    from undertow.bus.redis_bus import RedisBus  # noqa: PLC0415 - the memory bus must work where hiredis is not installed

    publishing = PublisherSettings(outage_s=settings.outage_seconds, outage_bytes=settings.outage_bytes)
    return RedisBus(settings.url, producer, watch=watch, reading=reading, publishing=publishing)
