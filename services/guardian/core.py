"""The guardian: ACTIVE, REDUCING, HALTING (cancel, flatten, look), HALTED. Pure: inputs and `now_ns` in, effects out.

It trips on: a command, a kill file, drawdown, silence of every router while something is open, and one difference between fleet and
venue that lasts. It never trips on its own missing data: silence and disagreement count only beside a fresh look at the venue, silence
starts anew when the guardian itself slept, and a look that fails only withdraws permits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from services.guardian.differences import Differences
from services.guardian.press import Close, Press
from services.guardian.rules import (
    BOOKS,
    ORDER_PREFIX,
    ROUTER,
    SECOND_NS,
    STATES,
    Announce,
    Effect,
    Flatten,
    Look,
    Memory,
    Phase,
    RearmAnswer,
    Remember,
    Rules,
)
from undertow.contracts.messages.heartbeat import Heartbeat, Permit
from undertow.domain.order import Side
from undertow.domain.state import TradingState

_ZERO: Final = Decimal(0)
_LOOKS_NEEDED: Final = 2
_ROWS_KEPT: Final = 1_000
_LEDGER_OVERLAP_NS: Final = 300 * SECOND_NS
"""The transaction log may be so late, and is noted as read no more often than this."""


@dataclass(slots=True)
class Holder:
    """The one router boot that may get entry permits, and its newest heartbeat."""

    heartbeat: Heartbeat
    seen_ns: int


class GuardianCore:
    """All decisions of the guardian.

    Args:
        rules: when to act.
        memory: of an earlier life; one that was halted is halted again until it is rearmed.
        now_ns: market ns.
    """

    def __init__(self, rules: Rules, memory: Memory, now_ns: int) -> None:
        self._rules = rules
        self._memory = memory
        self._phase = Phase.HALTING if memory.reason else Phase.ACTIVE
        self._reason = memory.reason
        self._holder: Holder | None = None
        self._heard: dict[str, int] = {}
        self._awake_since_ns = now_ns + rules.startup_grace_ns - rules.heartbeat_timeout_ns
        self._ticked_ns = now_ns
        self._look: Look | None = None
        self._looked_ns = 0
        self._deep_looks = 0
        self._asks_ledger = False
        self._differences = Differences()
        self._agree_since_ns: int | None = None
        self._kill_file = False
        self._flat_looks = 0
        self._press = Press(rules)
        self._token: tuple[str, int] | None = None

    @property
    def phase(self) -> Phase:
        """Where it is."""
        return self._phase

    @property
    def state(self) -> TradingState:
        """What the fleet is told."""
        return STATES[self._phase]

    @property
    def memory(self) -> Memory:
        """What would survive a restart now."""
        return self._memory

    @property
    def asks_ledger(self) -> bool:
        """True when equity moved so far that the next look needs the transaction log: it may be a transfer."""
        return self._asks_ledger

    @property
    def ledger_since_ns(self) -> int:
        """The transaction log is asked for from here: what lies before is counted."""
        return max(self._memory.born_ns, self._memory.ledger_ns - _LEDGER_OVERLAP_NS)

    # what comes in

    def on_heartbeat(self, heartbeat: Heartbeat, now_ns: int) -> Permit:
        """Note a heartbeat and answer with a permit.

        One router boot holds the entry permits. Another boot gets none until the holder has been silent for more than two permit lives,
        when no permit of it can be valid any more.
        """
        self._heard[heartbeat.service] = now_ns
        refusal = self._why_no_entry(heartbeat, now_ns)
        return Permit(
            state=self.state,
            reason=self._reason or refusal,
            boot_id=heartbeat.boot_id,
            entries_permitted=not refusal,
            valid_until_ns=now_ns + self._rules.permit_ns,
        )

    def on_kill(self, who: str, why: str, now_ns: int) -> list[Effect]:
        """Halt on a person's or a service's command, whatever the phase."""
        return self._halt(f"{who}: {why}", now_ns)

    def on_kill_file(self, now_ns: int, *, present: bool) -> list[Effect]:
        """Halt when the kill file appears; while it is there nobody can rearm."""
        appeared = present and not self._kill_file
        self._kill_file = present
        return self._halt("kill file", now_ns) if appeared else []

    def on_look(self, look: Look, now_ns: int) -> list[Effect]:
        """Judge a look at the venue."""
        self._look, self._looked_ns = look, now_ns
        effects = self._measure(look, now_ns)
        if self._phase in {Phase.ACTIVE, Phase.REDUCING}:
            return effects + self._compare(look, now_ns)
        if self._phase is Phase.HALTED:
            return effects if look.is_flat else effects + self._halt(self._reason, now_ns)
        self._flat_looks = self._flat_looks + 1 if look.is_flat and look.started_ns >= self._press.acted_ns else 0
        if self._flat_looks >= _LOOKS_NEEDED:
            self._phase = Phase.HALTED
            return [*effects, Announce(self._phase, self._reason)]
        return effects + self._pressed(now_ns)

    def on_tick(self, now_ns: int) -> list[Effect]:
        """Notice what did not happen; called several times a second."""
        if now_ns - self._ticked_ns > self._rules.stall_ns:
            self._awake_since_ns = max(self._awake_since_ns, now_ns)
        self._ticked_ns = now_ns
        if self._phase is Phase.HALTING:
            return self._pressed(now_ns)
        if self._phase is not Phase.HALTED and self._is_router_lost(now_ns):
            silent_s = (now_ns - self._router_seen_ns()) / SECOND_NS
            return self._halt(f"no heartbeat of the router for {silent_s:.1f} s with positions or orders open", now_ns)
        return []

    def may_send(self, now_ns: int) -> bool:
        """Take one order of our share; asked before a close goes by another way."""
        return self._press.may_send(now_ns)

    def may_cancel(self, now_ns: int) -> bool:
        """Take one cancel of our share; asked before each of those that go one by one."""
        return self._press.may_cancel(now_ns)

    def on_close_lost(self, symbol: str, retry_at_ns: int) -> None:
        """Note that no way took a close; the next waits until `retry_at_ns`, or the longest wait.

        A close that was perhaps accepted is sent again under a new id: being reduce-only, it cannot overshoot.
        """
        self._press.on_close_lost(symbol, self._not_for_long(retry_at_ns))

    def on_close_refused(self, symbol: str, qty: Decimal) -> None:
        """Note that the venue said no to a close of this size."""
        held = self._look.positions.get(symbol, _ZERO) if self._look else _ZERO
        self._press.on_close_refused(symbol, qty, held or qty)

    def on_cancel_lost(self, retry_at_ns: int) -> None:
        """Note that a cancel-all did not get through; only cancels wait."""
        self._press.on_cancel_lost(self._not_for_long(retry_at_ns))

    def on_rearm(self, who: str, why: str, token: str, now_ns: int) -> tuple[RearmAnswer, list[Effect]]:
        """Rearm in two steps: without a token give one, with it go back to ACTIVE and measure drawdown from here."""
        refusal = self._why_not_rearm()
        if refusal:
            return RearmAnswer(rearmed=False, refusal=refusal), []
        if not token:
            fresh = hashlib.sha256(f"{self._memory.born_ns}|{self._memory.reason}|{now_ns}".encode()).hexdigest()[:8]
            self._token = (fresh, now_ns + self._rules.token_ns)
            return RearmAnswer(rearmed=False, token=fresh), []
        if self._token is None or self._token[0] != token or now_ns > self._token[1]:
            return RearmAnswer(rearmed=False, refusal="the token is wrong or has expired; ask for a new one"), []
        self._token = None
        self._phase, self._reason = Phase.ACTIVE, ""
        self._differences.clear()
        self._agree_since_ns = None
        self._deep_looks = 0
        self._awake_since_ns = now_ns
        self._memory = msgspec.structs.replace(self._memory, reason="", peak=None)
        return RearmAnswer(rearmed=True), [Remember(self._memory), Announce(self._phase, f"{who}: {why}")]

    def report(self, now_ns: int) -> dict[str, Any]:
        """Give what `GET /state` shows."""
        look = self._look
        router = self._holder
        return {
            "state": self.state,
            "phase": self._phase,
            "reason": self._reason,
            "heartbeat_age_ns": now_ns - router.seen_ns if router else -1,
            "heartbeats": {service: now_ns - seen for service, seen in self._heard.items()},
            "permit_holder": router.heartbeat.boot_id if router else "",
            "look_age_ns": now_ns - self._looked_ns if look else -1,
            "positions": {symbol: str(qty) for symbol, qty in look.positions.items()} if look else {},
            "open_orders": [order.order_id for order in look.orders] if look else [],
            "equity": str(look.equity) if look and look.equity is not None else "",
            "peak": "" if self._memory.peak is None else str(self._memory.peak),
            "net_transfers": str(self._memory.transfers),
            "disagreement_ns": self._differences.lasted_ns(now_ns),
            "kill_file": self._kill_file,
            "orders_sent": self._memory.orders,
        }

    # permits

    def _why_no_entry(self, heartbeat: Heartbeat, now_ns: int) -> str:
        if heartbeat.service != ROUTER:
            return "only the router enters"
        if not self._takes_permit(heartbeat, now_ns):
            return "another router holds the permit of this account"
        if self._phase is not Phase.ACTIVE:
            return f"the guardian is {self._phase}"
        if not self._sees(now_ns):
            return "the guardian has no fresh look at the venue"
        books_silent_ns = now_ns - max(self._heard.get(BOOKS, 0), self._awake_since_ns)
        if books_silent_ns > self._rules.books_timeout_ns:
            return f"no heartbeat of the position manager for {books_silent_ns / SECOND_NS:.1f} s: nobody watches the books"
        return ""

    def _takes_permit(self, heartbeat: Heartbeat, now_ns: int) -> bool:
        holder = self._holder
        if holder and holder.heartbeat.boot_id != heartbeat.boot_id:
            if now_ns - holder.seen_ns <= 2 * self._rules.permit_ns:
                return False
        elif holder and heartbeat.sequence < holder.heartbeat.sequence:
            heartbeat = holder.heartbeat  # an older one that came late says nothing new
        self._holder = Holder(heartbeat, now_ns)
        return True

    def _sees(self, now_ns: int) -> bool:
        return self._look is not None and now_ns - self._looked_ns <= self._rules.view_timeout_ns

    # reasons to trip

    def _router_seen_ns(self) -> int:
        # any boot's: a new one must wait for the permit of the old one, and is there nevertheless
        return max(self._heard.get(ROUTER, 0), self._awake_since_ns)

    def _is_router_lost(self, now_ns: int) -> bool:
        silent = now_ns - self._router_seen_ns() > self._rules.heartbeat_timeout_ns
        return silent and self._sees(now_ns) and self._look is not None and self._look.is_exposed

    def _measure(self, look: Look, now_ns: int) -> list[Effect]:
        before = self._memory
        self._count_transfers(look)
        if look.equity is None:
            return []
        own = look.equity - self._memory.transfers
        peak = self._memory.peak
        is_new_peak = peak is None or own > peak
        is_deep = peak is not None and peak > 0 and (peak - own) / peak >= self._rules.drawdown_limit
        self._asks_ledger = look.transfers is None and (is_new_peak or is_deep)
        if self._asks_ledger:
            return []
        if is_new_peak:
            self._memory = msgspec.structs.replace(self._memory, peak=own)
            self._deep_looks = 0
        elif peak is not None and is_deep:
            self._deep_looks += 1
            if self._deep_looks >= _LOOKS_NEEDED and self._phase in {Phase.ACTIVE, Phase.REDUCING}:
                return self._halt(f"drawdown {(peak - own) / peak:.2%} of the peak {peak}", now_ns)
        else:
            self._deep_looks = 0
        return [] if self._memory is before else [Remember(self._memory)]

    def _count_transfers(self, look: Look) -> None:
        if look.transfers is not None and look.started_ns - self._memory.ledger_ns >= _LEDGER_OVERLAP_NS:
            self._memory = msgspec.structs.replace(self._memory, ledger_ns=look.started_ns)
        counted = set(self._memory.counted_rows)
        fresh = [row for row in look.transfers or () if row.entry_id not in counted]
        if not fresh:
            return
        # what lies before the first look is in its equity already
        amount = _ZERO if self._memory.peak is None and not counted else sum((row.amount for row in fresh), _ZERO)
        self._memory = msgspec.structs.replace(
            self._memory,
            transfers=self._memory.transfers + amount,
            counted_rows=(*self._memory.counted_rows, *(row.entry_id for row in fresh))[-_ROWS_KEPT:],
        )

    def _compare(self, look: Look, now_ns: int) -> list[Effect]:
        holder = self._holder
        if holder is None or now_ns - holder.seen_ns > self._rules.heartbeat_timeout_ns:
            self._differences.clear()  # silence is another rule's business
            self._agree_since_ns = None
            return []
        self._differences.take(holder.heartbeat, look, now_ns)
        if not self._differences:
            self._agree_since_ns = now_ns if self._agree_since_ns is None else self._agree_since_ns
            if self._phase is Phase.REDUCING and now_ns - self._agree_since_ns >= self._rules.reduce_after_ns:
                self._phase, self._reason = Phase.ACTIVE, ""
                return [Announce(self._phase, "fleet and venue agree again")]
            return []
        self._agree_since_ns = None
        lasted_ns = self._differences.lasted_ns(now_ns)
        words = self._differences.words(now_ns, self._rules.reduce_after_ns)
        if lasted_ns >= self._rules.halt_after_ns:
            return self._halt(f"fleet and venue disagree for {lasted_ns / SECOND_NS:.1f} s: {words}", now_ns)
        if lasted_ns >= self._rules.reduce_after_ns and self._phase is Phase.ACTIVE:
            self._phase, self._reason = Phase.REDUCING, f"fleet and venue disagree: {words}"
            return [Announce(self._phase, self._reason)]
        return []

    # acting

    def _halt(self, reason: str, now_ns: int) -> list[Effect]:
        self._phase, self._reason = Phase.HALTING, reason
        self._token = None
        self._flat_looks = 0
        self._press.begin(now_ns)
        self._memory = msgspec.structs.replace(self._memory, reason=reason)
        return [Remember(self._memory), Announce(self._phase, reason), *self._pressed(now_ns)]

    def _pressed(self, now_ns: int) -> list[Effect]:
        effects: list[Effect] = []
        cancel = self._press.cancel(self._look, sees=self._sees(now_ns), now_ns=now_ns)
        if cancel:
            effects.append(cancel)
        closes = [self._numbered(close) for close in self._press.closes(self._held(now_ns), self._look, now_ns)]
        return [*effects, Remember(self._memory), *closes] if closes else effects

    def _held(self, now_ns: int) -> Mapping[str, Decimal]:
        """Positions to close: the venue's word; without a fresh look also what the router last believed."""
        seen = self._look.positions if self._look else {}
        if self._sees(now_ns) or self._holder is None:
            return seen
        believed = {symbol: qty for symbol, qty in self._holder.heartbeat.positions.items() if qty}
        return believed | seen

    def _numbered(self, close: Close) -> Flatten:
        number = self._memory.orders + 1
        self._memory = msgspec.structs.replace(self._memory, orders=number)
        side = Side.SELL if close.qty > 0 else Side.BUY
        return Flatten(f"{ORDER_PREFIX}{self._memory.born_ns:x}-{number}", close.symbol, side, abs(close.qty))

    def _not_for_long(self, retry_at_ns: int) -> int:
        return min(retry_at_ns, self._ticked_ns + self._rules.longest_wait_ns)

    def _why_not_rearm(self) -> str:
        if self._kill_file:
            return "the kill file is still there; remove it first"
        if self._phase is Phase.HALTING:
            return "still cancelling and flattening"
        if self._phase is not Phase.HALTED:
            return f"not halted: {self._phase}"
        return ""
