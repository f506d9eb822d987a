"""What the person at the terminal sees: a line for each thing that matters, as it happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console

from undertow.bus.ports import Bus, Delivery, Topic
from undertow.contracts.messages.decision import Signal
from undertow.contracts.messages.market import Liquidations
from undertow.contracts.messages.trading import Execution, OrderChanged, TradeClosed
from undertow.contracts.streams import EXECUTIONS, MARKET, ORDERS, SIGNALS
from undertow.domain.order import OrderRole, OrderStatus, Side

_NS = 1_000_000_000
_MOST_LINES_A_TURN = 20


class Story:
    """Follows the streams from the outside, without a consumer group, and prints."""

    def __init__(self, bus: Bus, symbols: tuple[str, ...], console: Console) -> None:
        self._bus = bus
        self._console = console
        self._next = {Topic(ORDERS): "-", Topic(EXECUTIONS): "-"}
        for symbol in symbols:
            self._next[Topic(MARKET, symbol=symbol)] = "-"
            self._next[Topic(SIGNALS, symbol=symbol, source="model_server")] = "-"

    async def tell(self) -> None:
        """Print what happened since the last call."""
        lines: list[tuple[int, str]] = []
        for topic, position in self._next.items():
            for delivery in await self._read(topic, position):
                self._next[topic] = _after(delivery.entry_id)
                line = describe(delivery.message)
                if line:
                    lines.append((delivery.message.ts_recv, line))
        lines.sort(key=lambda item: item[0])
        for at_ns, line in lines[:_MOST_LINES_A_TURN]:
            clock = datetime.fromtimestamp(at_ns / _NS, UTC).strftime("%H:%M:%S.%f")[:-3]
            self._console.print(f"[dim]{clock}[/] {line}", highlight=False, soft_wrap=True)
        if len(lines) > _MOST_LINES_A_TURN:
            self._console.print(f"[dim]… and {len(lines) - _MOST_LINES_A_TURN} more[/]")

    async def _read(self, topic: Topic, position: str) -> list[Delivery]:
        if not await self._bus.connected():
            return []
        return await self._bus.since(topic, position)


def describe(message: object) -> str | None:
    """Say a message in one line, or None when it is not worth one."""
    for kind, words in _WORDS.items():
        if isinstance(message, kind):
            return words(message)
    return None


def _after(entry_id: str) -> str:
    milliseconds, _, number = entry_id.partition("-")
    return f"{milliseconds}-{int(number) + 1}"


def _liquidations(message: Liquidations) -> str | None:
    notional = sum(float(each.price) * float(each.size) for each in message.liquidations)
    longs = sum(each.position_side is Side.BUY for each in message.liquidations)
    who = "longs" if longs * 2 >= len(message.liquidations) else "shorts"
    return f"[yellow]liquidation[/] {message.symbol} {len(message.liquidations)} {who}, {notional:,.0f} USDT"


def _signal(message: Signal) -> str | None:
    return (
        f"[cyan]decision[/]    {message.symbol} {message.side} {message.delta_bps:g} bp away, hold {message.hold_ns / _NS:g} s: "
        f"expects {message.expected_bps:+.1f} bp after fees, fill probability {message.fill_probability:.0%}"
    )


def _order(message: OrderChanged) -> str | None:
    if message.status is OrderStatus.DENIED:
        return f"[dim]denied[/]      {message.symbol} {message.side}: {message.reason}"
    if message.status is OrderStatus.SUBMITTED and message.role is OrderRole.ENTRY:
        return f"[blue]order[/]       {message.symbol} {message.side} {message.qty} at {message.price}, stop {message.stop_loss}"
    if message.status is OrderStatus.REJECTED:
        return f"[red]rejected[/]    {message.symbol} {message.side}: {message.reason}"
    return None


def _execution(message: Execution) -> str | None:
    kind = "maker" if message.is_maker else "taker"
    return f"[green]fill[/]        {message.symbol} {message.side} {message.qty} at {message.price} ({kind}, fee {message.fee})"


def _closed(message: TradeClosed) -> str | None:
    net = message.net_pnl
    colour = "green" if net >= 0 else "red"
    return f"[bold {colour}]round trip[/]  {message.symbol} {net:+.4f} USDT after fees ({message.return_bps:+.1f} bp)"


_WORDS: dict[type, Callable[..., str | None]] = {
    Liquidations: _liquidations,
    Signal: _signal,
    OrderChanged: _order,
    Execution: _execution,
    TradeClosed: _closed,
}
