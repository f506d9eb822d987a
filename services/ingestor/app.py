"""The shell of the ingestor: its symbols' lines, and the venue's maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from services.ingestor.core import IngestorCore
from services.ingestor.line import Line
from services.ingestor.maintenance import Maintenance
from services.ingestor.settings import FeedSettings, Settings
from undertow.bus import open_bus
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.ports import Bus, Topic
from undertow.contracts.messages.reference import VenueStatus
from undertow.contracts.metrics import FEED_MAINTENANCE
from undertow.contracts.streams import VENUE
from undertow.exchange.budget.connects import ConnectBudget
from undertow.exchange.budget.ports import Budget, Priority
from undertow.exchange.budget.shared import SharedBudget, expose_circuit
from undertow.exchange.bybit.public_ws import BybitPublicStream, SubscriptionRefusedError
from undertow.exchange.kernels.warm import warm
from undertow.runtime.clock import SECOND_NS
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime
from undertow.runtime.settings import PREFIX

LOOK_EVERY_S: Final = 1.0
_STATUSES: Final = 20  # between two of them the stream has a few clock offsets


class Ingestor:
    """Follows the public stream of its symbols, several of them on each connection.

    Args:
        lines: the connections.
        bus: where facts go, and the venue's status comes from.
        budget: knows of bans; closed with the bus.
        runtime: of the service.
    """

    def __init__(self, lines: Sequence[Line], bus: Bus, budget: Budget, runtime: Runtime) -> None:
        self._lines = lines
        self._bus = bus
        self._budget = budget
        self._runtime = runtime
        self._maintenance = Maintenance()
        self._paused = runtime.metrics.gauge(FEED_MAINTENANCE)

    def unready_reason(self) -> str | None:
        """Ready when every line is; a ban does not touch a line that is up."""
        reason = next((reason for line in self._lines if (reason := line.unready_reason())), None)
        banned_for_s = self._budget.banned_for_s
        if reason is None or not banned_for_s:
            return reason
        return f"{reason}; the venue has banned our address, no connection for {banned_for_s:.0f} s more"

    async def run(self) -> None:
        """Follow the public stream until cancelled.

        Raises:
            ConfigurationError: the venue does not offer a topic that we need.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for line in self._lines:
                    tasks.create_task(line.run(), name="line")
                tasks.create_task(self._heed_maintenance(), name="maintenance")
        except* SubscriptionRefusedError as refused:
            raise ConfigurationError(
                f"{PREFIX}SYMBOLS", f"the venue refuses {refused.exceptions[0]}", "name contracts that it has"
            ) from None
        finally:
            await self._budget.close()
            await self._bus.close()

    async def _heed_maintenance(self) -> None:
        is_paused = False
        while True:
            try:
                for delivery in await self._bus.tail(Topic(VENUE), _STATUSES):
                    if isinstance(delivery.message, VenueStatus):
                        self._maintenance.on_status(delivery.message)
            except (BusAwayError, BusRefusedError) as error:
                self._runtime.log.warning("status_unknown", reason=str(error))
            why = self._maintenance.reason(self._runtime.clock.now_ns())
            if why is not None and not is_paused:
                self._runtime.log.warning("maintenance", title=why)
                await asyncio.gather(*(line.pause(why) for line in self._lines))
            elif why is None and is_paused:
                self._runtime.log.info("maintenance_over")
                for line in self._lines:
                    line.resume()
            is_paused = why is not None
            self._paused.set(float(is_paused))
            await asyncio.sleep(LOOK_EVERY_S)


def build(settings: Settings, runtime: Runtime) -> Ingestor:
    """Choose the real implementations, with compiled kernels."""
    warm()
    bus = open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch)
    proxy = settings.feed.proxy
    budget = SharedBudget(settings.bus.url, settings.venue.rest_url, runtime.clock, Priority.FACTS, proxy=proxy)
    return compose(settings, runtime, bus, budget)


def compose(settings: Settings, runtime: Runtime, bus: Bus, budget: Budget) -> Ingestor:
    """Lay out the lines of this shard over a bus, within a budget.

    Raises:
        ConfigurationError: the shard has no symbols.
    """
    feed, own = settings.feed, settings.own_symbols
    connects = ConnectBudget(feed.connects_per_five_minutes, runtime.clock, runtime.metrics)
    expose_circuit(budget, runtime.metrics)
    lines = []
    for at in range(0, len(own), feed.symbols_per_connection):
        core, requests = _watched(feed, own[at : at + feed.symbols_per_connection])
        stream = BybitPublicStream(
            settings.venue.public_url,
            requests,
            stale_s=feed.stale_seconds,
            proxy=feed.proxy,
            budget=budget,
            connects=connects,
        )
        lines.append(Line(core, stream, bus, runtime))
    return Ingestor(lines, bus, budget, runtime)


def _watched(feed: FeedSettings, symbols: Sequence[str]) -> tuple[IngestorCore, list[list[str]]]:
    core = IngestorCore(
        symbols,
        depth=feed.depth,
        checkpoint_ns=round(feed.checkpoint_seconds * SECOND_NS),
        silence_ns=round(feed.liquidation_silence_seconds * SECOND_NS),
    )
    requests = [
        [f"orderbook.{feed.depth}.{symbol}" for symbol in symbols],
        [f"{kind}.{symbol}" for symbol in symbols for kind in ("publicTrade", "tickers", "kline.1")],
        [f"allLiquidation.{symbol}" for symbol in symbols],
    ]
    return core, requests
