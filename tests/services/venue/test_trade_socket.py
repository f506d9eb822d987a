"""The trade socket, over a real one."""

from __future__ import annotations

from tests.services.venue.little_market import (
    order,
    request,
)


async def test_the_trade_socket_places_amends_and_cancels(open_client):
    async with open_client.socket("/v5/trade") as wire:
        assert (wire.auth_reply["retCode"], wire.auth_reply["op"]) == (0, "auth")
        resting = order(orderLinkId="t1", price="64000.00")
        placed = await wire.ask(request("order.create", resting, now_ms=open_client.now_ms))
        assert (placed["reqId"], placed["retCode"], placed["op"]) == ("r1", 0, "order.create")
        assert placed["data"]["orderLinkId"] == "t1"
        assert {"X-Bapi-Limit", "X-Bapi-Limit-Status", "X-Bapi-Limit-Reset-Timestamp", "Traceid", "Timenow"} == set(
            placed["header"]
        )
        by_id = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "t1"}
        amend = request("order.amend", {**by_id, "price": "63999.00"}, now_ms=open_client.now_ms, request_id="r2")
        assert (await wire.ask(amend))["retCode"] == 0
        cancel = request("order.cancel", by_id, now_ms=open_client.now_ms, request_id="r3")
        assert (await wire.ask(cancel))["retCode"] == 0
        gone = await wire.ask({**cancel, "reqId": "r4"})
        assert (gone["retCode"], gone["data"]) == (110001, {})


async def test_a_batch_on_the_trade_socket_answers_item_by_item(open_client):
    async with open_client.socket("/v5/trade") as wire:
        body = {
            "category": "linear",
            "request": [order(orderLinkId="a", price="64000.00"), order(orderLinkId="b", qty="0.0001")],
        }
        reply = await wire.ask(request("order.create-batch", body, now_ms=open_client.now_ms))
        assert reply["retCode"] == 0
        assert [item["code"] for item in reply["retExtInfo"]["list"]] == [0, 10001]
        assert [item["orderLinkId"] for item in reply["data"]["list"]] == ["a", "b"]


async def test_http_and_the_trade_socket_share_one_budget(open_client):
    async with open_client.socket("/v5/trade") as wire:
        for _ in range(9):
            await open_client.post("/v5/order/create", order(qty="0.001", price="64000.00"))
        replies = [
            await wire.ask(
                request(
                    "order.create", order(qty="0.001", price="64000.00"), now_ms=open_client.now_ms, request_id=f"r{n}"
                )
            )
            for n in range(2)
        ]
        assert [reply["retCode"] for reply in replies] == [0, 10006]
        assert replies[1]["header"]["X-Bapi-Limit-Status"] == "0"


async def test_the_trade_socket_refuses_what_it_must(open_client):
    async with open_client.socket("/v5/trade", auth=False) as stranger:
        assert (await stranger.ask(request("order.create", order(), now_ms=open_client.now_ms)))["retCode"] == 10007
        bad = {"reqId": "a1", "op": "auth", "args": ["paper-router", open_client.now_ms + 5000, "00"]}
        reply = await stranger.ask(bad)
        assert (reply["retCode"], reply["reqId"]) == (10004, "a1")
    async with open_client.as_key("paper-reader").socket("/v5/trade") as reader:
        assert (await reader.ask(request("order.create", order(), now_ms=open_client.now_ms)))["retCode"] == 10005
    async with open_client.socket("/v5/trade") as wire:
        now = open_client.now_ms
        expires = now + 5000
        again = {"op": "auth", "args": ["paper-router", expires, "00"]}
        assert (await wire.ask(again))["retCode"] == 20001
        old = request("order.create", order(), now_ms=now - 60_000, request_id="old")
        assert (await wire.ask(old))["retCode"] == 10002
        assert (await wire.ask({**old, "op": "order.dance"}))["retCode"] == 10404
        assert (await wire.ask(old))["retCode"] == 20006
        assert (await wire.ask({**old, "reqId": "x" * 37}))["retCode"] == 10001
        assert (await wire.ask({**old, "reqId": "h", "header": None}))["retCode"] == 10001
        two = request("order.create", order(), now_ms=open_client.now_ms, request_id="two")
        assert (await wire.ask({**two, "args": [order(), order()]}))["retCode"] == 10001
        assert (await wire.ask("nonsense"))["retCode"] == 10001
        silent = request("order.create", order(qty="0.001"), now_ms=open_client.now_ms)
        del silent["reqId"]
        assert "reqId" not in await wire.ask(silent)
        pong = await wire.ask({"op": "ping"})
        assert (pong["op"], pong["retCode"]) == ("pong", 0)
