"""The budget that all processes of a fleet share by way of Redis, and what each does when Redis is away.

Every grant comes from one script (`script.py`) on one hash, `budget:{HOST}`. A process asks for as many requests as it has waiting, and may
send what it was granted for `FRESH_S`; so nobody sends on knowledge of the circuit that is older than that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.resp import Connection
from undertow.bus.routes import asked, routes_to
from undertow.contracts.metrics import BUDGET_ALONE, BUDGET_USED, CIRCUIT_OPEN
from undertow.exchange.budget.bucket import Allowance
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.budget.limits import ADDRESS, BAN_S, SHARE
from undertow.exchange.budget.local import LocalBudget
from undertow.exchange.budget.ports import Budget, Priority
from undertow.exchange.budget.script import LUA, SHA, Ask, Reply
from undertow.runtime.clock import Clock
from undertow.runtime.metrics import Metrics
from undertow.runtime.retry import backoff

FRESH_S: Final = 0.2
"""How long a grant may be used, wall time: the time within which a ban is known to all."""
MOST_AT_ONCE: Final = 8
"""Requests granted to a process by one question."""
ALONE_S: Final = 1.0
"""How long a process that got no answer goes on alone before it asks again."""
LONG_PATIENCE_S: Final = 2.0
"""How long Redis may take to answer the first question of all, before which nothing is known of a ban, and before a socket is opened."""
_PATIENCE_S: Final = {Priority.ORDERS: 0.1, Priority.TRUTH: 0.5, Priority.FACTS: 0.5}
_NOT_LOADED: Final = "NOSCRIPT"


class SharedBudget:
    """See `Budget`.

    Args:
        bus_url: of Redis, or of a cluster.
        venue_url: whose limits they are; names the key.
        clock: whose rate makes market seconds of wall seconds.
        priority: how much of the address's budget is left to others.
        proxy: through which this process reaches the venue, where the others do not: the venue sees, and bans, that address alone.
        steady: a clock that never jumps, s.

    Attributes:
        is_alone: whether Redis did not answer the last time, and the process keeps to its local share.

    Raises:
        ValueError: `bus_url` is neither.
    """

    def __init__(
        self,
        bus_url: str,
        venue_url: str,
        clock: Clock,
        priority: Priority,
        *,
        proxy: str = "",
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = _key(venue_url, proxy)
        self._clock = clock
        self._priority = priority
        self._steady = steady
        self._routes = routes_to(bus_url, _PATIENCE_S[priority])
        self._link = self._routes.link(self._key)
        self._circuit = Circuit(clock, steady)
        self._local = LocalBudget(clock, priority, steady=steady)
        self._limits: dict[str, int] = {}
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._lease = 0
        self._lease_until_s = 0.0
        self._dry_until_s = 0.0
        self._alone_until_s = 0.0
        self._level = (ADDRESS.part(SHARE).capacity, 0.0)
        self._telling: set[asyncio.Task[None]] = set()
        self._has_asked = False
        self.is_alone = False

    @property
    def banned_for_s(self) -> float:
        """See `Budget.banned_for_s`."""
        return self._circuit.banned_for_s

    @property
    def used(self) -> float:
        """How much of the address's bucket is used, 0 to 1, as this process last saw it."""
        (level, at_s), allowance = self._level, self._allowance()
        now = min(allowance.capacity, level + (self._steady() - at_s) * allowance.rate)
        return 1.0 - now / allowance.capacity

    async def acquire(self, endpoint: str) -> None:
        """See `Budget.acquire`."""
        self._waiting += 1
        try:
            while True:
                self._circuit.refuse_while_open()
                wait_s = self._local.paused_for_s(endpoint) or await self._take(endpoint)
                if not wait_s:
                    return
                await asyncio.sleep(wait_s)
        finally:
            self._waiting -= 1

    async def look(self) -> float:
        """See `Budget.look`; without an answer it is what this process remembers."""
        await self._hear(self._question(0, ""), LONG_PATIENCE_S)
        return self.banned_for_s

    def learn(self, endpoint: str, *, limit: int, pause_s: float = 0.0) -> None:
        """See `Budget.learn`; what is new is told to the others."""
        if not pause_s and (not limit or self._limits.get(endpoint) == limit):
            return
        if limit:
            self._limits[endpoint] = limit
        self._local.learn(endpoint, limit=limit, pause_s=pause_s)
        self._tell(lambda: self._question(0, endpoint, limit=limit, pause_s=pause_s), patience_s=ALONE_S)

    def ban(self) -> None:
        """See `Budget.ban`; told to the others until Redis has it, or the ban is over."""
        seconds = BAN_S / self._clock.rate
        self._circuit.open_for(seconds)
        self._lease = 0
        self._tell(lambda: self._question(0, "", ban_s=self.banned_for_s), patience_s=seconds)

    async def close(self) -> None:
        """See `Budget.close`."""
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)
        await self._routes.close()

    async def _take(self, endpoint: str) -> float:
        if self._limits.get(endpoint):  # the account's own limit is asked for one by one
            return await self._ask_or_alone(endpoint, 1)
        async with self._lock:
            now_s = self._steady()
            if self._lease and now_s < self._lease_until_s:
                self._lease -= 1
                return 0.0
            if now_s < self._dry_until_s:  # another of ours has just been told so
                return self._dry_until_s - now_s
            return await self._ask_or_alone(endpoint, min(self._waiting, MOST_AT_ONCE))

    async def _ask_or_alone(self, endpoint: str, want: int) -> float:
        asked_s = self._steady()
        reply = await self._hear(self._question(want, endpoint), _PATIENCE_S[self._priority])
        self._circuit.refuse_while_open()
        return self._local.take(endpoint) if reply is None else self._granted(endpoint, want, reply, asked_s)

    async def _hear(self, question: Ask, patience_s: float) -> Reply | None:
        if self._steady() < self._alone_until_s:
            return None
        if not self._has_asked:
            patience_s = LONG_PATIENCE_S
        self._has_asked = True
        try:
            reply = await self._ask(question, patience_s)
        except (BusAwayError, BusRefusedError, TimeoutError):
            self.is_alone = True
            self._alone_until_s = self._steady() + ALONE_S
            self._link.distrust()
            return None
        self.is_alone = False
        self._level = (reply.level, self._steady())
        if reply.banned_for_s:
            self._circuit.open_for(reply.banned_for_s)
        return reply

    def _granted(self, endpoint: str, want: int, reply: Reply, asked_s: float) -> float:
        if reply.limit and not self._limits.get(endpoint):
            self._limits[endpoint] = reply.limit
            self._local.learn(endpoint, limit=reply.limit)
        if reply.rests_for_s:
            self._local.learn(endpoint, limit=0, pause_s=reply.rests_for_s)
            return reply.rests_for_s
        if not reply.granted:
            if not reply.limit:
                self._dry_until_s = self._steady() + reply.wait_s
            return reply.wait_s
        if want > 1:
            self._lease, self._lease_until_s = reply.granted - 1, asked_s + FRESH_S
        return 0.0

    def _question(self, want: int, endpoint: str, *, ban_s: float = 0.0, limit: int = 0, pause_s: float = 0.0) -> Ask:
        return Ask(
            address=self._allowance(),
            kept=self._priority.value,
            want=want,
            endpoint=endpoint,
            endpoint_share=SHARE,
            rate=self._clock.rate,
            ban_s=ban_s,
            limit=limit,
            pause_s=pause_s,
        )

    def _allowance(self) -> Allowance:
        ours = ADDRESS.part(SHARE)
        return replace(ours, window_s=ours.window_s / self._clock.rate, slack_s=FRESH_S)

    def _tell(self, question: Callable[[], Ask], patience_s: float) -> None:
        task = asyncio.get_running_loop().create_task(self._tell_until_heard(question, patience_s), name="budget tells")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell_until_heard(self, question: Callable[[], Ask], patience_s: float) -> None:
        until_s = self._steady() + patience_s
        for wait_s in backoff(0.05, 1.0):
            try:
                await self._ask(question(), _PATIENCE_S[self._priority])
            except (BusAwayError, BusRefusedError, TimeoutError):
                if self._steady() >= until_s:
                    return
                await asyncio.sleep(wait_s)
            else:
                return

    async def _ask(self, question: Ask, patience_s: float) -> Reply:
        async with asyncio.timeout(patience_s):
            return await asked(self._link, lambda connection: self._call(connection, question))

    async def _call(self, connection: Connection, question: Ask) -> Reply:
        arguments = (1, self._key, *question.arguments())
        try:
            (raw,) = await connection.ask(("EVALSHA", SHA, *arguments))
        except BusRefusedError as error:
            if not str(error).startswith(_NOT_LOADED):
                raise
            (raw,) = await connection.ask(("EVAL", LUA, *arguments))
        return Reply.read(raw)


def _key(venue_url: str, proxy: str) -> str:
    address, way_out = urlsplit(venue_url).netloc, urlsplit(proxy)
    if proxy:  # its host and port, for the rest may hold a password
        address += f" by {way_out.hostname}:{way_out.port}"
    return f"budget:{{{address}}}"


def expose(budget: SharedBudget, metrics: Metrics) -> None:
    """Show the budget of who asks by HTTP in a service's metrics."""
    metrics.gauge(BUDGET_USED).set_function(lambda: budget.used)
    metrics.gauge(BUDGET_ALONE).set_function(lambda: float(budget.is_alone))
    expose_circuit(budget, metrics)


def expose_circuit(budget: Budget, metrics: Metrics) -> None:
    """Show what a service knows of a ban."""
    metrics.gauge(CIRCUIT_OPEN).set_function(lambda: float(budget.banned_for_s > 0.0))
