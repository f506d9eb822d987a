"""Admin's shell: reads the streams into the view, asks guardian and services each second, publishes commands."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any, Final

import httpx

from services.admin.api import GuardianUnreachableError, make_api
from services.admin.core import Health, View
from services.admin.settings import Settings
from undertow.bus import open_bus
from undertow.bus.ports import Bus, Topic, entry_order
from undertow.contracts.messages.control import Command, GuardianState, Verb
from undertow.contracts.streams import ACCOUNT, AUDIT, CONTROL, EXECUTIONS, MARKET, ORDERS, SIGNALS
from undertow.domain.state import Mode, TradingState
from undertow.runtime.service import Runtime

SERVICE: Final = "admin"
WARM_UP: Final = 500
ASK_TIMEOUT_S: Final = 0.8
KILL_TIMEOUT_S: Final = 3.0
MODEL_SERVER: Final = "model_server"
LABEL_EVERY: Final = 5
UNHURRIED_S: Final = 0.05
"""Wall seconds between two reads of the market: few large batches leave the cores to those on an order's way."""


class AdminApp:
    """The service."""

    def __init__(self, runtime: Runtime, settings: Settings, bus: Bus, client: httpx.AsyncClient) -> None:
        self._runtime = runtime
        self._settings = settings
        self._bus = bus
        self._client = client
        self._view = View(settings.mode.value, int(settings.admin.chart_seconds * 1e9))
        self._commands = 0
        self._failure = "streams are not read yet"
        if settings.mode is not Mode.PAPER:
            self._view.on_market(f"Bybit {settings.mode}")
        runtime.add_asgi(make_api(self))

    # what the face needs

    @property
    def view(self) -> View:
        """See `Desk.view`."""
        return self._view

    def wall_ns(self) -> int:
        """See `Desk.wall_ns`."""
        return time.time_ns()

    async def command(self, verb: Verb, who: str, why: str, *, limit: str = "", value: str = "") -> str:
        """See `Desk.command`."""
        self._commands += 1
        now_ns = self._runtime.clock.now_ns()
        name = f"{self._runtime.boot_id}|{self._commands}|{verb}|{now_ns}"
        command = Command(
            ts_event=now_ns,
            ts_recv=now_ns,
            command_id=hashlib.sha256(name.encode()).hexdigest()[:32],
            verb=verb,
            who=who,
            why=why,
            limit=limit,
            value=value,
        )
        await self._bus.publish(Topic(CONTROL, source=SERVICE), command)
        self._runtime.log.info("commanded", verb=verb.value, who=who, why=why, command_id=command.command_id)
        return command.command_id

    async def ask_guardian(self, path: str, body: dict[str, str]) -> tuple[int, Any]:
        """See `Desk.ask_guardian`."""
        try:
            answer = await self._client.post(
                self._settings.guardian.url.rstrip("/") + path, json=body, timeout=KILL_TIMEOUT_S
            )
            return answer.status_code, answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise GuardianUnreachableError(str(error) or type(error).__name__) from error

    # life

    def unready_reason(self) -> str | None:
        """Not ready until the streams are read."""
        return self._failure or None

    async def run(self) -> None:
        """Show and serve until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_trading(), name="trading")
                tasks.create_task(self._read_market(), name="market")
                tasks.create_task(self._poll_for_ever(), name="polls")
        finally:
            await self._client.aclose()
            await self._bus.close()

    async def _read_trading(self) -> None:
        symbols = self._settings.symbols
        topics = [Topic(ORDERS), Topic(EXECUTIONS), Topic(ACCOUNT)]
        topics += [Topic(stream, source=source) for stream in (AUDIT, CONTROL) for source in stream.writers]
        topics += [Topic(SIGNALS, symbol=symbol, source=source) for symbol in symbols for source in SIGNALS.writers]
        warmed = await self._warm_up(topics)
        self._failure = ""
        reader = self._bus.reader(SERVICE, self._settings.instance, topics)
        async for batch in reader.batches():
            at_ns = self.wall_ns()
            for delivery in batch:
                if entry_order(delivery.entry_id) > warmed.get(delivery.topic.key, (0, 0)):
                    self._view.on_message(delivery.message, at_ns)
            reader.ack(batch)

    async def _read_market(self) -> None:
        topics = [Topic(MARKET, symbol=symbol) for symbol in self._settings.symbols]
        reader = self._bus.reader(SERVICE, self._settings.instance, topics, batch=1024, from_start=False)
        async for batch in reader.batches():
            at_ns = self.wall_ns()
            for delivery in batch:
                self._view.on_message(delivery.message, at_ns)
            reader.ack(batch)
            await asyncio.sleep(UNHURRIED_S)

    async def _warm_up(self, topics: list[Topic]) -> dict[str, tuple[int, int]]:
        """Show what lies in the streams already; give up to where."""
        history = [delivery for topic in topics for delivery in await self._bus.tail(topic, WARM_UP)]
        for delivery in sorted(history, key=lambda each: each.message.ts_event):
            self._view.on_message(delivery.message, delivery.hops[-1])
        return {delivery.topic.key: entry_order(delivery.entry_id) for delivery in history}

    async def _poll_for_ever(self) -> None:
        rounds = 0
        while True:
            asks = [self._ask_services(), self._ask_guardian_state()]
            if rounds % LABEL_EVERY == 0:
                asks += [self._ask_market(), self._ask_model()]
            await asyncio.gather(*asks)
            rounds += 1
            await asyncio.sleep(self._settings.admin.poll_seconds)

    async def _ask_services(self) -> None:
        services = self._settings.admin.services
        answers = await asyncio.gather(*(self._health_of(url) for url in services.values()))
        self._view.on_health(dict(zip(services, answers, strict=True)), self.wall_ns())

    async def _health_of(self, url: str) -> Health:
        try:
            answer = await self._client.get(f"{url.rstrip('/')}/readyz", timeout=ASK_TIMEOUT_S)
        except httpx.HTTPError as error:
            return Health(ready=False, reason=f"does not answer ({type(error).__name__})")
        if answer.status_code == httpx.codes.OK:
            return Health(ready=True, reason="")
        return Health(ready=False, reason=answer.text.strip()[:300] or f"answers {answer.status_code}")

    async def _ask_guardian_state(self) -> None:
        """Copy the guardian's state to the view and the bus; when it is silent nothing is published, for silence is news too."""
        try:
            answer = await self._client.get(self._settings.guardian.url.rstrip("/") + "/state", timeout=ASK_TIMEOUT_S)
            report = answer.raise_for_status().json()
            state = TradingState(report["state"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self._view.on_guardian_silent(f"does not answer ({type(error).__name__})")
            return
        self._view.on_guardian(report, self.wall_ns())
        now_ns = self._runtime.clock.now_ns()
        fact = GuardianState(
            ts_event=now_ns,
            ts_recv=now_ns,
            state=state,
            reason=str(report.get("reason", "")),
            heartbeat_age_ns=int(report.get("heartbeat_age_ns", -1)),
        )
        await self._bus.publish(Topic(CONTROL, source=SERVICE), fact)

    async def _ask_market(self) -> None:
        clock_url = self._settings.clock.url
        if not clock_url:
            return
        try:
            answer = await self._client.get(clock_url.removesuffix("/clock") + "/stats", timeout=ASK_TIMEOUT_S)
            self._view.on_market(str(answer.raise_for_status().json()["market_label"]))
        except (httpx.HTTPError, ValueError, KeyError):
            return  # the label stays; the venue's health is shown beside it

    async def _ask_model(self) -> None:
        url = self._settings.admin.services.get(MODEL_SERVER)
        if url is None:
            return
        try:
            answer = await self._client.get(url.rstrip("/") + "/version", timeout=ASK_TIMEOUT_S)
            facts = answer.raise_for_status().json()
            self._view.on_model(f"{facts['model_kind']} ({facts['model_hash']})")
        except (httpx.HTTPError, ValueError, KeyError):
            return  # the label stays; the model server's health is shown beside it


def build(settings: Settings, runtime: Runtime) -> AdminApp:
    """Choose the real implementations."""
    bus = open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch)
    return AdminApp(runtime, settings, bus, httpx.AsyncClient(trust_env=False))
