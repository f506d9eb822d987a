"""The shell of the macro collector: every source in a task of its own, so that none waits for another."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from services.macro_collector.core import SECOND_NS, MacroCore
from services.macro_collector.read import UnreadableError
from services.macro_collector.settings import Settings
from services.macro_collector.sources import BINANCE_LIQUIDATIONS, Source
from undertow.bus import open_bus
from undertow.bus.errors import BusAwayError, BusError
from undertow.bus.ports import Bus, Topic
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.macro import MacroValue
from undertow.contracts.metrics import MACRO_AGE, MACRO_FAILURES, MACRO_STALE, MACRO_VALUES
from undertow.contracts.streams import MACRO
from undertow.exchange.binance.liquidations import liquidation
from undertow.runtime.retry import backoff
from undertow.runtime.service import Runtime

TIMEOUT_S: Final = 10.0
LARGEST_ANSWER: Final = 4 * 2**20
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
LOOK_EVERY_S: Final = 1.0
DEAD_AFTER_S: Final = 900.0
"""Without a frame of the neighbour's for so long the connection is made anew; its server pings every three minutes."""
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}


class MacroCollector:
    """Publishes what outside sources say."""

    def __init__(self, settings: Settings, runtime: Runtime, bus: Bus) -> None:
        self._macro = settings.macro
        self._symbols = settings.symbols
        self._runtime = runtime
        self._bus = bus
        self._core = MacroCore()
        self._asked = [
            (source, symbol, url) for source in self._macro.asked for symbol, url in source.requests(self._symbols)
        ]
        names = {source.name for source in self._macro.asked}
        for name in names | ({BINANCE_LIQUIDATIONS} if self._macro.has_binance_liquidations else set()):
            runtime.metrics.counter(MACRO_FAILURES, source=name)
            runtime.metrics.counter(MACRO_VALUES, source=name)

    def unready_reason(self) -> str | None:
        """Always ready: a dead source is told by its age and its failures, and holds up nobody."""
        return None

    async def run(self) -> None:
        """Ask and listen until cancelled."""
        try:
            if self._asked:
                await self._remember()
            async with asyncio.TaskGroup() as tasks:
                for source, symbol, url in self._asked:
                    tasks.create_task(self._ask(source, symbol, url), name=f"{source.name} {symbol}")
                if self._macro.has_binance_liquidations:
                    tasks.create_task(self._listen(), name=BINANCE_LIQUIDATIONS)
                tasks.create_task(self._tell_ages(), name="ages")
        finally:
            await self._bus.close()

    async def _remember(self) -> None:
        topic = Topic(MACRO)
        for wait_s in backoff(longest_s=1.0):
            try:
                told = await self._bus.tail(topic, topic.stream.maxlen)
            except BusAwayError:
                await asyncio.sleep(wait_s)
            else:
                for delivery in told:
                    if isinstance(delivery.message, MacroValue):
                        self._core.on_told(delivery.message)
                return

    async def _ask(self, source: Source, symbol: str, url: str) -> None:
        pauses = backoff(FIRST_PAUSE_S, min(LONGEST_PAUSE_S, source.interval_seconds))
        async with httpx.AsyncClient(
            timeout=TIMEOUT_S, follow_redirects=True, trust_env=urlsplit(url).hostname not in _LOOPBACK
        ) as client:
            while True:
                try:
                    body = await _get(client, url)
                    value = self._core.on_answer(source, symbol, body, self._runtime.clock.now_ns())
                    if value is not None:
                        await self._publish(source.name, value)
                        self._core.on_told(value)
                except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnreadableError, BusError) as error:
                    self._failed(source.name, error, symbol=symbol)
                    await asyncio.sleep(next(pauses))
                    continue
                pauses = backoff(FIRST_PAUSE_S, min(LONGEST_PAUSE_S, source.interval_seconds))
                await asyncio.sleep(source.interval_seconds)

    async def _listen(self) -> None:
        url = self._macro.binance_stream_url
        pauses = backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while True:
            try:
                async with connect(
                    url,
                    compression=None,
                    ping_interval=None,
                    max_size=LARGEST_ANSWER,
                    proxy=None if urlsplit(url).hostname in _LOOPBACK else True,
                ) as socket:
                    while True:
                        async with asyncio.timeout(DEAD_AFTER_S):
                            raw = await socket.recv(decode=False)
                        pauses = backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
                        await self._on_liquidation(raw)
            except (OSError, TimeoutError, WebSocketException) as error:
                self._failed(BINANCE_LIQUIDATIONS, error)
            await asyncio.sleep(next(pauses))

    async def _on_liquidation(self, raw: bytes) -> None:
        try:
            fact = liquidation(raw, self._runtime.clock.now_ns())
            if fact.symbol in self._symbols:
                await self._publish(BINANCE_LIQUIDATIONS, fact)
        except (ValueError, BusError) as error:
            self._failed(BINANCE_LIQUIDATIONS, error)

    async def _publish(self, name: str, fact: Message) -> None:
        await self._bus.publish(Topic(MACRO), fact)
        self._runtime.metrics.counter(MACRO_VALUES, source=name).inc()

    async def _tell_ages(self) -> None:
        metrics = self._runtime.metrics
        while True:
            now_ns = self._runtime.clock.now_ns()
            for source, symbol, _ in self._asked:
                labels = {"source": source.name, "symbol": symbol}
                metrics.gauge(MACRO_STALE, **labels).set(self._core.is_stale(source, symbol, now_ns))
                age_ns = self._core.age_ns(source, symbol, now_ns)
                if age_ns is not None:
                    metrics.gauge(MACRO_AGE, **labels).set(age_ns / SECOND_NS)
            await asyncio.sleep(LOOK_EVERY_S)

    def _failed(self, name: str, error: Exception, **keys: str) -> None:
        self._runtime.metrics.counter(MACRO_FAILURES, source=name).inc()
        self._runtime.log.warning("source_failed", source=name, reason=f"{type(error).__name__}: {error}", **keys)


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    async with asyncio.timeout(2 * TIMEOUT_S), client.stream("GET", url) as answer:
        answer.raise_for_status()
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise UnreadableError(f"the answer is longer than {LARGEST_ANSWER} bytes")
        return bytes(body)


def build(settings: Settings, runtime: Runtime) -> MacroCollector:
    """Choose the real implementations."""
    bus = open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch)
    return MacroCollector(settings, runtime, bus)
