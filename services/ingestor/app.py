"""The shell of the ingestor: frames in, facts out in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from services.ingestor.core import Drop, Effect, IngestorCore, Publish
from services.ingestor.settings import Settings
from undertow.bus import open_bus
from undertow.bus.errors import BusOverflowError
from undertow.bus.ports import Bus, Topic
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import FeedFault, FeedSuspect, Gap, Liquidations
from undertow.contracts.metrics import (
    BOOK_GAPS,
    FRAMES_DROPPED,
    FRAMES_RECEIVED,
    INGEST_SECONDS,
    LIQUIDATION_FEED_SUSPECT,
    LIQUIDATIONS,
)
from undertow.contracts.streams import MARKET
from undertow.exchange.bybit.public_ws import BybitPublicStream, Connected, Frames, PublicEvent
from undertow.runtime.clock import SECOND_NS, wall_ns
from undertow.runtime.service import Runtime

Publication = tuple[Topic, Message, tuple[int, ...]]
NOBODY = "none"  # the label of frames that belong to no symbol of ours


class Ingestor:
    """Publishes what the public stream says about its symbols."""

    def __init__(self, settings: Settings, runtime: Runtime, bus: Bus, stream: BybitPublicStream) -> None:
        self._runtime = runtime
        self._bus = bus
        self._stream = stream
        self._depth = settings.feed.depth
        self._core = IngestorCore(
            settings.symbols,
            depth=self._depth,
            checkpoint_ns=round(settings.feed.checkpoint_seconds * SECOND_NS),
            silence_ns=round(settings.feed.liquidation_silence_seconds * SECOND_NS),
        )
        self._topics = {symbol: Topic(MARKET, symbol=symbol) for symbol in settings.symbols}
        metrics = runtime.metrics
        self._received = {s: metrics.counter(FRAMES_RECEIVED, symbol=s) for s in (*settings.symbols, NOBODY)}
        for symbol in settings.symbols:  # series that are 0 from the start can be alerted on
            metrics.counter(BOOK_GAPS, symbol=symbol)
            metrics.counter(LIQUIDATIONS, symbol=symbol)
            for fault in FeedFault:
                metrics.gauge(LIQUIDATION_FEED_SUSPECT, symbol=symbol, fault=fault).set(0)
        self._handling = metrics.histogram(INGEST_SECONDS)
        self._connected = False
        self._blind: dict[str, None] = {}  # symbols whose readers have missed facts and do not know it yet

    def unready_reason(self) -> str | None:
        """Ready when subscribed, with every book that has begun in step."""
        if not self._connected:
            return "not subscribed to the venue's public stream"
        lost = self._core.out_of_sync
        return f"no trustworthy book of {', '.join(lost)}" if lost else None

    async def run(self) -> None:
        """Follow the public stream until cancelled.

        Raises:
            SubscriptionRefusedError: the venue does not offer a topic that we need.
        """
        try:
            async with contextlib.aclosing(self._stream.events()) as events:
                async for event in events:
                    await self._on_event(event)
        finally:
            await self._bus.close()

    async def _on_event(self, event: PublicEvent) -> None:
        if isinstance(event, Frames):
            await self._on_frames(event)
        elif isinstance(event, Connected):
            self._connected = True
        else:
            self._connected = False
            self._runtime.log.warning("public_stream_lost", reason=event.reason)
            now_ns = self._runtime.clock.now_ns()
            owed = self._owed(now_ns)
            await self._publish(owed, self._collect(self._core.on_disconnected(event.reason, now_ns), ()))

    async def _on_frames(self, event: Frames) -> None:
        now_ns = self._runtime.clock.now_ns()
        arrived = wall_ns()
        owed = self._owed(now_ns)  # before our books move on
        publications: list[Publication] = []
        for raw, received_wall_ns in event.frames:
            begin = wall_ns()
            # what waited in our own buffer was received that much earlier
            recv_ns = now_ns - round((arrived - received_wall_ns) * self._runtime.clock.rate)
            effects = self._core.on_frame(raw, recv_ns)
            publications += self._collect(effects, (received_wall_ns,))
            await self._resubscribe(effects)
            self._handling.observe((wall_ns() - begin) / 1e9)
        await self._publish(owed, publications)

    def _owed(self, now_ns: int) -> list[Publication]:
        effects = self._core.on_unpublished(self._blind, now_ns)
        return [(self._topics[e.symbol], e.fact, ()) for e in effects if isinstance(e, Publish)]

    def _collect(self, effects: Iterable[Effect], hops: tuple[int, ...]) -> list[Publication]:
        publications: list[Publication] = []
        symbol = NOBODY
        for effect in effects:
            if isinstance(effect, Publish):
                symbol = effect.symbol
                publications.append((self._topics[symbol], effect.fact, hops))
                if isinstance(effect.fact, Liquidations):
                    self._runtime.metrics.counter(LIQUIDATIONS, symbol=symbol).inc(len(effect.fact.liquidations))
                elif isinstance(effect.fact, Gap):
                    self._runtime.metrics.counter(BOOK_GAPS, symbol=symbol).inc()
                    self._runtime.log.warning(
                        "book_gap", symbol=symbol, reason=effect.fact.reason, detail=effect.fact.detail
                    )
                elif isinstance(effect.fact, FeedSuspect):
                    self._suspect(effect.fact)
            elif isinstance(effect, Drop):
                symbol = effect.symbol or NOBODY
                self._runtime.metrics.counter(FRAMES_DROPPED, reason=effect.reason).inc()
                if effect.reason == "malformed":
                    self._runtime.log.warning("frame_dropped", symbol=symbol, detail=effect.detail)
        if hops and effects:
            self._received[symbol].inc()
        return publications

    def _suspect(self, suspect: FeedSuspect) -> None:
        gauge = self._runtime.metrics.gauge(LIQUIDATION_FEED_SUSPECT, symbol=suspect.symbol, fault=suspect.fault)
        gauge.set(float(suspect.suspected))
        self._runtime.log.warning(
            "liquidation_feed_suspect" if suspect.suspected else "liquidation_feed_in_order",
            symbol=suspect.symbol,
            fault=suspect.fault,
            evidence=suspect.evidence,
        )

    async def _resubscribe(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Publish | Drop):
                await self._stream.resubscribe(f"orderbook.{self._depth}.{effect.symbol}")

    async def _publish(self, owed: list[Publication], new: list[Publication]) -> None:
        if not owed and not new:
            return
        try:
            await self._bus.publish_many([*owed, *new])
            self._blind.clear()
        except BusOverflowError as error:
            self._runtime.metrics.counter(FRAMES_DROPPED, reason="bus_away").inc(len(new))
            for symbol in {topic.symbol: None for topic, _, _ in new if topic.symbol not in self._blind}:
                self._blind[symbol] = None
                self._runtime.metrics.counter(BOOK_GAPS, symbol=symbol).inc()
                self._runtime.survived("bus_overflow", error, symbol=symbol)
            await asyncio.sleep(0)


def build(settings: Settings, runtime: Runtime) -> Ingestor:
    """Choose the real implementations."""
    bus = open_bus(settings.bus.url, runtime.producer, watch=runtime.bus_watch)
    symbols = settings.symbols
    requests = [
        [f"orderbook.{settings.feed.depth}.{symbol}" for symbol in symbols],
        [f"{kind}.{symbol}" for symbol in symbols for kind in ("publicTrade", "tickers", "kline.1")],
        [f"allLiquidation.{symbol}" for symbol in symbols],
    ]
    stream = BybitPublicStream(settings.venue.public_url, requests, stale_s=settings.feed.stale_seconds)
    return Ingestor(settings, runtime, bus, stream)
