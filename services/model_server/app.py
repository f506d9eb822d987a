"""The shell of the model server: vectors in, signals and audit records out, acknowledged after they are published."""

from __future__ import annotations

import asyncio
import itertools
import time

from services.model_server.core import SOURCE, Look, ModelServerCore
from services.model_server.rehearsal import rehearse
from services.model_server.settings import Settings
from undertow.bus import open_bus
from undertow.bus.errors import BusAwayError
from undertow.bus.ports import Bus, Delivery, Topic
from undertow.contracts.audit import AuditChain
from undertow.contracts.metrics import DECISION_SECONDS, DECISIONS, SIGNALS_SENT, TRADES_LEARNT
from undertow.contracts.streams import AUDIT, CONTROL, FEATURES, ORDERS
from undertow.learning.errors import ModelError
from undertow.learning.policy import ThompsonPolicy
from undertow.learning.registry import Entry, load_serving
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.memory import settle
from undertow.runtime.retry import backoff
from undertow.runtime.service import Runtime

GROUP = "model_server"
AUDITED = 5_000  # records read back: more than an hour of explorations
LOOK_SECONDS = 1.0
DEMONSTRATION_KIND = "demonstration model, good for PAPER only"
AWAY = "the bus does not answer"


class ModelServer:
    """Serves one model, loaded and verified when this is made."""

    def __init__(self, settings: Settings, runtime: Runtime, bus: Bus, entry: Entry) -> None:
        self._settings = settings
        self._runtime = runtime
        self._bus = bus
        self._reason: str | None = "reading back what the policy has learnt"
        card = entry.card
        self.core = ModelServerCore(
            entry.scorer(),
            len(card.features) + len(card.arm_columns),
            ThompsonPolicy(settings.policy.rule()),
            AuditChain(SOURCE),
            settings.signal.rule(),
        )
        self._features = len(card.features)
        self._orders = Topic(ORDERS)
        self._controls = [Topic(CONTROL, source=writer) for writer in CONTROL.writers]
        self._audit = Topic(AUDIT, source=SOURCE)
        self._seconds = runtime.metrics.histogram(DECISION_SECONDS)
        self._learnt = runtime.metrics.counter(TRADES_LEARNT)
        runtime.facts["model_hash"] = entry.model_hash
        runtime.facts["model_kind"] = DEMONSTRATION_KIND if card.demonstration else "trained model"
        runtime.log.info("model_loaded", model=entry.model_hash, demonstration=card.demonstration)

    def unready_reason(self) -> str | None:
        """Ready with a verified model, the policy restored, and a bus that answers."""
        return self._reason

    async def run(self) -> None:
        """Read back orders, commands and our own records, then follow the streams."""
        watch: asyncio.Task[None] | None = None
        try:
            await self._restore_when_there()
            rehearse(self.core.scorer, self._features)
            settle()
            self._reason = None
            watch = asyncio.create_task(self._watch_bus(), name="bus")
            await self._follow()
        finally:
            if watch is not None:
                watch.cancel()
            await self._bus.close()

    async def _restore_when_there(self) -> None:
        for wait in backoff(longest_s=LOOK_SECONDS):
            try:
                await self._restore()
            except BusAwayError:
                self._reason = AWAY
                await asyncio.sleep(wait)
            else:
                return

    async def _restore(self) -> None:
        records = await self._bus.tail(self._audit, AUDITED)
        commands = [await self._bus.tail(topic, CONTROL.maxlen) for topic in self._controls]
        orders = await self._bus.tail(self._orders, ORDERS.maxlen)
        self.core.restore([delivery.message for delivery in records])
        for delivery in itertools.chain.from_iterable(commands):
            self.core.on_control(delivery.message)
        for delivery in orders:
            self._learn(delivery)

    async def _follow(self) -> None:
        vectors = [Topic(FEATURES, symbol=symbol) for symbol in self._settings.symbols]
        reader = self._bus.reader(GROUP, self._settings.instance, [*vectors, self._orders, *self._controls])
        async for batch in reader.batches():
            for delivery in batch:
                if delivery.topic.stream is FEATURES:
                    await self._look(delivery)
                elif delivery.topic.stream is CONTROL:
                    self.core.on_control(delivery.message)
                else:
                    self._learn(delivery)
            reader.ack(batch)

    async def _look(self, delivery: Delivery) -> None:
        began = time.perf_counter()
        look = self.core.on_features(delivery.message, delivery.ref, self._runtime.clock.now_ns())
        took = time.perf_counter() - began
        if look is not None:
            await self._bus.publish_many(look.publications(delivery.hops))
            self._count(look)
        self._seconds.observe(took)

    def _learn(self, delivery: Delivery) -> None:
        if self.core.on_order(delivery.message):
            self._learnt.inc()

    def _count(self, look: Look) -> None:
        metrics, decision = self._runtime.metrics, look.decision
        metrics.counter(DECISIONS, symbol=decision.symbol, verdict=decision.verdict.value).inc()
        if look.signal is not None:
            metrics.counter(SIGNALS_SENT, symbol=decision.symbol).inc()
        self._runtime.log.info(
            "decided",
            symbol=decision.symbol,
            verdict=decision.verdict.value,
            subject=decision.subject,
            detail=decision.detail,
        )

    async def _watch_bus(self) -> None:
        while True:
            self._reason = None if await self._bus.connected() else AWAY
            await asyncio.sleep(LOOK_SECONDS)


def build(settings: Settings, runtime: Runtime) -> ModelServer:
    """Choose the real implementations.

    Raises:
        ConfigurationError: no sound model may serve in this mode.
    """
    try:
        entry = load_serving(settings.model.registry, settings.mode)
        bus = open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch)
        return ModelServer(settings, runtime, bus, entry)
    except ModelError as error:
        raise ConfigurationError("UNDERTOW_MODEL__REGISTRY", error.problem, error.remedy) from error
