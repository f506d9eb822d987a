"""The private socket: who is let in, and what is told to whom."""

from __future__ import annotations

import aiohttp
import pytest

from tests.services.venue.little_market import (
    order,
)

TOPICS = ["order", "execution", "position", "wallet"]


async def test_the_private_socket_wants_authentication_first(client):
    async with client.socket("/v5/private", auth=False) as wire:
        assert (await wire.ask({"op": "subscribe", "args": ["order"]}))["success"] is False
        pong = await wire.ask({"op": "ping", "req_id": "p"})
        assert (pong["op"], pong["req_id"], pong["args"]) == ("pong", "p", [str(client.now_ms)])


async def test_a_private_login_with_a_wrong_signature_is_told_and_cut(client):
    async with client.socket("/v5/private", auth=False) as wire:
        reply = await wire.ask({"op": "auth", "args": ["paper-router", client.now_ms + 1000, "00"], "req_id": "a"})
        assert (reply["success"], reply["op"], reply["req_id"]) == (False, "auth", "a")
        assert (await wire.connection.receive()).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize("args", [None, [], ["paper-router", "soon", "00"], ["paper-router", 1, "00"]])
async def test_a_malformed_or_expired_private_login_is_refused(client, args):
    async with client.socket("/v5/private", auth=False) as wire:
        reply = await wire.ask({"op": "auth", "args": args})
        assert reply["success"] is False
        assert reply["ret_msg"].startswith("Params Error")


async def test_private_topics_are_checked(client):
    async with client.socket("/v5/private") as wire:
        assert wire.auth_reply["success"]
        assert (await wire.ask({"op": "subscribe", "args": ["greeks"]}))["success"] is False
        assert (await wire.ask({"op": "subscribe", "args": ["order", "order.linear"]}))["success"] is False
        assert (await wire.ask({"op": "subscribe", "args": "order"}))["success"] is False
        assert (await wire.ask({"op": "subscribe", "args": ["order.linear", "wallet"]}))["success"] is True
        assert (await wire.ask({"op": "dance"}))["success"] is False
        assert (await wire.ask("nonsense"))["success"] is False


async def test_an_order_is_placed_filled_by_the_tape_and_told_on_every_private_topic(open_client):
    async with open_client.socket("/v5/private") as private:
        assert (await private.ask({"op": "subscribe", "args": TOPICS}))["success"]
        placed = await open_client.post("/v5/order/create", order(orderLinkId="first"))
        assert placed["retCode"] == 0
        told = await private.until("order")
        assert set(told) == {"id", "topic", "creationTime", "data"}
        assert told["data"][0]["orderLinkId"] == "first"
        execution = (await private.until("execution"))["data"][0]
        assert (execution["execPrice"], execution["execQty"], execution["isMaker"]) == ("64995.00", "0.01", True)
        position = (await private.until("position"))["data"][0]
        assert (position["side"], position["size"]) == ("Buy", "0.01")
        await private.until("wallet")
    listed = await open_client.get("/v5/execution/list", "category=linear&symbol=BTCUSDT")
    assert [row["orderLinkId"] for row in listed["result"]["list"]] == ["first"]
    held = await open_client.get("/v5/position/list", "category=linear&symbol=BTCUSDT")
    assert held["result"]["list"][0]["size"] == "0.01"


async def test_events_reach_only_those_who_asked_for_the_topic_and_under_its_spelling(open_client):
    async with (
        open_client.socket("/v5/private") as linear,
        open_client.as_key("paper-guardian").socket("/v5/private") as orders,
    ):
        await linear.ask({"op": "subscribe", "args": ["order.linear"]})
        await orders.ask({"op": "subscribe", "args": ["order"]})
        await open_client.post("/v5/order/create", order(orderLinkId="x", price="64000.00"))
        assert (await linear.until("order.linear"))["data"] == (await orders.until("order"))["data"]
        await linear.ask({"op": "unsubscribe", "args": ["order.linear"]})
        await open_client.post("/v5/order/cancel", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "x"})
        assert (await orders.until("order"))["data"][0]["orderStatus"] == "Cancelled"
        assert (await linear.ask({"op": "ping"}))["op"] == "pong"
