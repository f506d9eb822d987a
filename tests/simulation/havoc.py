"""Lets a plan happen: each fault waits for its moment, strikes, and is over; what it struck is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, Final

from services.venue.answers import CommandRefused
from services.venue.keys import ACCOUNT_UID
from tests.simulation.bus import SimulatedRedis
from tests.simulation.disk import SimulatedDisk
from tests.simulation.fleet import BOOKS, GUARDIAN, LONGEST_PAUSE_S, ROUTER, Door
from tests.simulation.lives import LIFE, Killed, Life, LivingLoop
from tests.simulation.plan import OVER_A_COMMAND, PATIENCE_S, Planned
from tests.simulation.venue import SimulatedVenue
from tests.simulation.witness import Witness

SHORT: Final = {"router": ROUTER, "books": BOOKS, "guardian": GUARDIAN}
ROUTERS_KEY: Final = "paper-router"
LATEST_SURFACING_S: Final = 4.9
ANSWER_TIMEOUT_S: Final = 3.0
BALANCE_SHORT: Final = 110_007
EVERYDAY_REFUSALS: Final = 0.06
"""Of the orders of any day: so many are refused, or no fault would meet an order that is."""
BLINDING: Final = (
    "router killed",
    "router stopped",
    "power lost",
    OVER_A_COMMAND,
    "private stream cut",
    "venue restarted",
    "maintenance",
)
RECOVERY_S: Final = 1.0
"""To be connected again after that, and to have asked for everything."""
Work = Coroutine[Any, Any, None]


class Havoc:
    """The faults of one seed.

    Args:
        command: publishes what a person commands, and what ends it, with this pause between.
    """

    def __init__(
        self,
        loop: LivingLoop,
        witness: Witness,
        venue: SimulatedVenue,
        redis: SimulatedRedis,
        disk: SimulatedDisk,
        door: Door,
        lives: dict[str, Life],
        command: Callable[[float], Work],
    ) -> None:
        self._loop = loop
        self._witness = witness
        self._venue = venue
        self._redis = redis
        self._disk = disk
        self._door = door
        self._lives = lives
        self._command = command
        self._traps: dict[str, list[Trap]] = {}
        self._waiting: list[tuple[str, asyncio.Event]] = []
        self._armed: dict[str, Planned] = {}
        self.left = 0
        venue.misbehave(
            "refuse",
            endpoint="order?create",
            key=ROUTERS_KEY,
            code=BALANCE_SHORT,
            probability=EVERYDAY_REFUSALS,
            seed=7,
        )
        witness.on_state = self._on_state
        witness.on_fault = self._on_hit

    async def unleash(self, plan: Sequence[Planned]) -> None:
        """Let all of it happen; return when the last fault is over."""
        self.left = len(plan)
        await asyncio.gather(*map(self._happen, plan))
        while (left_ns := self._witness.disturbed_ns - self._loop.wall_ns()) > 0:  # noqa: ASYNC110 - more may strike meanwhile
            await asyncio.sleep(left_ns / 1e9 + 1e-6)

    def at_port(self, port: str) -> None:
        """A process makes a call; it may be its last."""
        life = LIFE.get()
        if life is None:
            return
        if life.is_over:
            raise Killed
        for trap in self._traps.get(life.name, ()):
            if trap.port == port and not trap.sprung.is_set():
                trap.turn -= 1
                if trap.turn <= 0:
                    trap.sprung.set()
                    self._strike_process(trap.fault, life)
                    if life.is_over:
                        raise Killed

    async def _happen(self, fault: Planned) -> None:
        await asyncio.sleep(fault.at_s - self._loop.time())
        if fault.state:
            await self._until_state(fault.state)
        if fault.after_s:
            await asyncio.sleep(fault.after_s)
        whom = _whom(fault)
        if fault.kind == OVER_A_COMMAND:
            await asyncio.gather(self._trapped(fault, whom), self._command(fault.amount))
        elif whom and fault.port:
            await self._trapped(fault, whom)
        elif whom:
            life = self._lives.get(whom)
            if life is not None and not life.is_over:
                self._strike_process(fault, life)
        else:
            await _STRIKES[fault.kind](self, fault)
        self.left -= 1

    async def _until_state(self, state: str) -> None:
        entered = asyncio.Event()
        self._waiting.append((state, entered))
        await _or_patience(entered)

    def _on_state(self, state: str) -> None:
        for each in [each for each in self._waiting if each[0] == state]:
            each[1].set()
            self._waiting.remove(each)

    async def _trapped(self, fault: Planned, whom: str) -> None:
        trap = Trap(fault)
        self._traps.setdefault(whom, []).append(trap)
        await _or_patience(trap.sprung)
        self._traps[whom].remove(trap)
        life = self._lives.get(whom)
        if not trap.sprung.is_set() and life is not None and not life.is_over:
            self._strike_process(fault, life)

    def _strike_process(self, fault: Planned, life: Life) -> None:
        self._strikes(fault, fault.for_s or LONGEST_PAUSE_S)
        if fault.kind.endswith("stopped"):
            self._loop.stop_life(life)
            token = LIFE.set(None)
            self._loop.call_later(fault.for_s, self._loop.resume_life, life)
            LIFE.reset(token)
            return
        if fault.kind == "power lost":
            other = self._lives.get(BOOKS if life.name == ROUTER else ROUTER)
            if other is not None:
                self._loop.kill(other)
            self._redis.go_away()
            self._redis.lose_its_newest_second()
            self._disk.lose_power()
            token = LIFE.set(None)
            self._loop.call_later(0.3 + fault.amount, self._redis.come_back)
            LIFE.reset(token)
            self._witness.disturbed(0.3 + fault.amount)
        self._loop.kill(life)

    def _strikes(self, fault: Planned, for_s: float) -> None:
        self._witness.say(f"FAULT {fault}")
        self._witness.struck_by(fault.kind)
        self._witness.disturbed(for_s)
        if fault.kind in BLINDING:
            self._witness.blinded(max(for_s, fault.for_s) + RECOVERY_S)

    # the venue misbehaves

    async def _misbehave(self, fault: Planned) -> None:
        action, given = _VENUES[fault.kind](fault)
        self._witness.disturbed(fault.for_s)
        name = self._venue.misbehave(action, **given)
        self._armed[name] = fault

    def _on_hit(self, name: str) -> None:
        fault = self._armed.get(name)
        if fault is None:
            return  # the venue's everyday refusals are no fault of the plan
        lasts_s = {"order late": LATEST_SURFACING_S, "request lost": ANSWER_TIMEOUT_S, "answer lost": ANSWER_TIMEOUT_S}
        self._strikes(fault, lasts_s.get(fault.kind, 0.0))

    async def _cut(self, fault: Planned) -> None:
        self._strikes(fault, 0.0)
        hub = self._venue.private if fault.kind.startswith("private") else self._venue.trade
        for session in list(hub.sessions):
            if session.key is not None and session.key.key == ROUTERS_KEY:
                session.cut()

    # the bus

    async def _bus_away(self, fault: Planned) -> None:
        self._strikes(fault, fault.for_s)
        self._redis.go_away()
        if fault.kind == "bus lost a second":
            lost = self._redis.lose_its_newest_second()
            self._witness.say(f"  the bus has lost {lost} entries")
        await asyncio.sleep(fault.for_s)
        self._redis.come_back()

    async def _bus_full(self, fault: Planned) -> None:
        self._strikes(fault, fault.for_s)
        self._redis.fill()
        await asyncio.sleep(fault.for_s)
        self._redis.is_full = False

    async def _unheard(self, fault: Planned) -> None:
        self._strikes(fault, fault.for_s)
        self._door.is_cut = True
        await asyncio.sleep(fault.for_s)
        self._door.is_cut = False

    # the account

    async def _stop_removed(self, fault: Planned) -> None:
        symbol = await self._a_held_symbol()
        if not symbol:
            return
        self._strikes(fault, 0.0)
        self._witness.stripped(symbol)
        body = {"category": "linear", "symbol": symbol, "tpslMode": "Full", "positionIdx": 0, "stopLoss": "0"}
        answer = self._venue.core.post(ACCOUNT_UID, "/v5/position/trading-stop", body, self._now_ns())
        self._venue.tell(answer.events)

    async def _deleveraged(self, fault: Planned) -> None:
        symbol = await self._a_held_symbol()
        if not symbol:
            return
        self._venue.tell(self._venue.core.on_time(self._now_ns()))  # an exit that takes effect just now comes first
        holding = self._venue.core.account.holdings[symbol, 0]
        if not holding.lots:
            return
        self._strikes(fault, 0.0)
        self._witness.stripped(symbol)
        lots = max(1, round(abs(holding.lots) * (1.0 if fault.amount > 0.6 else fault.amount)))
        qty = holding.market.scale.qty(lots)
        self._venue.tell(self._venue.core.deleverage(ACCOUNT_UID, symbol, 0, qty, self._now_ns()))

    async def _jump(self, fault: Planned) -> None:
        symbol = await self._a_held_symbol() or next(iter(self._venue.walks))
        self._strikes(fault, 0.0)
        self._venue.walks[symbol].jump((fault.amount - 0.5) * 160)

    async def _transfer(self, fault: Planned) -> None:
        self._strikes(fault, 0.0)
        amount = Decimal(round((fault.amount - 0.3) * 1_000)) or Decimal(1)
        try:
            self._venue.tell(self._venue.core.transfer(ACCOUNT_UID, "USDT", amount, self._now_ns()))
        except CommandRefused as refused:
            self._witness.say(f"  {refused}")

    async def _commanded(self, fault: Planned) -> None:
        self._strikes(fault, 0.0)
        await self._command(fault.amount)

    async def _a_held_symbol(self) -> str:
        for _ in range(24):
            if self._witness.held:
                return next(iter(self._witness.held))
            await asyncio.sleep(PATIENCE_S / 12)
        return ""

    def _now_ns(self) -> int:
        return self._venue.clock.now_ns()


class Trap:
    """A process waited for at a call."""

    def __init__(self, fault: Planned) -> None:
        self.fault = fault
        self.port = fault.port
        self.turn = fault.turn
        self.sprung = asyncio.Event()


async def _or_patience(event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await event.wait()
    except TimeoutError:
        return


def _whom(fault: Planned) -> str:
    first = fault.kind.partition(" ")[0]
    if fault.kind in ("power lost", OVER_A_COMMAND):
        return ROUTER
    is_of_process = fault.kind.endswith(("killed", "stopped"))
    return SHORT[first] if is_of_process else ""


def _ms(fault: Planned) -> int:
    return max(1, round(fault.for_s * 1_000))


def _frame(action: str, **values: Any) -> Callable[[Planned], tuple[str, dict[str, Any]]]:
    return lambda fault: (
        action,
        {
            "where": "private", "kind": "event", "key": ROUTERS_KEY, "count": 1 + round(fault.amount * 2),
            "for_ms": _ms(fault), "seed": fault.number, **values,
        },
    )  # fmt: skip


def _order(
    action: str, endpoint: str = "order?create", **values: Any
) -> Callable[[Planned], tuple[str, dict[str, Any]]]:
    return lambda fault: (
        action,
        {
            "endpoint": endpoint, "key": ROUTERS_KEY, "count": 1, "for_ms": _ms(fault), "seed": fault.number,
            **{name: value(fault) if callable(value) else value for name, value in values.items()},
        },
    )  # fmt: skip


_VENUES: Final[dict[str, Callable[[Planned], tuple[str, dict[str, Any]]]]] = {
    "frame lost": _frame("drop"),
    "frame late": _frame("delay", delay_ms=(5, 1_500)),
    "frame twice": _frame("duplicate"),
    "frame overtaken": lambda fault: _frame("reorder", behind=1 + fault.number % 4)(fault),
    "request lost": _order("swallow"),
    "answer lost": _order("hang_up", performed=True),
    "order late": _order("accept_silently", surface_ms=(0, 4_900)),
    "request refused": _order("refuse", "order*", code=10016, performed=lambda fault: fault.amount < 0.5),
    "answer slow": lambda fault: (
        "answer_slowly",
        {
            "endpoint": "order*" if fault.amount < 0.5 else "*", "delay_ms": (20, 1_500), "count": 3,
            "for_ms": _ms(fault), "seed": fault.number,
        },
    ),
    "answer 504": lambda fault: (
        "http",
        {"where": "rest", "status": 504, "probability": 0.5 + fault.amount / 2, "for_ms": _ms(fault), "seed": fault.number},
    ),
    "too many requests": lambda fault: (
        "rate_limit",
        {"endpoint": "order?create", "for_ms": _ms(fault), "seed": fault.number},
    ),
    "venue restarted": lambda fault: (
        "restart",
        {"drain_ms": round(fault.amount * 400), "down_ms": _ms(fault), "down_answer": ("cut", "nothing", 502, 503)[fault.number % 4]},
    ),
    "maintenance": lambda fault: ("maintenance", {"for_ms": _ms(fault)}),
    "clock skewed": lambda fault: (
        "clock_skew",
        {"skew_ms": round((fault.amount - 0.5) * 1_400) or 70, "for_ms": _ms(fault)},
    ),
}  # fmt: skip
_STRIKES: Final[dict[str, Callable[[Havoc, Planned], Work]]] = {
    **dict.fromkeys(_VENUES, Havoc._misbehave),
    "private stream cut": Havoc._cut,
    "trade socket cut": Havoc._cut,
    "bus away": Havoc._bus_away,
    "bus lost a second": Havoc._bus_away,
    "bus full": Havoc._bus_full,
    "guardian unheard": Havoc._unheard,
    "stop removed": Havoc._stop_removed,
    "deleveraged": Havoc._deleveraged,
    "price jump": Havoc._jump,
    "transfer": Havoc._transfer,
    "command": Havoc._commanded,
}
