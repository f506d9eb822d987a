"""What happens to the whole venue: sockets closed, books begun anew, restarts, maintenance, a skewed clock."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.services.venue.little_market import Client, order, request
from tests.services.venue.mischief.bench import (
    BOOK,
    CREATE,
    TIME,
    add,
    book_page,
    open_links,
    rest,
    resting,
    subscribed,
    trading,
)
from tests.support import eventually
from undertow.domain.order import OrderStatus
from undertow.exchange.errors import (
    OutcomeUnknownError,
)


async def test_sockets_are_closed_by_kind_and_by_share(client):
    async with (
        client.socket("/v5/private") as private,
        client.socket("/v5/trade") as trade,
        contextlib.AsyncExitStack() as stack,
    ):
        publics = [await stack.enter_async_context(client.socket("/v5/public/linear", auth=False)) for _ in range(12)]
        await add(client, action="close_sockets", where="private", key="paper-router", close_code=4001)
        farewell = await private.connection.receive()
        assert (farewell.type, farewell.data) == (aiohttp.WSMsgType.CLOSE, 4001)
        assert (await trade.ask({"op": "ping"}))["op"] == "pong"
        await add(client, action="close_sockets", where="public", share=0.5, abrupt=True, seed=5)
        left = await eventually(lambda: fewer(client, 12))
        assert 1 <= left <= 11
        assert len(publics) == 12


async def fewer(client: Client, than: int) -> int:
    count = len(client.venue._sockets.public.sessions)
    return count if count < than else 0


async def test_books_begin_anew_with_one_and_count_on_for_clients_and_pages(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await subscribed(wire)
        before = (await book_page(client))["u"]
        await wire.until(BOOK)
        await eventually(lambda: has_page(client, before + 1))
        await add(client, action="restart_books", topic="orderbook.200.*")
        while (frame := await wire.until(BOOK))["data"]["u"] != 1:
            pass
        assert (frame["type"], frame["data"]["a"]) == ("snapshot", [["65000.10", "5.000"], ["65000.20", "3.000"]])
        assert [(await wire.until(BOOK))["data"]["u"] for _ in range(5)] == [2, 3, 4, 5, 6]
        assert (await book_page(client))["u"] == 1
    async with client.socket("/v5/public/linear", auth=False) as late:
        first = await late.ask({"op": "subscribe", "args": [BOOK]})
        assert (await late.hear())["success"]
        assert (await late.until(BOOK))["data"]["u"] == first["data"]["u"] + 1


async def has_page(client: Client, update_id: int) -> bool:
    return (await book_page(client))["u"] >= update_id


async def test_every_depth_begins_anew(client):
    topic = "orderbook.50.BTCUSDT"
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await subscribed(wire, topic)
        assert (await wire.until(topic))["data"]["u"] > 1
        await add(client, action="restart_books", topic=topic)
        while (frame := await wire.until(topic))["data"]["u"] != 1:
            pass
        assert frame["type"] == "snapshot"
        assert (await wire.until(topic))["data"]["u"] == 2


async def test_a_restart_keeps_orders_positions_and_money_and_forgets_closed_orders_in_realtime(client):
    market = order(orderType="Market", timeInForce="IOC", orderLinkId="filled")
    assert (await client.post(CREATE, market))["retCode"] == 0
    await client.post(CREATE, order(price="64000.00", orderLinkId="open"))
    before = await held(client)
    assert before["positions"] == {"BTCUSDT": "0.01"}
    assert await find(client, "realtime", "filled")
    async with rest(client, timeout_s=0.5) as victim, trading(client) as socket_victim:
        await victim.wallet()
        await add(client, action="restart", down_ms=600)
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("lost"))
        await eventually(lambda: not socket_victim.is_connected)
        await eventually(lambda: socket_victim.is_connected)
        assert [each.qty for each in await victim.positions()] == [Decimal("0.01")]
        assert (await victim.find_order("BTCUSDT", "filled")).status is OrderStatus.FILLED
    assert await held(client) == before
    assert await open_links(client) == ["open"]
    assert not await find(client, "realtime", "filled")
    assert await find(client, "history", "filled")
    assert (await book_page(client))["u"] == 1


async def held(client: Client) -> dict[str, Any]:
    ledger = await client.page("/control/ledger?key=paper-router")
    return {name: ledger[name] for name in ("wallet", "fees", "positions", "open_orders", "executions")}


async def find(client: Client, where: str, link: str) -> list[Any]:
    answer = await client.get(f"/v5/order/{where}", f"category=linear&symbol=BTCUSDT&orderLinkId={link}")
    return answer["result"]["list"]


async def test_before_a_restart_the_trade_socket_drains_and_meanwhile_the_port_answers_as_told(client):
    async with client.socket("/v5/trade") as wire:
        await add(client, action="restart", drain_ms=600, down_ms=800, down_answer=503)
        reply = await wire.ask(request("order.create", order(), now_ms=client.now_ms))
        assert (reply["retCode"], reply["data"]) == (10019, {})
        assert (await wire.connection.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)
        async with client.session.get(TIME) as answer:
            assert (answer.status, await answer.text()) == (503, "503 Service Unavailable")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with client.socket("/v5/trade"):
                pass
    assert await eventually(lambda: answers(client))


async def test_a_restarting_venue_can_leave_requests_unanswered(client):
    await add(client, action="restart", down_ms=60_000, down_answer="nothing")
    async with rest(client, timeout_s=0.2) as victim:
        with pytest.raises(OutcomeUnknownError):
            await victim._once("GET", TIME, {}, signed=False)
        await clear(client)
        assert await victim.server_time_ns()


async def clear(client: Client) -> None:
    async with client.session.delete("/control/faults") as answer:
        assert answer.status == 200


async def answers(client: Client) -> bool:
    async with client.session.get(TIME) as answer:
        return answer.status == 200


async def test_maintenance_is_announced_refuses_orders_closes_sockets_and_is_over(client):
    async with (
        client.socket("/v5/public/misc/status", auth=False) as status,
        client.socket("/v5/private") as private,
    ):
        assert (await status.ask({"op": "subscribe", "args": ["orderbook"]}))["success"] is False
        assert (await status.ask({"op": "subscribe", "args": ["system.status"]}))["success"] is True
        await add(client, action="maintenance", from_ms=500, for_ms=900, title="Engine")
        assert [each["state"] for each in await planned(client)] == ["scheduled"]
        told = [(await status.until("system.status"))["data"][0] for _ in range(2)]
        assert [each["state"] for each in told] == ["scheduled", "ongoing"]
        assert (await private.connection.receive()).type is aiohttp.WSMsgType.CLOSE
        answer = await client.post(CREATE, order(price="64000.00"))
        assert (answer["retCode"], await planned(client)) == (110066, [told[1]])
        assert await open_links(client) == []
        done = (await status.until("system.status"))["data"][0]
        assert done == {**told[0], "state": "completed"} == (await planned(client))[0]
        assert int(done["end"]) - int(done["begin"]) == 900
    assert (await client.post(CREATE, order(price="64000.00")))["retCode"] == 0


async def planned(client: Client) -> list[dict[str, Any]]:
    return (await client.page("/v5/system/status"))["result"]["list"]


async def test_a_skewed_clock_is_what_the_venue_states_and_not_what_its_streams_say(client):
    async with rest(client) as victim, client.socket("/v5/public/linear", auth=False) as wire:
        await subscribed(wire)
        await victim.wallet()
        await add(client, action="clock_skew", skew_ms=-30_000)
        stated = await client.page(TIME)
        assert stated["time"] - client.now_ms == pytest.approx(-30_000, abs=1_000)
        assert (await wire.until(BOOK))["ts"] == pytest.approx(client.now_ms, abs=1_000)
        assert (await client.get("/v5/account/info", ""))["retCode"] == 10002
        await victim.wallet()  # estimates the clock anew and asks again
        assert victim.venue_clock.now_ms() - client.now_ms == pytest.approx(-30_000, abs=1_000)
