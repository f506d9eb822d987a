"""Refusals and other answers than the right one."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from services.venue.faults.meanings import TEXTS
from tests.services.venue.little_market import order, request
from tests.services.venue.mischief.bench import (
    BOOK,
    CREATE,
    TIME,
    add,
    has_orders,
    open_links,
    remove,
    rest,
    resting,
    trading,
)
from tests.support import eventually
from undertow.domain.order import OrderStatus
from undertow.exchange.errors import (
    BannedError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
)


async def test_an_endpoint_is_refused_with_a_code_and_nothing_is_done(client):
    await add(client, action="refuse", endpoint="order/create", code=110007, count=1)
    answer = await client.post(CREATE, order(price="64000.00"))
    seen = (answer["retCode"], answer["retMsg"], answer["result"], answer["status"])
    assert seen == (110007, "ab not enough for new order", {}, 200)
    assert await open_links(client) == []
    assert (await client.post(CREATE, order(price="64000.00", orderLinkId="next")))["retCode"] == 0
    assert await open_links(client) == ["next"]


async def test_every_code_can_be_had_over_http_and_the_trade_socket_in_its_shape(client):
    no_route = 10017
    async with client.socket("/v5/trade") as wire:
        for code, text in TEXTS.items():
            await add(client, action="refuse", endpoint="order?create", code=code, count=2)
            answer = await client.post(CREATE, order())
            body = {key: answer[key] for key in ("retCode", "retMsg", "result", "retExtInfo")}
            assert body == {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}}
            assert answer["status"] == (404 if code == no_route else 200)
            reply = await wire.ask(request("order.create", order(), now_ms=client.now_ms, request_id=f"r{code}"))
            assert {"reqId", "retCode", "retMsg", "op", "data", "retExtInfo", "header", "connId"} == set(reply)
            assert (reply["retCode"], reply["retMsg"], reply["data"]) == (code, text, {})
    assert await open_links(client) == []


async def test_an_unknown_outcome_can_have_been_done(client):
    await add(client, action="refuse", endpoint="order/create", code=10000, performed=True)
    async with rest(client) as victim:
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("done"))
        found = await victim.find_order("BTCUSDT", "done")
    assert found is not None
    assert found.status is OrderStatus.NEW


async def test_an_operation_of_the_trade_socket_is_refused_and_no_other(client):
    await add(client, action="refuse", endpoint="order.create", code=110003)
    async with trading(client) as victim:
        with pytest.raises(OrderRefusedError) as caught:
            await victim.create_order(resting("a"))
        assert caught.value.code == 110003
    assert (await client.post(CREATE, order(price="64000.00")))["retCode"] == 0


@pytest.mark.parametrize("path", ["/v5/private", "/v5/trade"])
async def test_a_login_is_refused_or_never_answered(client, path):
    await add(client, action="refuse", endpoint="auth", code=10003, count=1)
    async with client.socket(path) as wire:
        assert wire.auth_reply.get("retCode", wire.auth_reply.get("success")) in (10003, False)
    await add(client, action="swallow", endpoint="auth", count=1)
    async with client.socket(path, auth=False) as wire:
        await wire.connection.send_json({"op": "auth", "args": ["paper-router", 1, ""]})
        assert (await wire.ask({"op": "ping"}))["op"] == "pong"


async def test_a_subscription_is_refused_and_may_count_all_the_same(client):
    refuse = {"action": "refuse", "where": "public", "endpoint": "subscribe", "count": 1}
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await add(client, **refuse, code=10016)
        asked = {"op": "subscribe", "args": [BOOK], "req_id": "s"}
        answer = await wire.ask(asked)
        assert (answer["success"], answer["ret_msg"], answer["req_id"]) == (False, "Server error.", "s")
        assert (await wire.ask({"op": "ping"}))["op"] == "ping"  # nothing of the topic came before
        await add(client, **refuse, code=1, message="error:handler not found", performed=True)
        assert (await wire.ask(asked))["type"] == "snapshot"
        assert (await wire.hear())["ret_msg"] == "error:handler not found"
        assert (await wire.until(BOOK))["type"] == "delta"


@pytest.mark.parametrize(("path", "reply"), [("/v5/private", {"success": False}), ("/v5/trade", {"retCode": 10003})])
async def test_a_refused_login_can_have_been_done(client, path, reply):
    await add(client, action="refuse", endpoint="auth", code=10003, performed=True, count=1)
    async with client.socket(path) as wire:
        assert {name: wire.auth_reply[name] for name in reply} == reply
        if path == "/v5/private":
            assert (await wire.ask({"op": "subscribe", "args": ["order"]}))["success"]
        else:
            asked = request("order.create", order(price="64000.00", orderLinkId="in"), now_ms=client.now_ms)
            assert (await wire.ask(asked))["retCode"] == 0
            assert await open_links(client) == ["in"]


async def test_a_login_that_is_wrong_is_not_done_behind_a_refusal(client):
    await add(client, action="refuse", endpoint="auth", code=10003, performed=True, count=1)
    async with client.socket("/v5/private", auth=False) as wire:
        await wire.ask({"op": "auth", "args": ["paper-router", client.now_ms + 60_000, "00"]})
        assert (await wire.connection.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_an_http_status_comes_with_plain_text(client):
    await add(client, action="http", endpoint="market/time", status=502, count=1)
    async with client.session.get(TIME) as answer:
        assert (answer.status, answer.content_type, await answer.text()) == (502, "text/plain", "502 Bad Gateway")
    async with client.session.get(TIME) as answer:
        assert answer.status == 200


async def test_a_storm_of_10006_names_its_reset_over_http_and_the_trade_socket(client):
    await add(client, action="rate_limit", endpoint="order?create", reset_ms=700)
    answer = await client.post(CREATE, order(price="64000.00"))
    headers = answer["headers"]
    assert (answer["retCode"], headers["X-Bapi-Limit-Status"]) == (10006, "0")
    assert int(headers["X-Bapi-Limit-Reset-Timestamp"]) - answer["time"] == pytest.approx(700, abs=50)
    async with trading(client) as victim:
        with pytest.raises(RateLimitedError):
            await victim.create_order(resting("a"))


async def test_a_banned_address_gets_403_and_our_client_stays_away(client):
    name = await add(client, action="ban", endpoint="position/list", count=1)
    async with rest(client) as victim:
        with pytest.raises(BannedError):
            await victim.positions()
        async with client.session.get(TIME) as answer:
            assert (answer.status, await answer.text()) == (403, "403 Forbidden: access too frequent")
        await remove(client, name)
        async with client.session.get(TIME) as answer:
            assert answer.status == 200
        with pytest.raises(BannedError):
            await victim.wallet()


async def test_a_slow_answer_comes_after_what_was_asked_is_done(client):
    await add(client, action="answer_slowly", endpoint="order/*", delay_ms=800)
    await add(client, action="answer_slowly", endpoint="order.*", delay_ms=150)
    asked = asyncio.create_task(client.post(CREATE, order(price="64000.00", orderLinkId="slow")))
    await eventually(lambda: has_orders(client, 1))
    before = client.now_ms
    assert not asked.done()
    assert (await asked)["retCode"] == 0
    assert client.now_ms - before >= 100
    async with client.socket("/v5/trade") as wire:
        started = client.now_ms
        reply = await wire.ask(request("order.create", order(price="64000.00"), now_ms=client.now_ms))
        assert (reply["retCode"], client.now_ms - started >= 150) == (0, True)
