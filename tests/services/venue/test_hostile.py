"""What no client should send: every field of every POST with every kind of nonsense, over HTTP and over the trade socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from services.venue import answers, limits, refusals
from services.venue.core import VenueCore
from services.venue.trade_socket import PATHS
from tests.services.venue.little_market import Client, Wire, dripping, order, running
from tests.support import eventually

VALUES: tuple[Any, ...] = (
    *(
        "1" * 40,
        "0." + "1" * 40,
        "9" * 5_000,
        "0.123456789",
        "-1",
        "1e5",
        "NaN",
        "Infinity",
        "١٢",
        "²",
        "\x00",
        "x" * 9_999,
    ),
    *("", None, True, False, 10**40, -1, 1.5, [], [[["1"]]], {}, {"a": [None]}),
)
"""Nonsense for most fields; where one means something the venue may take it."""
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
FAR = order(qty="0.001", price="60000.00", timeInForce="GTC", orderLinkId="mine", positionIdx=0, smpType="None")
BRACKET = {"tpslMode": "Partial", "takeProfit": "70000", "tpOrderType": "Limit", "tpLimitPrice": "70001"}
STOPS = {
    "stopLoss": "50000",
    "slOrderType": "Market",
    "slLimitPrice": "",
    "tpTriggerBy": "MarkPrice",
    "slTriggerBy": "MarkPrice",
}
BATCHED = {"symbol": "BTCUSDT", "orderLinkId": "kept"}
BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("order/create", FAR),
    ("order/create", {**FAR, **BRACKET, **STOPS}),
    ("order/create", {**FAR, "side": "Sell", "price": "70000", "reduceOnly": True, "closeOnTrigger": False}),
    ("order/create", {**FAR, "triggerPrice": "70000", "triggerDirection": 1, "triggerBy": "LastPrice"}),
    ("order/create", {**order(bboSideType="Queue", bboLevel="1", rpiTakerAccess=False), "price": ""}),
    ("order/create", {**order(orderType="Market"), "slippageTolerance": "1", "slippageToleranceType": "TickSize"}),
    (
        "order/amend",
        {**LINEAR, "orderLinkId": "kept", "orderId": "", "qty": "0.002", "price": "60001.00", **BRACKET, **STOPS},
    ),
    ("order/amend", {**LINEAR, "orderLinkId": "waits", "triggerPrice": "71000", "triggerBy": "LastPrice"}),
    ("order/cancel", {**LINEAR, "orderLinkId": "nobody", "orderId": ""}),
    (
        "order/cancel-all",
        {**LINEAR, "baseCoin": "", "settleCoin": "", "orderFilter": "StopOrder", "stopOrderType": "Stop"},
    ),
    ("order/create-batch", {"category": "linear", "request": [FAR]}),
    ("order/amend-batch", {"category": "linear", "request": [{**BATCHED, "qty": "0.002"}]}),
    ("order/cancel-batch", {"category": "linear", "request": [{**BATCHED, "orderLinkId": "nobody"}]}),
    ("order/pre-check", FAR),
    ("order/disconnected-cancel-all", {"product": "DERIVATIVES", "timeWindow": 10}),
    ("position/set-leverage", {**LINEAR, "buyLeverage": "11", "sellLeverage": "11"}),
    ("position/switch-mode", {**LINEAR, "coin": "", "mode": 0}),
    ("position/trading-stop", {**LINEAR, "positionIdx": 0, **BRACKET, **STOPS, "tpSize": "0.001", "slSize": "0.001"}),
    ("position/trading-stop", {**LINEAR, "trailingStop": "100", "activePrice": "66000"}),
    ("account/set-margin-mode", {"setMarginMode": "REGULAR_MARGIN"}),
    ("account/set-limit-px-action", {"category": "linear", "modifyEnable": True}),
    ("account/demo-apply-money", {"adjustType": 0, "utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "1"}]}),
)
ISOLATED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("position/add-margin", {**LINEAR, "positionIdx": 0, "margin": "1"}),
    ("position/set-auto-add-margin", {**LINEAR, "positionIdx": 0, "autoAddMargin": 1}),
    ("position/set-leverage", {**LINEAR, "buyLeverage": "11", "sellLeverage": "11"}),
)
CODES = {
    code for module in (answers, refusals) for code in vars(module).values() if type(code) is int and code != 10016
}
OPERATIONS = {path.removeprefix("/v5/"): operation for operation, path in PATHS.items()}


def spoilt(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a body with each value of it, and of what it holds, replaced by each kind of nonsense."""
    for field, value in body.items():
        for nonsense in VALUES:
            yield {**body, field: nonsense}
        if isinstance(value, list):
            for item in spoilt(value[0]):
                yield {**body, field: [item]}
        if isinstance(value, dict):
            yield from ({**body, field: each} for each in spoilt(value))


@pytest.fixture
async def client(tmp_path, monkeypatch) -> AsyncIterator[Client]:
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)
    monkeypatch.setattr(limits, "OTHERWISE", 10**6)
    for table in (limits.FIXED, limits.RAISABLE, limits.PER_MINUTE):
        for endpoint in table:
            monkeypatch.setitem(table, endpoint, 10**6)
    async with running(tape=dripping(tmp_path / "drip.rawlines"), start="on_command", ip_limit=False) as each:
        await each.start()
        await eventually(lambda: each.has_sent(2))
        bought = await each.post("/v5/order/create", order(orderType="Market", timeInForce="IOC"))
        assert bought["retCode"] == 0
        kept = {**FAR, "orderLinkId": "kept"}
        waits = {**kept, "orderLinkId": "waits", "triggerPrice": "70000", "triggerDirection": 1}
        for one in (kept, waits):
            assert (await each.post("/v5/order/create", one))["retCode"] == 0
        yield each


async def survives(client: Client, bodies: tuple[tuple[str, dict[str, Any]], ...]) -> None:
    for path, body in bodies:
        for asked in spoilt(body):
            answer = await client.post(f"/v5/{path}", asked)
            assert is_the_venues(answer), (path, json.dumps(asked)[:400], answer)


def is_the_venues(answer: dict[str, Any]) -> bool:
    codes = [answer["retCode"], *(each["code"] for each in answer["retExtInfo"].get("list", []))]
    return all(code == 0 or code in CODES for code in codes)


async def test_no_nonsense_in_a_field_over_http_is_more_than_the_venue_can_answer(client: Client) -> None:
    await survives(client, BODIES)
    assert (await client.post("/v5/order/cancel-all", {**LINEAR, "settleCoin": "USDT"}))["retCode"] == 0
    assert (await client.post("/v5/account/set-margin-mode", {"setMarginMode": "ISOLATED_MARGIN"}))["retCode"] == 0
    await survives(client, ISOLATED)


async def test_a_body_that_is_no_object_is_refused_however_long_or_deep(client: Client) -> None:
    for body in ("[" * 100_000, '{"qty":' * 100_000, "1" * 5_000, '{"qty": NaN}', "\x00", '"\\ud800"'):
        assert (await client.post("/v5/order/create", body))["retCode"] == 10001, body[:20]


async def test_no_nonsense_in_a_field_ends_the_trade_socket(client: Client) -> None:
    async with client.socket("/v5/trade") as wire:
        for path, body in BODIES:
            if path in OPERATIONS:
                for asked in spoilt(body):
                    answer = await wire.ask(operation(client, path, asked))
                    assert is_the_venues(answer), (path, json.dumps(asked)[:400], answer)
        plain = operation(client, "order/create", FAR)
        for part in (*spoilt(plain), *({**plain, "reqId": nonsense} for nonsense in VALUES)):
            answer = await wire.ask(part)
            assert answer["retCode"] != 10016, (json.dumps(part)[:400], answer)
        assert (await wire.ask("[" * 100_000))["retCode"] == 10001
        await is_alive(wire)
    async with client.socket("/v5/trade", auth=False) as wire:
        expires = client.now_ms + 5_000
        for args in (
            *VALUES,
            *([client.key, nonsense, "00"] for nonsense in VALUES),
            *([client.key, expires, each] for each in VALUES),
        ):
            assert (await wire.ask({"op": "auth", "args": args}))["retCode"] in {10001, 10004}, str(args)[:99]
        await is_alive(wire)


async def test_a_page_refuses_nonsense_in_its_numbers(client: Client) -> None:
    numbers = ("limit", "cursor", "startTime", "endTime")
    pages = dict.fromkeys(("order/history", "execution/list", "position/closed-pnl"), numbers)
    pages |= dict.fromkeys(("order/realtime", "position/list"), numbers[:2])
    for page, fields in pages.items():
        for field in fields:
            for value in ("9" * 5_000, f"page_args%253D{'9' * 5_000}%2526", "%D9%A1", "-1", "1e3"):
                answer = await client.get(f"/v5/{page}", f"category=linear&settleCoin=USDT&{field}={value}")
                assert answer["retCode"] == 10001, (page, field, value[:20], answer)


async def test_an_unexpected_error_on_the_trade_socket_is_counted_and_answered_with_10016(
    client: Client, monkeypatch
) -> None:
    def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    before = errors(client)
    async with client.socket("/v5/trade") as wire:
        with monkeypatch.context() as broken:
            broken.setattr(VenueCore, "post", breaks)
            answer = await wire.ask({**operation(client, "order/create", FAR), "reqId": "r1"})
        assert (answer["reqId"], answer["retCode"], answer["op"]) == ("r1", 10016, "order.create")
        await is_alive(wire)
    assert errors(client) == before + 1


def operation(client: Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    header = {"X-BAPI-TIMESTAMP": str(client.now_ms), "X-BAPI-RECV-WINDOW": "60000"}
    return {"header": header, "op": OPERATIONS[path], "args": [body]}


def errors(client: Client) -> float:
    lines = client.venue._runtime.metrics.render().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("undertow_errors_total{"))


async def is_alive(wire: Wire) -> None:
    pong = await wire.ask({"op": "ping"})
    assert (pong["op"], pong["retCode"]) == ("pong", 0)
