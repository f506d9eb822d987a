"""The venue misbehaves as it is told, over real sockets; where the fleet has code for it, that code is the victim."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from services.ingestor.core import IngestorCore, Publish, Resubscribe
from services.venue.app import build
from services.venue.faults.meanings import TEXTS
from services.venue.settings import PaperSettings, Settings
from tests.services.venue.little_market import Client, Wire, book, order, running, ticker, write_tape
from tests.services.venue.test_app import request
from tests.support import eventually
from undertow.contracts.messages.market import Book, Gap, GapReason, Resync
from undertow.domain.order import OrderStatus, OrderType, Side, TimeInForce
from undertow.exchange.bybit import socket
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.private_ws import BybitPrivateFeed
from undertow.exchange.bybit.public_ws import BybitPublicStream, Frames
from undertow.exchange.bybit.trade_ws import BybitTradeSocket
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.errors import (
    BannedError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
)
from undertow.exchange.models import OrderRequest, VenueOrder
from undertow.exchange.ports import FeedDown, FeedUp
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime
from undertow.runtime.settings import Credentials

KEY = Credentials(api_key="paper-router", api_secret=SecretStr("paper-router-secret"))
CREATE, CANCEL_ALL = "/v5/order/create", "/v5/order/cancel-all"
BOOK = "orderbook.200.BTCUSDT"
MARKET = {"category": "linear", "symbol": "BTCUSDT"}
TIME = "/v5/market/time"


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)
    monkeypatch.setattr(socket, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def tape(tmp_path):
    """A book whose second bid changes every 20 ms; no trades, so that nothing fills by itself."""
    frames = [(0, book()), (1, ticker())]
    for number, at_ms in enumerate(range(20, 60_000, 20)):
        bids = [["64999.90", f"{1 + number % 5}.000"]]
        frames.append((at_ms, book(at_ms, kind="delta", u=2 + number, bids=bids, asks=[])))
    return write_tape(tmp_path / "book.rawlines", frames)


@pytest.fixture
async def client(tape):
    limits = dict.fromkeys(("order/create", "order/cancel", "order/cancel-all"), 1_000)
    async with running(tape=tape, ip_limit=False, rate_limits=limits) as each:
        await eventually(lambda: each.has_sent(2))
        yield each


async def add(client: Client, **fault: Any) -> str:
    async with client.session.post("/control/faults", json=fault) as answer:
        body = await answer.json()
        assert answer.status == 200, body
        return str(body["faults"][0]["id"])


async def remove(client: Client, name: str) -> None:
    async with client.session.delete(f"/control/faults/{name}") as answer:
        assert answer.status == 200


async def struck(client: Client, action: str) -> int:
    return (await client.stats())["faults_struck"].get(action, 0)


async def base(client: Client) -> str:
    async with client.session.get("/control/clock") as answer:
        return str(answer.url.origin())


async def open_links(client: Client) -> list[str]:
    listed = await client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
    return [each["orderLinkId"] for each in listed["result"]["list"]]


def resting(order_id: str) -> OrderRequest:
    return OrderRequest(
        order_id=order_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        qty=Decimal("0.001"),
        price=Decimal(64000),
        time_in_force=TimeInForce.POST_ONLY,
        reduce_only=False,
    )


@contextlib.asynccontextmanager
async def rest(client: Client, timeout_s: float = 5.0) -> AsyncIterator[BybitHttp]:
    each = BybitHttp(await base(client), client.venue.clock, KEY, timeout_s=timeout_s)
    try:
        yield each
    finally:
        await each.close()


@contextlib.asynccontextmanager
async def trading(client: Client) -> AsyncIterator[BybitTradeSocket]:
    url = (await base(client)).replace("http", "ws") + "/v5/trade"
    each = BybitTradeSocket(url, KEY, VenueClock(client.venue.clock))
    life = asyncio.create_task(each.run())
    try:
        await eventually(lambda: each.is_connected)
        yield each
    finally:
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life


async def subscribed(wire: Wire, topic: str = BOOK) -> None:
    await wire.connection.send_json({"op": "subscribe", "args": [topic], "req_id": "s"})
    while (await wire.hear()).get("req_id") != "s":
        pass


# refusals and other answers


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


async def has_orders(client: Client, count: int) -> bool:
    return (await client.page("/control/ledger?key=paper-router"))["open_orders"] == count


# time-outs


async def test_an_order_that_timed_out_after_acceptance_surfaces_later_and_is_found_by_its_link_id(client):
    await add(client, action="accept_silently", endpoint="order/create", surface_ms=900, count=1)
    async with rest(client, timeout_s=0.2) as victim:
        await victim.wallet()
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("late"))
        assert await victim.find_order("BTCUSDT", "late") is None
        found = await eventually(lambda: victim.find_order("BTCUSDT", "late"))
    assert (found.status, found.order_id) == (OrderStatus.NEW, "late")


async def test_a_late_order_surfaces_within_its_receive_window(client):
    await add(client, action="accept_silently", where="trade", surface_ms=4_900, count=1)
    async with trading(client) as victim:
        sent_ms = client.now_ms
        asked = asyncio.create_task(victim.create_order(resting("narrow")))
        await eventually(lambda: has_orders(client, 1))
        assert client.now_ms - sent_ms < 2_000  # entries are signed with a window of 1,000 ms
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked


async def test_a_time_out_without_acceptance_leaves_nothing(client):
    await add(client, action="swallow", endpoint="order/create", count=1)
    async with rest(client, timeout_s=0.2) as victim:
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("never"))
        assert await victim.find_order("BTCUSDT", "never") is None
        assert await victim.create_order(resting("never"))


@pytest.mark.parametrize("performed", [False, True])
async def test_a_connection_is_cut_instead_of_an_answer(client, performed):
    await add(client, action="hang_up", endpoint="order/create", performed=performed, count=1)
    async with rest(client) as victim:
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("cut"))
        assert (await victim.find_order("BTCUSDT", "cut") is not None) is performed
    await add(client, action="hang_up", endpoint="order.create", performed=performed, count=1)
    async with trading(client) as victim:
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("cut too"))


async def test_the_opening_of_a_socket_is_refused(client):
    await add(client, action="http", endpoint="connect", where="private", status=503, count=1)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with client.socket("/v5/private"):
            pass
    assert caught.value.status == 503
    await add(client, action="hang_up", endpoint="connect", count=2)  # aiohttp tries a GET twice
    with pytest.raises(aiohttp.ClientError):
        async with client.socket("/v5/private"):
            pass
    assert client.venue._sockets.private.sessions == {}
    async with client.socket("/v5/private") as wire:
        assert wire.auth_reply["success"]


# frames


async def test_a_lost_book_update_is_noticed_as_a_gap_by_our_feed_and_healed_by_subscribing_again(client):
    core, seen = IngestorCore(["BTCUSDT"]), []
    url = (await base(client)).replace("http", "ws") + "/v5/public/linear"
    stream = BybitPublicStream(url, [[BOOK]])
    async with contextlib.aclosing(stream.events()) as events:
        async for event in events:
            if not isinstance(event, Frames):
                continue
            for raw, at_ns in event.frames:
                for effect in core.on_frame(raw, at_ns):
                    if isinstance(effect, Resubscribe):
                        await stream.resubscribe(BOOK)
                    elif isinstance(effect, Publish):
                        seen.append(effect.fact)
            if len(seen) == 5:
                await add(client, action="lose_update", topic=BOOK, count=1)
            if any(isinstance(fact, Gap) for fact in seen) and isinstance(seen[-1], Book):
                break
    kinds = [type(fact) for fact in seen if not isinstance(fact, Book)]
    assert kinds == [Resync, Gap, Resync]
    gap = next(fact for fact in seen if isinstance(fact, Gap))
    assert gap.reason is GapReason.UPDATE_ID
    assert core.out_of_sync == []
    assert await struck(client, "lose_update") == 1


async def test_the_venues_own_book_goes_on_where_clients_lose_an_update(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await subscribed(wire)
        numbers = [(await wire.until(BOOK))["data"]["u"]]
        await add(client, action="lose_update", count=2)
        while (data := (await wire.until(BOOK))["data"])["u"] == numbers[-1] + 1:
            numbers.append(data["u"])
        assert data["u"] == numbers[-1] + 3
        assert (await book_page(client))["seq"] >= data["seq"]


async def book_page(client: Client) -> dict[str, Any]:
    return (await client.page("/v5/market/orderbook?category=linear&symbol=BTCUSDT"))["result"]


async def test_public_frames_are_dropped_doubled_delayed_and_out_of_order_for_whom_it_is_meant(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await subscribed(wire)
        numbers = [(await wire.until(BOOK))["data"]["u"]]
        for action, more in (("drop", {}), ("duplicate", {"copies": 2}), ("reorder", {"behind": 2})):
            await add(client, action=action, topic="orderbook.*", kind="delta", count=1, **more)
        numbers += [(await wire.until(BOOK))["data"]["u"] for _ in range(25)]
        steps = [after - before for before, after in itertools.pairwise(numbers)]
        assert [step for step in steps if step != 1] == [2, 0, 0, 2, -2, 3]
        name = await add(client, action="delay", where="public", delay_ms=300)
        delayed = await delayed_frame(client, wire)
        assert client.now_ms - delayed["ts"] >= 300
        await remove(client, name)
        follow = [(await wire.until(BOOK))["data"]["u"] for _ in range(30)]
        assert follow == list(range(follow[0], follow[0] + 30))


async def delayed_frame(client: Client, wire: Wire) -> dict[str, Any]:
    while True:
        frame = await wire.until(BOOK)
        if client.now_ms - frame["ts"] >= 300:
            return frame


async def test_private_frames_are_dropped_and_doubled_for_one_key_and_topic(client):
    async with client.socket("/v5/private") as ours, client.as_key("paper-guardian").socket("/v5/private") as theirs:
        for wire in (ours, theirs):
            await wire.ask({"op": "subscribe", "args": ["order"]})
        await add(client, action="drop", topic="order", key="paper-router", count=1)
        await add(client, action="duplicate", topic="order", key="paper-router", count=1)
        for link in ("one", "two"):
            await client.post(CREATE, order(price="64000.00", orderLinkId=link))
        heard = [(await wire.until("order"))["data"][0]["orderLinkId"] for wire in (ours, ours, theirs, theirs)]
        assert heard == ["two", "two", "one", "two"]


async def test_a_reply_can_be_lost_as_any_frame(client):
    await add(client, action="drop", topic="subscribe", kind="reply", count=1)
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await wire.connection.send_json({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
        assert (await wire.ask({"op": "ping"}))["ret_msg"] == "pong"


async def test_a_frame_can_end_its_connection_and_our_private_feed_comes_back(client):
    url = (await base(client)).replace("http", "ws") + "/v5/private"
    feed = BybitPrivateFeed(url, KEY, VenueClock(client.venue.clock))
    await add(client, action="disconnect", topic="order", count=1, abrupt=True)
    seen: list[Any] = []
    async with contextlib.aclosing(feed.events()) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, FeedUp):
                await client.post(CREATE, order(price="64000.00", orderLinkId=f"n{len(seen)}"))
            if isinstance(event, VenueOrder):
                break
    assert [type(event) for event in seen] == [FeedUp, FeedDown, FeedUp, VenueOrder]


async def test_once_a_fault_is_removed_clients_get_the_bytes_of_the_tape(client, tape):
    recorded = {line.partition(" ")[2] for line in tape.read_text().splitlines()}
    name = await add(client, action="delay", topic="orderbook.*", delay_ms=50)
    async with (
        client.socket("/v5/public/linear", auth=False) as one,
        client.socket("/v5/public/linear", auth=False) as two,
    ):
        for wire in (one, two):
            await subscribed(wire)
        await remove(client, name)
        ours, theirs = [[await wire.raw() for _ in range(20)] for wire in (one, two)]
        assert set(ours) | set(theirs) <= recorded
        assert len(set(ours) & set(theirs)) >= 10


# the whole venue


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


# seeds, settings, counts


async def test_the_same_seed_schedules_the_same_chaos_and_another_another(client):
    async def scheduled(seed: int) -> list[dict[str, Any]]:
        wanted = {"seed": seed, "intensity": 0.7, "for_ms": 60_000}
        async with client.session.post("/control/chaos", json=wanted) as answer:
            assert answer.status == 200
            listed = (await answer.json())["faults"]
        async with client.session.delete("/control/faults") as answer:
            assert len((await answer.json())["removed"]) == len(listed)
        return [{key: value for key, value in each.items() if key not in ("id", "state")} for each in listed]

    first, again, other = await scheduled(3), await scheduled(3), await scheduled(4)
    assert first == again
    assert first != other
    assert (await client.page("/control/faults"))["faults"] == []


BAD_INPUT = [
    ("/control/faults", "{", "body"),
    ("/control/faults", '[{"action": "drop"}, {"action": "drop", "probability": 7}]', "faults[1].probability"),
    ("/control/faults", '{"action": "refuse", "code": 1, "endpoint": "order/make"}', "fault.endpoint"),
    ("/control/chaos", "[]", "chaos"),
    ("/control/chaos", "{}", "chaos.seed"),
    ("/control/chaos", '{"seed": -1}', "chaos.seed"),
    ("/control/chaos", '{"seed": 1, "intensity": 2}', "chaos.intensity"),
    ("/control/chaos", '{"seed": 1, "speed": 2}', "chaos.speed"),
    ("/control/chaos", '{"seed": 1, "scenario": "doom"}', "chaos.scenario"),
]


async def test_bad_input_is_a_400_that_names_field_rule_and_remedy_and_changes_nothing(client):
    for path, body, field in BAD_INPUT:
        async with client.session.post(path, data=body) as answer:
            error = await answer.json()
            assert (answer.status, error["field"]) == (400, field)
            assert error["error"] == f"{error['field']}: {error['rule']}; {error['remedy']}"
    assert (await client.page("/control/faults"))["faults"] == []


async def test_an_unknown_fault_cannot_be_removed(client):
    name = await add(client, action="drop", where="private")
    async with client.session.delete("/control/faults/f99") as answer:
        error = await answer.json()
        assert (answer.status, error["field"]) == (404, "id")
        assert name in error["remedy"]


async def test_hits_are_listed_counted_and_measured(client):
    await add(client, action="refuse", endpoint="order/create", code=10016, count=2)
    for _ in range(3):
        await client.post(CREATE, order(price="64000.00"))
    (fault,) = (await client.page("/control/faults"))["faults"]
    assert (fault["asked"], fault["hits"], fault["state"]) == (2, 2, "over")
    assert await struck(client, "refuse") == 2
    await eventually(lambda: measured(client, "refuse", 2.0))


def measured(client: Client, action: str, value: float) -> bool:
    lines = client.venue._runtime.metrics.render().decode().splitlines()
    ours = [line for line in lines if line.startswith("undertow_venue_faults_total") and f'action="{action}"' in line]
    return [float(line.split()[-1]) for line in ours] == [value]


async def test_a_venue_can_begin_with_faults_of_its_settings(tape, tmp_path):
    file = tmp_path / "faults.json"
    file.write_text('[{"action": "refuse", "endpoint": "order/create", "code": 10016}]')
    async with running(tape=tape, faults=str(file)) as client:
        await eventually(lambda: client.has_sent(2))
        assert (await client.post(CREATE, order(price="64000.00")))["retCode"] == 10016
    async with running(tape=tape, chaos_seed=3, chaos_intensity=0.4) as client:
        assert len((await client.page("/control/faults"))["faults"]) > 15


async def test_the_same_seed_and_requests_meet_the_same_faults_in_another_venue(tape):
    async def codes(seed: int) -> list[int]:
        fault = f'{{"action": "refuse", "endpoint": "account/info", "code": 10016, "probability": 0.5, "seed": {seed}}}'
        async with running(tape=tape, faults=fault) as client:
            return [(await client.get("/v5/account/info", ""))["retCode"] for _ in range(16)]

    first, again, other = await codes(1), await codes(1), await codes(2)
    assert first == again
    assert first != other
    assert set(first) == {0, 10016}


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ('[{"action": "drop", "count": 0}]', "faults[0].count: 0 is not a whole number"),
        ("{", "is not JSON"),
        ("/nowhere/faults.json", "cannot be read"),
    ],
)
def test_faults_in_the_settings_that_cannot_be_are_named(tape, given, rule):
    settings = Settings(paper=PaperSettings(tape=tape, faults=given))
    with pytest.raises(ConfigurationError) as caught:
        build(settings, Runtime("venue", settings))
    assert caught.value.variable == "UNDERTOW_PAPER__FAULTS"
    assert rule in caught.value.rule
