"""The installed ccxt trades on the venue over its sockets: it watches, and orders over the trade socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.services.venue.clients.running_venue import OPENING
from tests.support import eventually

SYMBOL = "BTC/USDT:USDT"
KEY = "ccxt-pro"


class Watcher:
    """Watches everything at once and keeps what it saw."""

    def __init__(self, bot: ccxt.pro.bybit) -> None:
        self.seen: dict[str, list[Any]] = {}
        self._tasks = [
            asyncio.create_task(self._watch(name, watch))
            for name, watch in {
                "orders": bot.watch_orders,
                "fills": bot.watch_my_trades,
                "positions": bot.watch_positions,
                "balances": bot.watch_balance,
                "books": lambda: bot.watch_order_book(SYMBOL, 200),
                "tops": lambda: bot.watch_bids_asks([SYMBOL]),
                "candles": lambda: bot.watch_ohlcv(SYMBOL, "5m"),
                "trades": lambda: bot.watch_trades(SYMBOL),
                "tickers": lambda: bot.watch_ticker(SYMBOL),
                "liquidations": lambda: bot.watch_liquidations(SYMBOL),
            }.items()
        ]

    async def _watch(self, name: str, watch: Callable[[], Awaitable[Any]]) -> None:
        while True:
            seen = await watch()
            self.seen.setdefault(name, []).extend([dict(seen)] if isinstance(seen, dict) else list(seen))

    def order(self, order_id: str) -> dict[str, Any]:
        return next((o for o in reversed(self.seen.get("orders", [])) if o["id"] == order_id), {})

    def complaint(self) -> BaseException | None:
        return next((task.exception() for task in self._tasks if task.done()), None)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def bot(venue):
    settings = {"apiKey": KEY, "secret": f"{KEY}-secret", "enableRateLimit": False, "cafile": venue.ca_file}
    bot = ccxt.pro.bybit(settings)
    yield bot
    await bot.close()


async def test_ccxt_pro_trades_and_watches(venue, bot):
    await bot.load_markets()
    await bot.set_leverage(20, SYMBOL)
    watcher = Watcher(bot)
    seen = watcher.seen
    await eventually(lambda: {"books", "tickers"} <= set(seen))
    assert seen["books"][0]["bids"][0] == [65000.0, 50.0]

    # over the trade socket
    one = (await bot.create_order_ws(SYMBOL, "limit", "buy", 0.01, 64000, {"postOnly": True}))["id"]
    await eventually(lambda: watcher.order(one).get("status") == "open")
    await bot.edit_order_ws(one, SYMBOL, "limit", "buy", 0.02, 64001)
    await eventually(lambda: (watcher.order(one)["amount"], watcher.order(one)["price"]) == (0.02, 64001.0))
    await bot.cancel_order_ws(one, SYMBOL)
    await eventually(lambda: watcher.order(one)["status"] == "canceled")
    with pytest.raises(ccxt.OrderNotFound):
        await bot.cancel_order_ws(one, SYMBOL)
    crossing = (await bot.create_order_ws(SYMBOL, "limit", "buy", 0.01, 65000.1, {"postOnly": True}))["id"]
    await eventually(lambda: watcher.order(crossing).get("status") == "canceled")

    # a maker's fill, a taker's, funding, a reduce-only close
    resting = (await bot.create_order_ws(SYMBOL, "limit", "buy", 0.01, 64990))["id"]
    await eventually(lambda: watcher.order(resting).get("status") == "open")
    venue.tell(trade=["Sell", "64980.00", "9.000"])
    await eventually(lambda: watcher.order(resting)["status"] == "closed")
    await bot.create_order_ws(SYMBOL, "market", "buy", 0.01)
    await eventually(lambda: seen.get("positions") and seen["positions"][-1]["contracts"] == 0.02)
    venue.tell(funding_in_ms=60, rate="-0.0001")
    await eventually(lambda: venue.ledger(KEY)["funding"] == "0.13")
    venue.tell(liquidation=["Buy", "64000.00", "1.500"])
    await eventually(lambda: {"trades", "liquidations", "tops", "candles"} <= set(seen))
    await bot.create_order_ws(SYMBOL, "market", "sell", 0.02, None, {"reduceOnly": True})
    await eventually(lambda: seen["positions"][-1]["contracts"] == 0)

    # and everybody agrees
    truth = venue.ledger(KEY)
    await eventually(lambda: _wallet(seen) == truth["wallet"])
    fills = {fill["id"]: fill for fill in seen["fills"]}.values()
    assert sum(Decimal(fill["info"]["execQty"]) * (1 if fill["side"] == "buy" else -1) for fill in fills) == 0
    earned = sum(Decimal(fill["info"]["execPnl"]) - Decimal(fill["info"]["execFee"]) for fill in fills)
    assert Decimal(OPENING) + earned + Decimal(truth["funding"]) == Decimal(truth["wallet"])
    assert (truth["positions"], truth["open_orders"], truth["executions"]) == ({}, 0, len(fills) + 1)
    assert watcher.complaint() is None
    await watcher.stop()


def _wallet(seen: dict[str, list[Any]]) -> str:
    return seen["balances"][-1]["info"][0]["totalWalletBalance"]
