"""What the page and the API show: a bounded view of the streams. Pure: messages and `at_ns` (wall, for ages) in, plain data out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import msgspec

from undertow.contracts.messages.control import Command, GuardianState, Verb
from undertow.contracts.messages.decision import Decision, Signal
from undertow.contracts.messages.market import Liquidations
from undertow.contracts.messages.trading import Account, Execution, OrderChanged, TradeClosed
from undertow.domain.state import TradingState, most_severe

KEPT: Final = 200
CURVE_POINTS: Final = 1_800
MINUTE_NS: Final = 60_000_000_000
MINUTES_KEPT: Final = 60
SECOND_NS: Final = 1_000_000_000
FRESH_MS: Final = 5_000
"""A tile whose source has been silent for longer is shown as stale."""


@dataclass(frozen=True, slots=True)
class Health:
    """A service's own word on itself; `reason` is empty when it is ready."""

    ready: bool
    reason: str


class View:
    """The newest of everything, at most `KEPT` of each kind."""

    def __init__(self, mode: str, chart_ns: int = SECOND_NS) -> None:
        self._mode = mode
        self._chart_ns = chart_ns
        self._market = ""
        self._model = ""
        self._account: Account | None = None
        self._guardian: dict[str, Any] = {}
        self._guardian_error = "not asked yet"
        self._health: dict[str, Health] = {}
        self._seen: dict[str, int] = {}
        self._open: dict[str, OrderChanged] = {}
        self._orders: deque[OrderChanged] = deque(maxlen=KEPT)
        self._executions: deque[Execution] = deque(maxlen=KEPT)
        self._trades: deque[TradeClosed] = deque(maxlen=KEPT)
        self._signals: deque[Signal] = deque(maxlen=KEPT)
        self._decisions: deque[Decision] = deque(maxlen=KEPT)
        self._commands: deque[Command] = deque(maxlen=KEPT)
        self._liquidations: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._verdicts: deque[tuple[int, Counter[tuple[str, str]]]] = deque(maxlen=MINUTES_KEPT)
        self._curve: deque[tuple[int, Decimal, Decimal]] = deque(maxlen=CURVE_POINTS)
        self._commanded = TradingState.ACTIVE
        self._paused = False
        self._wins = 0
        self._trips = 0

    # what comes in

    def on_message(self, message: Any, at_ns: int) -> None:
        """Take a message of any stream; kinds that are not shown only prove that the feed lives."""
        match message:
            case Account():
                self._on_account(message, at_ns)
            case OrderChanged():
                self._on_order(message)
            case TradeClosed():
                self._trades.append(message)
                self._trips += 1
                self._wins += message.net_pnl > 0
            case Execution():
                self._executions.append(message)
            case Liquidations():
                self._on_liquidations(message)
            case Signal():
                self._signals.append(message)
            case Decision():
                self._on_decision(message, at_ns)
            case Command():
                self._on_command(message)
            case GuardianState():
                return
            case _:
                self._seen["market"] = at_ns
                return
        self._seen[_SOURCE[type(message)]] = at_ns

    def on_guardian(self, report: Mapping[str, Any], at_ns: int) -> None:
        """Take the guardian's answer."""
        self._guardian, self._guardian_error = dict(report), ""
        self._seen["guardian"] = at_ns

    def on_guardian_silent(self, why: str) -> None:
        """Note that it did not answer."""
        self._guardian_error = why

    def on_health(self, health: Mapping[str, Health], at_ns: int) -> None:
        """Take what the services say of themselves."""
        self._health = dict(health)
        self._seen["services"] = at_ns

    def on_market(self, label: str) -> None:
        """Take the market's name."""
        self._market = label

    def on_model(self, label: str) -> None:
        """Take what the model is."""
        self._model = label

    # what is shown

    @property
    def state(self) -> TradingState:
        """The most severe of what the guardian, the account and the commands so far say."""
        known = [TradingState(self._guardian["state"])] if self._guardian else []
        return most_severe(self._commanded, *known, *([self._account.state] if self._account else []))

    @property
    def is_paused(self) -> bool:
        """Whether the last command that says so was against entries."""
        return self._paused

    def status(self, at_ns: int) -> dict[str, Any]:
        """Give mode, state and health."""
        return {
            "mode": self._mode,
            "market": self._market,
            "model": self._model,
            "state": self.state.value,
            "paused": self.is_paused,
            "reason": self._reason(),
            "guardian": self._guardian_error or "answers",
            "services": {name: each.reason or "ready" for name, each in self._health.items()},
            "ages_ms": self.ages(at_ns),
        }

    def ages(self, at_ns: int) -> dict[str, int]:
        """Give how long each source has been silent, ms; -1 = never heard."""
        return {source: (at_ns - self._seen[source]) // 1_000_000 if source in self._seen else -1 for source in SOURCES}

    def positions(self) -> list[dict[str, Any]]:
        """Give open positions."""
        return [plain(each) for each in self._account.positions] if self._account else []

    def orders(self) -> list[dict[str, Any]]:
        """Give orders that may rest, then the newest that ended."""
        return [_order(each) for each in (*reversed(self._open.values()), *reversed(self._orders))]

    def open_orders(self) -> list[dict[str, Any]]:
        """Give orders that may rest, newest first."""
        return [_order(each) for each in reversed(self._open.values())]

    def executions(self) -> list[dict[str, Any]]:
        """Give fills, newest first."""
        return [plain(each) for each in reversed(self._executions)]

    def trades(self) -> list[dict[str, Any]]:
        """Give round trips, newest first."""
        return [plain(each) | {"net_pnl": format(each.net_pnl, "f")} for each in reversed(self._trades)]

    def liquidations(self) -> list[dict[str, Any]]:
        """Give liquidations, newest first; `side` is that of the position that was liquidated."""
        return list(reversed(self._liquidations))

    def signals(self) -> list[dict[str, Any]]:
        """Give signals, newest first."""
        return [plain(each) for each in reversed(self._signals)]

    def commands(self) -> list[dict[str, Any]]:
        """Give commands, newest first."""
        return [plain(each) for each in reversed(self._commands)]

    def why(self, at_ns: int, minutes: int) -> dict[str, Any]:
        """Give how the looks at the market ended in the last minutes, by service and verdict, and the last of them."""
        since = at_ns // MINUTE_NS - minutes
        total: Counter[tuple[str, str]] = Counter()
        for minute, counts in self._verdicts:
            if minute > since:
                total.update(counts)
        return {
            "minutes": minutes,
            "counts": [
                {"service": service, "verdict": verdict, "count": count}
                for (service, verdict), count in sorted(total.items(), key=lambda item: (-item[1], item[0]))
            ],
            "last": [_decision(each) for each in list(self._decisions)[:-21:-1]],
        }

    def equity(self) -> dict[str, Any]:
        """Give the money of the account and its curve."""
        account = self._account
        if account is None:
            return {"known": False, "curve": []}
        return {
            "known": True,
            "equity": format(account.equity, "f"),
            "wallet": format(account.wallet, "f"),
            "available": format(account.available, "f"),
            "unrealised": format(account.unrealised, "f"),
            "realised": format(account.realised, "f"),
            "fees": format(account.fees, "f"),
            "funding": format(account.funding, "f"),
            "net_pnl": format(_net(account), "f"),
            "drawdown": format(account.drawdown, "f"),
            "position_residual": format(account.position_residual, "f"),
            "money_residual": format(account.money_residual, "f"),
            "reconciled_ns": account.reconciled_ns,
            "anomalies": list(account.anomalies),
            "round_trips": self._trips,
            "wins": self._wins,
            "curve": [[at_ns // 1_000_000, float(equity), float(pnl)] for at_ns, equity, pnl in self._curve],
        }

    def page(self, at_ns: int) -> dict[str, Any]:
        """Give all that the page needs at once."""
        return {
            "status": self.status(at_ns),
            "fresh_ms": FRESH_MS,
            "equity": self.equity(),
            "positions": self.positions(),
            "open_orders": self.open_orders()[:20],
            "executions": self.executions()[:20],
            "trades": self.trades()[:20],
            "liquidations": self.liquidations()[:30],
            "signals": self.signals()[:10],
            "commands": self.commands()[:10],
            "why": self.why(at_ns, 5),
        }

    # within

    def _on_account(self, account: Account, at_ns: int) -> None:
        self._account = account
        if not self._curve or at_ns - self._curve[-1][0] >= self._chart_ns:
            self._curve.append((at_ns, account.equity, _net(account) + account.unrealised))

    def _on_order(self, order: OrderChanged) -> None:
        self._open.pop(order.order_id, None)
        if order.status.is_terminal:
            self._orders.append(order)
            return
        self._open[order.order_id] = order
        if len(self._open) > KEPT:
            del self._open[next(iter(self._open))]

    def _on_liquidations(self, message: Liquidations) -> None:
        for each in message.liquidations:
            self._liquidations.append(
                {
                    "ts_event": each.ts_event,
                    "symbol": message.symbol,
                    "side": each.position_side.value,
                    "price": each.price,
                    "size": each.size,
                    "notional": format(Decimal(each.price) * Decimal(each.size), ".2f"),
                }
            )

    def _on_command(self, command: Command) -> None:
        """Understand it as the router does: resume ends a pause and REDUCING, only rearming ends HALTED."""
        self._commands.append(command)
        match command.verb:
            case Verb.PAUSE | Verb.FLATTEN:
                self._paused = True
            case Verb.RESUME:
                self._paused = False
                if self._commanded is TradingState.REDUCING:
                    self._commanded = TradingState.ACTIVE
            case Verb.REDUCE:
                self._commanded = most_severe(self._commanded, TradingState.REDUCING)
            case Verb.HALT:
                self._commanded = TradingState.HALTED
            case Verb.REARM:
                self._commanded = TradingState.ACTIVE
            case Verb.PROMOTE | Verb.LIMIT:
                return

    def _on_decision(self, decision: Decision, at_ns: int) -> None:
        self._decisions.append(decision)
        minute = at_ns // MINUTE_NS
        if not self._verdicts or self._verdicts[-1][0] != minute:
            self._verdicts.append((minute, Counter()))
        self._verdicts[-1][1][decision.service, decision.verdict.value] += 1

    def _reason(self) -> str:
        if self._guardian.get("reason"):
            return str(self._guardian["reason"])
        return "; ".join(self._account.anomalies) if self._account else ""


SOURCES: Final = (
    *("account", "orders", "executions", "liquidations", "decisions", "commands", "market", "guardian", "services"),
)
_SOURCE: Final[Mapping[type, str]] = {
    Account: "account",
    OrderChanged: "orders",
    TradeClosed: "orders",
    Execution: "executions",
    Liquidations: "liquidations",
    Signal: "decisions",
    Decision: "decisions",
    Command: "commands",
}
_ORDER_FIELDS: Final = (
    *("order_id", "symbol", "side", "role", "order_type", "price", "qty", "filled_qty", "average_price"),
    *("status", "reason", "stop_loss", "ts_event"),
)


def plain(struct: msgspec.Struct) -> dict[str, Any]:
    """Give a message as JSON-ready data: Decimals as exact strings, no bytes."""
    return {name: _plain_value(getattr(struct, name)) for name in struct.__struct_fields__ if name != "values"}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _order(order: OrderChanged) -> dict[str, Any]:
    shown = plain(order)
    return {name: shown[name] for name in _ORDER_FIELDS}


def _decision(decision: Decision) -> dict[str, Any]:
    shown = plain(decision)
    return {name: shown[name] for name in ("ts_event", "service", "symbol", "verdict", "subject", "detail")}


def _net(account: Account) -> Decimal:
    return account.realised - account.fees + account.funding
