"""Every error code of the protocol page that can meet who trades linear contracts, and how this venue is brought to say it.

A `Row` with an `act` is provoked by the cause that the page states; one without by the fault API, because the page states no cause that
this venue has (the row says which). Rows whose text the page shows hold it in `words`; the others hold this venue's own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.services.venue.error_bench import BTC, FAR, Bench
from tests.services.venue.little_market import order
from tests.support import eventually

Act = Callable[[Bench], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Row:
    """One code.

    Attributes:
        where: `REST` or `trade`.
        how: what provokes it, as the page in docs says it.
        words: pattern of the message.
        act: provokes it; None for the fault API.
        status: of HTTP.
        paper: settings of the venue.
    """

    code: int
    where: str
    how: str
    words: str = ".+"
    act: Act | None = None
    status: int = 200
    paper: dict[str, Any] = field(default_factory=dict)


ROWS: list[Row] = []


def cause(code: int, how: str, words: str, *, where: str = "REST", status: int = 200, **paper: Any):
    """Register what provokes a code."""

    def register(act: Act) -> Act:
        ROWS.append(Row(code, where, how, words, act, status, paper))
        return act

    return register


# who asks


@cause(0, "an order", "OK")
async def _accepted(bench):
    return await bench.create()


@cause(10001, "a quantity below the smallest", "The number of contracts is below the minimum limit allowed")
async def _parameter(bench):
    return await bench.create(qty="0.0001")


@cause(10002, "a time stamp ten seconds old", r".*req_timestamp\[\d+\],server_timestamp\[\d+\],recv_window\[5000\]")
async def _old(bench):
    return await bench.ask(timestamp=bench.client.now_ms - 10_000)


@cause(10003, "a key that nobody has", "API key is invalid.")
async def _stranger(bench):
    return await bench.ask("nobody")


@cause(10004, "a signature of something else", r"error sign! origin_string\[.*bot5000\]")
async def _forged(bench):
    head = {**bench.key("bot").headers(""), "X-BAPI-SIGN": "0" * 64}
    async with bench.client.session.get("/v5/account/info", headers=head) as answer:
        return {**await answer.json(), "headers": answer.headers, "status": answer.status}


@cause(10005, "an order by a read-only key", "Permission denied, please check your API key permissions.")
async def _read_only(bench):
    return await bench.create("reader")


@cause(10006, "the eleventh request of a second", "Too many visits!.*", rate=0.05)
async def _too_many(bench):
    for _ in range(11):
        answer = await bench.post("order/cancel-all", "plain", **BTC)
    return answer


@cause(10008, "an account whose `standing` is `banned`", "The user is banned.")
async def _banned(bench):
    return await bench.ask("banned")


@cause(10009, "an account whose `standing` is `region`", "The service is not available in your region.")
async def _abroad(bench):
    return await bench.ask("abroad")


@cause(10010, "a key that is bound to another address", "Unmatched IP, .*")
async def _elsewhere(bench):
    return await bench.ask("bound")


@cause(10017, "a path that is none (HTTP 404)", "Route not found.*", status=404)
async def _no_route(bench):
    return await bench.ask(path="nothing/here")


@cause(10024, "an order where `standing` is `compliance`", "Compliance rules triggered.")
async def _compliance(bench):
    return await bench.create("watched")


@cause(10027, "an order where `standing` is `trading_banned`", "Transactions are banned.")
async def _barred(bench):
    return await bench.create("barred")


@cause(10028, "a classic account", "The API can only be accessed by unified account users.")
async def _classic(bench):
    return await bench.create("classic")


@cause(10029, "an order for a symbol that is not among the account's", "The requested symbol ETHUSDT is invalid, .*")
async def _not_listed(bench):
    return await bench.create("limited", symbol="ETHUSDT")


@cause(33004, "a key after its end", "Your api key has expired.")
async def _expired(bench):
    return await bench.ask("expired")


# orders


@cause(110001, "a cancel of what is not there", "order not exists or too late to cancel")
async def _unknown_order(bench):
    return await bench.post("order/cancel", **BTC, orderLinkId="never")


@cause(110003, "a price beyond the instrument's highest", "Order price exceeds the allowable range.")
async def _out_of_range(bench):
    return await bench.create(price="2000000.00")


@cause(110007, "an order that costs more than there is", "ab not enough for new order")
async def _short(bench):
    return await bench.create(qty="100.000")


@cause(110009, "the eleventh conditional order of a symbol", "You have too many conditional orders")
async def _conditional(bench):
    for _ in range(11):
        answer = await bench.create(triggerPrice="66000.00", triggerDirection=1)
    return answer


@cause(110013, "a leverage above the tier's", "cannot set leverage gt maxLeverage by risk limit")
async def _leverage(bench):
    return await bench.post("position/set-leverage", **BTC, buyLeverage="101", sellLeverage="101")


@cause(110017, "a reduce-only order without a position", "current position is zero, cannot fix reduce-only order qty")
async def _nothing_to_reduce(bench):
    return await bench.create(side="Sell", orderType="Market", reduceOnly=True)


@cause(110020, "the 501st open order", "You have more than 500 active orders", rate_limits={"order/create-batch": 1000})
async def _crowd(bench):
    many = [{**order(**FAR), "qty": "0.001"} for _ in range(20)]
    for _ in range(25):
        await bench.post("order/create-batch", "rich", category="linear", request=many)
    return await bench.create("rich")


@cause(110024, "switch-mode with a position", "Current position exists, .*")
async def _mode_with_position(bench):
    await bench.hold()
    return await bench.post("position/switch-mode", **BTC, mode=3)


@cause(110025, "switch-mode to the mode that is", "Position mode is not modified")
async def _same_mode(bench):
    return await bench.post("position/switch-mode", **BTC, mode=0)


@cause(110026, "set-margin-mode to the mode that is", "Cross/isolated margin mode is not modified")
async def _same_margin(bench):
    return await bench.post("account/set-margin-mode", setMarginMode="REGULAR_MARGIN")


@cause(110028, "switch-mode with an open order", "Open orders exist, .*")
async def _mode_with_orders(bench):
    await bench.create()
    return await bench.post("position/switch-mode", **BTC, mode=3)


@cause(110029, "switch-mode of a dated contract", "hedge mode is not supported for this symbol")
async def _no_hedge(bench):
    return await bench.post("position/switch-mode", category="linear", symbol="ETHUSDT", mode=3)


@cause(110043, "set-leverage to the value that is", "leverage not modified")
async def _same_leverage(bench):
    return await bench.post("position/set-leverage", **BTC, buyLeverage="10", sellLeverage="10")


@cause(110059, "an amended target of a partly filled order", "Cannot modify TP/SL of a partly filled order")
async def _target_of_part(bench):
    await bench.fill_in_part()
    return await bench.post("order/amend", **BTC, orderLinkId="part", takeProfit="67000.00")


@cause(110064, "an amended quantity that is filled already", "The number of contracts after the change is not above .*")
async def _less_than_filled(bench):
    await bench.fill_in_part()
    return await bench.post("order/amend", **BTC, orderLinkId="part", qty="0.004")


@cause(110066, "an order during maintenance (`maintenance` of the fault API)", "Trading is currently not allowed.?")
async def _maintenance(bench):
    await bench.fault(action="maintenance", for_ms=600_000)

    async def refused() -> dict[str, Any] | None:
        answer = await bench.create()
        return answer if answer["retCode"] else None

    return await eventually(refused)


@cause(110072, "an orderLinkId that was used", "OrderLinkedID is duplicate")
async def _again(bench):
    await bench.create(orderLinkId="once")
    return await bench.create(orderLinkId="once")


@cause(110074, "an order for a contract that is closed", "This contract is not live")
async def _closed(bench):
    return await bench.create(symbol="SOLUSDT", price="150.000", qty="1.0")


@cause(110086, "a size whose tier allows less leverage", "The leverage is too high for the risk tier of this size")
async def _big(bench):
    await bench.post("position/set-leverage", "rich", **BTC, buyLeverage="100", sellLeverage="100")
    return await bench.create("rich", qty="40.000")


@cause(110090, "a size beyond the last tier", "The position would exceed the limit of the last risk tier")
async def _too_big(bench):
    bench.market.tell(symbol="ETHUSDT", price="50000.00")

    async def moved() -> bool:
        page = await bench.client.page("/v5/market/tickers?category=linear&symbol=ETHUSDT")
        return page["result"]["list"][0]["markPrice"] == "50000.00"

    await eventually(moved)
    return await bench.create("rich", symbol="ETHUSDT", price="50000.00", qty="10000.00")


@cause(110092, "a rising trigger below the price", r"expect Rising, but trigger_price\[64000.00\] <= current.*")
async def _risen(bench):
    return await bench.create(triggerPrice="64000.00", triggerDirection=1)


@cause(110093, "a falling trigger above the price", r"expect Falling, but trigger_price\[66000.00\] >= current.*")
async def _fallen(bench):
    return await bench.create(triggerPrice="66000.00", triggerDirection=2)


@cause(110094, "an order worth less than 5 USDT", "Order does not meet minimum order value 5USDT")
async def _small(bench):
    return await bench.create(qty="0.001", price="4000.00")


@cause(110118, "a market order where there is no book", "No price for the market order: the book is empty")
async def _no_book(bench):
    return await bench.create(symbol="DOGEUSDT", orderType="Market", qty="1000")


@cause(
    110120, "a sale below the price limit after `set-limit-px-action`", "Order price .* is beyond the price limit .*"
)
async def _below(bench):
    await bench.post("account/set-limit-px-action", category="linear", modifyEnable=False)
    return await bench.create(side="Sell", price="50000.00")


@cause(
    110121,
    "a purchase above the price limit after `set-limit-px-action`",
    "Order price .* is beyond the price limit .*",
)
async def _above(bench):
    await bench.post("account/set-limit-px-action", category="linear", modifyEnable=False)
    return await bench.create(price="80000.00")


@cause(34040, "trading-stop with the stop that is", "not modified")
async def _same_stop(bench):
    await bench.hold()
    stop = {**BTC, "tpslMode": "Full", "positionIdx": 0, "stopLoss": "60000.00"}
    assert (await bench.post("position/trading-stop", **stop))["retCode"] == 0
    return await bench.post("position/trading-stop", **stop)


# the trade socket


@cause(10001, "auth without its arguments", "Params Error", where="trade")
async def _login_of_nothing(bench):
    return await bench.trade({"reqId": "a", "op": "auth", "args": []}, auth=False)


@cause(10004, "auth with a signature of something else", r"error sign! origin_string\[GET/realtime\d+\]", where="trade")
async def _login_forged(bench):
    return await bench.trade(
        {"reqId": "a", "op": "auth", "args": ["bot", bench.client.now_ms + 5000, "00"]}, auth=False
    )


@cause(10007, "an order before auth", "User authentication failed.", where="trade")
async def _no_login(bench):
    return await bench.trade(bench.request(), auth=False)


@cause(
    10019, "an order while the venue drains (`restart` of the fault API)", "The service is draining, .*", where="trade"
)
async def _draining(bench):
    async with bench.key("bot").socket("/v5/trade") as wire:
        await bench.fault(action="restart", drain_ms=60_000, down_ms=0)
        number = 0

        async def refused() -> dict[str, Any] | None:
            nonlocal number
            number += 1
            answer = await wire.ask(bench.request(f"r{number}"))
            return answer if answer["retCode"] else None

        return await eventually(refused)


@cause(10403, "the 3,001st request of a second from one address", "Exceed.* IP Rate Limit.", where="trade", rate=0.01)
async def _flood(bench):
    async with bench.key("bot").socket("/v5/trade") as wire:
        for _ in range(3_000):
            await wire.connection.send_str('{"op":"order.cancel","reqId":"again"}')
        for _ in range(3_000):
            await wire.raw()
        return await wire.ask(bench.request("last"))


@cause(10404, "an operation that is none", "op 'order.dance' is not known", where="trade")
async def _dance(bench):
    return await bench.trade(bench.request(operation="order.dance"))


@cause(20001, "a second auth", "already authenticated", where="trade")
async def _twice(bench):
    return await bench.trade({"reqId": "a", "op": "auth", "args": ["bot", bench.client.now_ms + 5000, "00"]})


@cause(20006, "a reqId that was used", "reqId is repeated", where="trade")
async def _repeated(bench):
    return await bench.trade(bench.request("one"), bench.request("one"))


def faults(where: str, how: str, *codes: int) -> None:
    ROWS.extend(Row(code, where, how) for code in codes)


faults("REST", "no cause stated that can be had on demand", -1, 429, 10000, 10014, 10016, 110079, 40004)
faults("REST", "struck out on the real venue; HTTP 403 replaced it", 10018)
faults("REST", "this venue says 110007", 110004, 110006, 110012, 110014, 110044, 110045, 110051, 110052, 110053)
faults("REST", "this venue says 110001", 110008, 110010)
faults("REST", "a position here is never between two states", 110005)
faults("REST", "this venue has no cap on open interest", 110021)
faults("REST", "no contract here is reduce-only, before delivery or in an auction", 110023, 110042, 110103)
faults("REST", "this venue says 34040", 110027)
faults("REST", "this venue names what is wrong instead", 110032)
faults("REST", "this venue checks the margin, 110007", 110040)
faults("REST", "there are no terms to agree to here", 110123, 110125)
faults("REST", "this venue says 110120 and 110121", 30208, 30209)
faults("REST", "legacy; this venue says 110043", 34036)
faults("trade", "no cause stated that can be had on demand", 10003, 10016, 10429, 20003)

HTTP = {
    400: "a verb other than GET and POST",
    401: "no authentication headers",
    403: "a GET with a body; more than 600 requests in 5 s from one address",
    404: "a path that is none (with the envelope of 10017)",
    429: "`http` of the fault API",
}
"""Answers without an envelope, but for 404."""
