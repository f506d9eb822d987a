"""One connection to the public stream and the symbols on it: frames in, facts out in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from services.ingestor.core import MALFORMED, Drop, Effect, IngestorCore, Publish
from services.ingestor.losses import Loss
from services.ingestor.rejects import Rejects
from undertow.bus.errors import BusOverflowError
from undertow.bus.ports import Publisher, Topic
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import FeedFault, FeedSuspect, Gap, Liquidations, RejectedFrame
from undertow.contracts.metrics import (
    BOOK_GAPS,
    FACTS_LOST,
    FEED_CONNECTIONS,
    FRAMES_DROPPED,
    FRAMES_RECEIVED,
    INGEST_SECONDS,
    LIQUIDATION_FEED_SUSPECT,
    LIQUIDATIONS,
    REJECTS_KEPT,
)
from undertow.contracts.streams import MARKET, REJECTS
from undertow.exchange.bybit.public_ws import BybitPublicStream, Connected, Frames, PublicEvent
from undertow.runtime.clock import wall_ns
from undertow.runtime.service import Runtime

Publication = tuple[Topic, Message, tuple[int, ...]]
BUS_AWAY: Final = "bus_away"
NOBODY: Final = "none"  # the label of frames that belong to no symbol of ours


@dataclass(frozen=True, slots=True)
class Batch:
    """What is published at once; the bus takes all of a key's facts, or none.

    Attributes:
        frames: by key, how many frames are published with its facts.
    """

    items: list[Publication] = field(default_factory=list)
    frames: Counter[str] = field(default_factory=Counter)


class Line:
    """Publishes what one connection says about its symbols.

    Args:
        core: of its symbols.
        stream: the connection.
        bus: where facts go.
        runtime: of the service.
    """

    def __init__(self, core: IngestorCore, stream: BybitPublicStream, bus: Publisher, runtime: Runtime) -> None:
        self._core = core
        self._stream = stream
        self._bus = bus
        self._runtime = runtime
        self._symbols = tuple(core.symbols)
        self._topics = {symbol: Topic(MARKET, symbol=symbol) for symbol in self._symbols}
        self._rejects = Rejects()
        metrics = runtime.metrics
        self._received = {s: metrics.counter(FRAMES_RECEIVED, symbol=s) for s in (*self._symbols, NOBODY)}
        for symbol in self._symbols:  # series that are 0 from the start can be alerted on
            for counter in (BOOK_GAPS, LIQUIDATIONS, FACTS_LOST):
                metrics.counter(counter, symbol=symbol)
            for fault in FeedFault:
                metrics.gauge(LIQUIDATION_FEED_SUSPECT, symbol=symbol, fault=fault).set(0)
        self._handling = metrics.histogram(INGEST_SECONDS)
        self._why_not: str | None = "not subscribed to the venue's public stream"
        self._losses: dict[str, Loss] = {}  # by symbol: what its readers have missed and do not know of yet
        self._turn = asyncio.Lock()  # frames and a pause come from two tasks; their facts must not overtake each other

    def unready_reason(self) -> str | None:
        """Ready when subscribed, with every book that has begun in step."""
        if self._why_not is not None:
            return f"{', '.join(self._symbols)}: {self._why_not}"
        lost = self._core.out_of_sync
        return f"no trustworthy book of {', '.join(lost)}" if lost else None

    async def run(self) -> None:
        """Follow the connection until cancelled.

        Raises:
            SubscriptionRefusedError: the venue does not offer a topic that we need.
        """
        async with contextlib.aclosing(self._stream.events()) as events:
            async for event in events:
                async with self._turn:
                    await self._on_event(event)

    async def pause(self, why: str) -> None:
        """Tell readers that they are blind, and hang up until `resume`."""
        self._why_not = f"maintenance of the venue: {why}"
        async with self._turn:
            now_ns = self._runtime.clock.now_ns()
            owed, batch = self._owed(now_ns), Batch()
            self._collect(batch, self._core.on_maintenance(why, now_ns))
            await self._publish(owed, batch)
        await self._stream.hold()

    def resume(self) -> None:
        """Connect again; fresh snapshots follow."""
        self._stream.release()

    async def _on_event(self, event: PublicEvent) -> None:
        if isinstance(event, Frames):
            await self._on_frames(event)
        elif isinstance(event, Connected):
            self._why_not = None
            self._runtime.metrics.counter(FEED_CONNECTIONS).inc()
        else:
            if self._why_not is None:
                self._why_not = f"not subscribed to the venue's public stream ({event.reason})"
            self._runtime.log.warning("public_stream_lost", symbols=self._symbols, reason=event.reason)
            now_ns = self._runtime.clock.now_ns()
            owed, batch = self._owed(now_ns), Batch()
            self._collect(batch, self._core.on_disconnected(event.reason, now_ns))
            await self._publish(owed, batch)

    async def _on_frames(self, event: Frames) -> None:
        now_ns = self._runtime.clock.now_ns()
        arrived = wall_ns()
        owed = self._owed(now_ns)  # before our books move on
        batch = Batch()
        for raw, received_wall_ns in event.frames:
            begin = wall_ns()
            # what waited in our own buffer was received that much earlier
            recv_ns = now_ns - round((arrived - received_wall_ns) * self._runtime.clock.rate)
            effects = self._core.on_frame(raw, recv_ns)
            self._collect(batch, effects, (received_wall_ns,))
            self._count_frame(batch, effects)
            await self._resubscribe(effects)
            self._handling.observe((wall_ns() - begin) / 1e9)
        await self._publish(owed, batch)

    def _owed(self, now_ns: int) -> list[Publication]:
        effects = self._core.on_unpublished(self._losses, now_ns)
        return [(self._topics[e.symbol], e.fact, ()) for e in effects if isinstance(e, Publish)]

    def _collect(self, batch: Batch, effects: Sequence[Effect], hops: tuple[int, ...] = ()) -> None:
        metrics = self._runtime.metrics
        for effect in effects:
            if isinstance(effect, Publish):
                symbol, fact = effect.symbol, effect.fact
                batch.items.append((self._topics[symbol], fact, hops))
                if isinstance(fact, Liquidations):
                    metrics.counter(LIQUIDATIONS, symbol=symbol).inc(len(fact.liquidations))
                elif isinstance(fact, Gap):
                    metrics.counter(BOOK_GAPS, symbol=symbol).inc()
                    self._runtime.log.warning("book_gap", symbol=symbol, reason=fact.reason, detail=fact.detail)
                elif isinstance(fact, FeedSuspect):
                    self._suspect(fact)
            elif isinstance(effect, Drop):
                metrics.counter(FRAMES_DROPPED, reason=effect.reason).inc()
                if effect.reason == MALFORMED:
                    self._reject(batch, effect)

    def _count_frame(self, batch: Batch, effects: Sequence[Effect]) -> None:
        match effects:
            case [Publish(symbol=symbol), *_]:
                self._received[symbol].inc()
                batch.frames[self._topics[symbol].key] += 1
            case [Drop(symbol=symbol), *_]:
                self._received[symbol or NOBODY].inc()

    def _reject(self, batch: Batch, drop: Drop) -> None:
        symbol = drop.symbol or self._symbols[0]
        kept = self._rejects.keep(symbol, drop.detail, drop.raw, self._runtime.clock.now_ns())
        if kept is not None:
            self._runtime.log.warning("frame_dropped", symbol=symbol, detail=drop.detail)
            batch.items.append((Topic(REJECTS, symbol=symbol), kept, ()))

    def _suspect(self, suspect: FeedSuspect) -> None:
        gauge = self._runtime.metrics.gauge(LIQUIDATION_FEED_SUSPECT, symbol=suspect.symbol, fault=suspect.fault)
        gauge.set(float(suspect.suspected))
        self._runtime.log.warning(
            "liquidation_feed_suspect" if suspect.suspected else "liquidation_feed_in_order",
            symbol=suspect.symbol,
            fault=suspect.fault,
            evidence=suspect.evidence,
        )

    async def _resubscribe(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Publish | Drop):
                await self._stream.resubscribe(f"orderbook.{self._core.depth}.{effect.symbol}")

    async def _publish(self, owed: Sequence[Publication], batch: Batch) -> None:
        if not owed and not batch.items:
            return
        overflow: BusOverflowError | None = None
        try:
            await self._bus.publish_many([*owed, *batch.items])
        except BusOverflowError as error:
            overflow = error
        refused = overflow.keys if overflow else frozenset[str]()
        kept = sum(isinstance(fact, RejectedFrame) and topic.key not in refused for topic, fact, _ in batch.items)
        self._runtime.metrics.counter(REJECTS_KEPT).inc(kept)
        for symbol in [symbol for symbol in self._losses if self._topics[symbol].key not in refused]:
            loss = self._losses.pop(symbol)
            self._runtime.log.warning(
                "facts_lost", symbol=symbol, facts=loss.facts, why="the bus was away for too long"
            )
        if overflow:
            for symbol, topic in self._topics.items():
                if topic.key in refused:
                    self._lost(symbol, batch, overflow)
            await asyncio.sleep(0)  # a bus that refuses at once must not keep the loop to us

    def _lost(self, symbol: str, batch: Batch, error: BusOverflowError) -> None:
        metrics, key = self._runtime.metrics, self._topics[symbol].key
        facts = [fact for topic, fact, _ in batch.items if topic.key == key]
        if not facts:
            return
        metrics.counter(FACTS_LOST, symbol=symbol).inc(len(facts))
        metrics.counter(FRAMES_DROPPED, reason=BUS_AWAY).inc(batch.frames[key])
        loss, known = Loss.of(facts), self._losses.get(symbol)
        if known is None:
            metrics.counter(BOOK_GAPS, symbol=symbol).inc()
            self._runtime.survived("bus_overflow", error, symbol=symbol)
        self._losses[symbol] = loss if known is None else known.and_also(loss)
