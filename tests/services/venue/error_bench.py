"""A venue on a market with odd contracts and accounts in every standing, for those who provoke its error codes."""

from __future__ import annotations

from typing import Any

from services.venue.account_settings import AccountSettings
from services.venue.market_choice import Choice
from tests.services.venue.clients.scripted_market import ScriptedMarket
from tests.services.venue.little_market import ORIGIN_NS, Client, order
from tests.support import eventually
from undertow.markets.instruments import instruments_for
from undertow.markets.ports import MarketFrame

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
BTC = {"category": "linear", "symbol": "BTCUSDT"}
FAR = {"price": "60000.00", "timeInForce": "GTC"}


class OddMarket(ScriptedMarket):
    """BTCUSDT as it is; ETHUSDT a dated contract, SOLUSDT closed, DOGEUSDT with a mark and no book."""

    symbols = SYMBOLS
    instruments = tuple(
        {**item, **{"ETHUSDT": {"contractType": "LinearFutures"}, "SOLUSDT": {"status": "Closed"}}.get(symbol, {})}
        for symbol, item in zip(SYMBOLS, instruments_for(SYMBOLS), strict=True)
    )

    def frames(self):
        marks = dict.fromkeys(("lastPrice", "markPrice", "indexPrice"), "0.20000")
        doge = self._ticker("DOGEUSDT", ORIGIN_NS // 1_000_000, "snapshot", marks)
        yield MarketFrame(ORIGIN_NS, self._frame(ORIGIN_NS // 1_000_000, doge).raw)
        yield from super().frames()


def _account(number: int, name: str, *, of_key: dict[str, Any] | None = None, **more: Any) -> AccountSettings:
    key = {"key": name, "secret": f"{name}-secret", **(of_key or {})}
    return AccountSettings.model_validate({"uid": str(200_001 + number), "keys": [key], **more})


ACCOUNTS = (
    _account(0, "bot", vip_level=3),
    _account(1, "rich", vip_level=3, opening_balance="900000000"),
    _account(2, "banned", standing="banned"),
    _account(3, "abroad", standing="region"),
    _account(4, "watched", standing="compliance"),
    _account(5, "barred", standing="trading_banned"),
    _account(6, "classic", unified=False),
    _account(7, "limited", symbols=["BTCUSDT"]),
    _account(8, "bound", of_key={"ips": ["127.0.0.2"]}),
    _account(9, "expired", of_key={"expires": "2026-01-01T00:00:00Z"}),
    _account(10, "reader", of_key={"read_only": True}),
    _account(11, "plain"),
)


class Bench:
    """A venue on the odd market, and what the rows do with it."""

    def __init__(self, client: Client, market: OddMarket) -> None:
        self.client = client
        self.market = market

    def key(self, name: str) -> Client:
        return self.client.as_key(name)

    async def create(self, name: str = "bot", **changes: Any) -> dict[str, Any]:
        return await self.key(name).post("/v5/order/create", order(**{**FAR, **changes}))

    async def post(self, path: str, name: str = "bot", **body: Any) -> dict[str, Any]:
        return await self.key(name).post(f"/v5/{path}", body)

    async def ask(self, name: str = "bot", path: str = "account/info", query: str = "", **how: Any) -> dict[str, Any]:
        return await self.key(name).get(f"/v5/{path}", query, **how)

    async def hold(self, qty: str = "0.010") -> None:
        assert (await self.create(orderType="Market", qty=qty))["retCode"] == 0

    async def fill_in_part(self) -> None:
        """Leave the order `part` filled with 0.004 of 0.010."""
        await self.create(price="64990.00", orderLinkId="part", timeInForce="PostOnly")
        self.market.tell(trade=["Sell", "64980.00", "0.004"])

        async def is_filled() -> bool:
            answer = await self.ask(path="order/realtime", query="category=linear&orderLinkId=part")
            return answer["result"]["list"][0]["cumExecQty"] == "0.004"

        await eventually(is_filled)

    async def fault(self, **fault: Any) -> None:
        async with self.client.session.post("/control/faults", json=fault) as answer:
            assert answer.status == 200, await answer.text()

    async def trade(self, *messages: dict[str, Any], auth: bool = True, name: str = "bot") -> dict[str, Any]:
        """Give the last reply of the trade socket to some messages."""
        reply: dict[str, Any] = {}
        async with self.key(name).socket("/v5/trade", auth=auth) as wire:
            for message in messages:
                reply = await wire.ask(message)
        return reply

    def request(self, request_id: str = "r1", operation: str = "order.create", **changes: Any) -> dict[str, Any]:
        header = {"X-BAPI-TIMESTAMP": str(self.client.now_ms)}
        return {"reqId": request_id, "header": header, "op": operation, "args": [order(**{**FAR, **changes})]}


def choice() -> Choice:
    return Choice(OddMarket(ORIGIN_NS), None)
