from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager, suppress

import pytest
from pydantic import SecretStr
from websockets.asyncio.server import serve

from tests.support import eventually
from tests.undertow.exchange.bybit import proxies
from tests.undertow.exchange.bybit.frames import BOOK, DELTA, raw
from tests.undertow.exchange.bybit.test_parse import EXAMPLES, request
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.budget.connects import ConnectBudget
from undertow.exchange.budget.pace import Pace
from undertow.exchange.bybit import socket
from undertow.exchange.bybit.private_ws import BybitPrivateFeed
from undertow.exchange.bybit.public_ws import (
    BybitPublicStream,
    Connected,
    Disconnected,
    Frames,
    SubscriptionRefusedError,
)
from undertow.exchange.bybit.sign import signature
from undertow.exchange.bybit.trade_ws import BybitTradeSocket
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.errors import (
    AccessError,
    ClockSkewError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    TooLateError,
    VenueBusyError,
)
from undertow.exchange.models import VenueExecution, VenueOrder, Wallet
from undertow.exchange.ports import FeedDown, FeedUp
from undertow.runtime.clock import ManualClock
from undertow.runtime.metrics import Metrics
from undertow.runtime.settings import Credentials

KEY = Credentials(api_key="KEY", api_secret=SecretStr("secret"))
NOW_MS = 1_767_225_600_000
TOPICS = [["orderbook.50.ABCUSDT"], ["allLiquidation.ABCUSDT"]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(socket, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def clock():
    return VenueClock(ManualClock(NOW_MS * 1_000_000))


class Peer:
    """The venue's end; `script(connection, message)` answers each message, `greet` at once."""

    def __init__(self, script):
        self.script = script
        self.heard = []
        self.connections = []

    async def handle(self, connection):
        self.connections.append(connection)
        async for text in connection:
            message = json.loads(text)
            self.heard.append(message)
            await self.script(connection, message)

    def count(self, op):
        return sum(message["op"] == op for message in self.heard)


@asynccontextmanager
async def served(script, **how):
    peer = Peer(script)
    async with serve(peer.handle, "127.0.0.1", 0, close_timeout=0.1, **how) as server:
        peer.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield peer


async def say(connection, frame):
    await connection.send(frame if isinstance(frame, str) else json.dumps(frame))


async def ack(connection, message, **fields):
    plain = {"success": True, "ret_msg": "", "conn_id": "c", "req_id": message.get("req_id", ""), "op": message["op"]}
    await say(connection, {**plain, **fields})


async def taken(events, count):
    found = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found.append(await anext(events))
    return found


# public


async def test_data_before_the_acknowledgement_is_not_lost():
    async def script(connection, message):
        if "orderbook" in message["args"][0]:
            await connection.send(raw(BOOK).decode())
        else:
            await ack(connection, {"op": "subscribe", "req_id": "topics 0.0"})
            await ack(connection, message)

    async with served(script) as peer, aclosing(BybitPublicStream(peer.url, TOPICS).events()) as events:
        found = await taken(events, 2)
        assert {type(event) for event in found} == {Frames, Connected}
        frames = next(event for event in found if isinstance(event, Frames)).frames
        assert [text for text, _ in frames] == [raw(BOOK)]
        assert [message["args"] for message in peer.heard] == TOPICS


async def test_a_refused_subscription_ends_the_stream_and_names_the_topic():
    async def script(connection, message):
        is_bad = "allLiquidation" in message["args"][0]
        await ack(connection, message, success=not is_bad, ret_msg="error:handler not found" if is_bad else "")

    async with served(script) as peer, aclosing(BybitPublicStream(peer.url, TOPICS).events()) as events:
        with pytest.raises(SubscriptionRefusedError, match=r"allLiquidation\.ABCUSDT: error:handler not found"):
            await taken(events, 9)


async def test_a_lost_connection_is_told_and_everything_is_subscribed_again():
    async def script(connection, message):
        await ack(connection, message)
        if "allLiquidation" in message["args"][0]:
            await connection.send(raw(BOOK))
            await connection.send(raw(DELTA))
            await connection.close()

    async with served(script) as peer, aclosing(BybitPublicStream(peer.url, TOPICS).events()) as events:
        found = []
        async with asyncio.timeout(5):
            async for event in events:
                found.append(event)
                if sum(isinstance(each, Disconnected) for each in found) == 2:
                    break
        texts = [text for event in found if isinstance(event, Frames) for text, _ in event.frames]
        assert texts == [raw(BOOK), raw(DELTA)] * 2
        assert peer.count("subscribe") >= 4


async def test_subscriptions_without_an_answer_are_tried_anew(monkeypatch):
    monkeypatch.setattr("undertow.exchange.bybit.public_ws.ANSWER_TIMEOUT_S", 0.05)

    async def script(connection, message):
        pass

    async with served(script) as peer, aclosing(BybitPublicStream(peer.url, TOPICS).events()) as events:
        (event,) = await taken(events, 1)
        assert event == Disconnected("TimeoutError: the subscriptions were not answered")


async def test_silence_is_a_lost_connection_once_there_was_data():
    async def script(connection, message):
        await ack(connection, message)
        if len(peer.heard) == 2:
            await asyncio.sleep(0.1)  # longer than what is stale: the market has not begun
            await connection.send(raw(BOOK))

    async with (
        served(script) as peer,
        aclosing(BybitPublicStream(peer.url, TOPICS, stale_s=0.05).events()) as events,
    ):
        found = await taken(events, 3)
        assert [type(event) for event in found] == [Connected, Frames, Disconnected]
        assert "no market frame for 0.05 s" in found[2].reason


async def test_a_pong_is_no_market_frame(monkeypatch):
    monkeypatch.setattr(socket, "PING_EVERY_S", 0.02)

    async def script(connection, message):
        await ack(connection, message, ret_msg="pong" if message["op"] == "ping" else "")
        if peer.count("subscribe") == 2 and peer.count("ping") == 0:
            await connection.send(raw(BOOK))

    async with (
        served(script) as peer,
        aclosing(BybitPublicStream(peer.url, TOPICS, stale_s=0.1).events()) as events,
    ):
        found = [event for event in await taken(events, 3) if isinstance(event, Disconnected)]
        assert found == [Disconnected("TimeoutError: no market frame for 0.1 s")]


@pytest.mark.parametrize(("kind", "scheme"), [("http", "http"), ("socks", "socks5h")])
async def test_a_proxy_that_is_given_is_gone_through(kind, scheme):
    async def script(connection, message):
        await ack(connection, message)

    async with served(script) as peer, proxies.running(kind) as proxy:
        port = peer.url.rpartition(":")[2]
        stream = BybitPublicStream(f"ws://venue.test:{port}", TOPICS, proxy=f"{scheme}://127.0.0.1:{proxy.port}")
        async with aclosing(stream.events()) as events:
            assert await taken(events, 1) == [Connected()]
        assert proxy.asked == [("venue.test", int(port))]


@pytest.mark.parametrize(
    ("kind", "variable"),
    [("socks", "SOCKS_PROXY"), ("http", "HTTP_PROXY"), ("socks", "ALL_PROXY"), ("http", "ALL_PROXY")],
)
async def test_the_environments_proxy_is_gone_through_unless_the_host_is_excepted(monkeypatch, kind, variable):
    async def script(connection, message):
        await ack(connection, message)

    async with served(script) as peer, proxies.running(kind) as proxy:
        port = peer.url.rpartition(":")[2]
        scheme = "socks5h" if kind == "socks" else "http"
        monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{proxy.port}")
        async with aclosing(BybitPublicStream(f"ws://venue.test:{port}", TOPICS).events()) as events:
            assert await taken(events, 1) == [Connected()]
        assert len(proxy.asked) == 1
        monkeypatch.setenv("NO_PROXY", "venue.test")
        async with aclosing(BybitPublicStream(f"ws://venue.test:{port}", TOPICS).events()) as events:
            (event,) = await taken(events, 1)
        assert isinstance(event, Disconnected)  # there is no such host
        assert len(proxy.asked) == 1


async def test_the_proxy_for_all_gives_way_to_the_one_for_the_scheme(monkeypatch):
    async def script(connection, message):
        await ack(connection, message)

    async with served(script) as peer, proxies.running("http") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        url = f"ws://venue.test:{peer.url.rpartition(':')[2]}"
        async with aclosing(BybitPublicStream(url, TOPICS).events()) as events:
            assert await taken(events, 1) == [Connected()]
        assert len(proxy.asked) == 1


async def test_a_dead_proxy_is_named_in_the_reason():
    stream = BybitPublicStream("ws://venue.test:1", TOPICS, proxy="http://127.0.0.1:1")
    async with aclosing(stream.events()) as events:
        (event,) = await taken(events, 1)
    assert "127.0.0.1" in event.reason or "proxy" in event.reason.lower()


async def test_a_held_stream_hangs_up_and_connects_again_when_it_is_released():
    async def script(connection, message):
        await ack(connection, message)

    async with served(script) as peer:
        stream = BybitPublicStream(peer.url, TOPICS)
        async with aclosing(stream.events()) as events:
            assert await taken(events, 1) == [Connected()]
            await stream.hold()
            (event,) = await taken(events, 1)
            assert isinstance(event, Disconnected)
            waiting = asyncio.ensure_future(taken(events, 1))
            await asyncio.sleep(0.05)  # in which a stream that is held must not connect
            assert len(peer.connections) == 1
            stream.release()
            assert await waiting == [Connected()]
        assert len(peer.connections) == 2


async def test_a_topic_is_subscribed_again_and_a_refusal_of_that_makes_a_new_connection():
    async def script(connection, message):
        await ack(connection, message, success=not message["req_id"].startswith("again"), ret_msg="no")

    async with served(script) as peer:
        stream = BybitPublicStream(peer.url, TOPICS)
        await stream.resubscribe(TOPICS[0][0])  # without a connection there is nothing to do
        async with aclosing(stream.events()) as events:
            await taken(events, 1)
            await stream.resubscribe(TOPICS[0][0])
            found = await taken(events, 2)
        assert [type(event) for event in found] == [Disconnected, Connected]
        assert [m["args"] for m in peer.heard if m["op"] == "unsubscribe"] == [TOPICS[0]]


async def test_a_line_on_which_nothing_is_heard_is_cut(monkeypatch):
    monkeypatch.setattr(socket, "PING_EVERY_S", 0.02)
    pings = []

    async def script(connection, message):
        if message["op"] == "ping":
            pings.append(message)
        else:
            await ack(connection, message)

    async with served(script) as peer, aclosing(BybitPublicStream(peer.url, TOPICS).events()) as events:
        found = await taken(events, 2)
        assert [type(event) for event in found] == [Connected, Disconnected]
        assert pings


# private


def push(topic, *items):
    return {"id": "1", "topic": topic, "creationTime": 1, "data": list(items)}


async def accept(connection, message):
    await ack(connection, message)


async def test_the_private_feed_signs_subscribes_and_reads(clock):
    usdt = EXAMPLES["wallet"]
    btc = {**usdt, "coin": [{**usdt["coin"][0], "coin": "BTC"}]}

    async def script(connection, message):
        if message["op"] == "subscribe":
            await say(connection, push("execution", EXAMPLES["stream_execution"]))  # before its acknowledgement
            await ack(connection, message)
            await say(connection, push("order.linear", EXAMPLES["stream_order"], {"category": "spot"}))
            await say(connection, push("wallet", btc))
            await say(connection, push("wallet", usdt))
            await say(connection, {"op": "pong", "req_id": "p"})
        else:
            await ack(connection, message)

    async with served(script) as peer, aclosing(BybitPrivateFeed(peer.url, KEY, clock).events()) as events:
        found = await taken(events, 4)
        assert [type(event) for event in found] == [FeedUp, VenueExecution, VenueOrder, Wallet]
        assert found[3].wallet == 100  # a push about another coin says nothing about ours
        expires = NOW_MS + 10_000
        assert peer.heard[0]["args"] == ["KEY", expires, signature("secret", f"GET/realtime{expires}")]
        assert peer.heard[1]["args"] == ["order", "execution", "position", "wallet"]


async def test_the_private_feed_takes_an_acknowledgement_in_the_trade_socket_s_spelling(clock):
    async def script(connection, message):
        await say(connection, {"retCode": 0, "retMsg": "OK", "op": message["op"], "connId": "c"})

    async with served(script) as peer, aclosing(BybitPrivateFeed(peer.url, KEY, clock).events()) as events:
        assert isinstance((await taken(events, 1))[0], FeedUp)


async def test_the_private_feed_comes_back_and_says_that_it_was_away(clock):
    async with served(accept) as peer, aclosing(BybitPrivateFeed(peer.url, KEY, clock).events()) as events:
        await taken(events, 1)
        await peer.connections[0].close()
        found = await taken(events, 2)
        assert [type(event) for event in found] == [FeedDown, FeedUp]
        assert (peer.count("auth"), peer.count("subscribe")) == (2, 2)


@pytest.mark.parametrize(
    "bad",
    [
        push("order", EXAMPLES["stream_order"], {**EXAMPLES["stream_order"], "orderStatus": "Odd"}),
        push("order", None, EXAMPLES["stream_order"]),
        push("order", EXAMPLES["stream_order"], {**EXAMPLES["stream_order"], "qty": "x"}),
    ],
)
async def test_a_private_item_that_cannot_be_read_is_told_as_a_gap_and_the_rest_is_delivered(clock, bad):
    async with served(accept) as peer, aclosing(BybitPrivateFeed(peer.url, KEY, clock).events()) as events:
        await taken(events, 1)
        await say(peer.connections[0], bad)
        found = await taken(events, 3)
        assert [type(event) for event in found] == [VenueOrder, FeedDown, FeedUp]
        assert "order" in found[1].reason


@pytest.mark.parametrize("bad", ["garbage", "[]", '{"topic":"order","data":{}}', '{"topic":"order"}'])
async def test_a_private_frame_that_cannot_be_read_is_told_as_a_gap(clock, bad):
    async with served(accept) as peer, aclosing(BybitPrivateFeed(peer.url, KEY, clock).events()) as events:
        await taken(events, 1)
        await say(peer.connections[0], bad)
        assert [type(event) for event in await taken(events, 2)] == [FeedDown, FeedUp]


@pytest.mark.parametrize("refused", ["auth", "subscribe"])
async def test_a_refused_key_ends_the_private_feed(clock, refused):
    async def script(connection, message):
        await ack(connection, message, success=message["op"] != refused, ret_msg="no")

    async with served(script) as peer, aclosing(BybitPrivateFeed(peer.url, KEY, clock).events()) as events:
        with pytest.raises(AccessError):
            await taken(events, 9)


@pytest.mark.parametrize("code", [10016, 10429])
async def test_a_busy_venue_is_asked_to_authenticate_again(clock, code):
    async def script(connection, message):
        if peer.count("auth") == 1:
            await say(connection, {"op": "auth", "retCode": code, "retMsg": "busy"})
        else:
            await ack(connection, message)

    async with served(script) as peer, aclosing(BybitPrivateFeed(peer.url, KEY, clock).events()) as events:
        assert isinstance((await taken(events, 1))[0], FeedUp)


# trade


def answer(message, code=0, data=None, **fields):
    data = {"orderId": "v1", "orderLinkId": "id"} if data is None else data
    return {"reqId": message["reqId"], "retCode": code, "retMsg": "x", "op": message["op"], "data": data, **fields}


@asynccontextmanager
async def trading(clock, script, **how):
    async def whole(connection, message):
        if message["op"] == "auth":
            await say(connection, {"reqId": "auth", "retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"})
        else:
            await script(connection, message)

    async with served(whole) as peer:
        trade = BybitTradeSocket(peer.url, KEY, clock, **how)
        with pytest.raises(VenueBusyError):
            await trade.create_order(request())
        life = asyncio.create_task(trade.run())
        try:
            await eventually(lambda: trade.is_connected)
            yield trade, peer
        finally:
            life.cancel()
            with suppress(asyncio.CancelledError):
                await life


async def test_an_order_goes_out_with_its_time_and_window_and_comes_back_with_an_id(clock):
    async def script(connection, message):
        await say(connection, answer(message))

    written = []
    async with trading(clock, script, on_written=lambda order_id, at: written.append(order_id)) as (trade, peer):
        assert await trade.create_order(request()) == "v1"
        await trade.cancel_order("ABCUSDT", "id")
        create, cancel = peer.heard[1:]
        assert create["header"] == {"X-BAPI-TIMESTAMP": str(NOW_MS), "X-BAPI-RECV-WINDOW": "1000"}
        assert (create["op"], create["args"][0]["orderLinkId"], len(create["args"])) == ("order.create", "id", 1)
        assert (cancel["op"], cancel["reqId"] != create["reqId"]) == ("order.cancel", True)
        assert written == ["id"]


async def test_an_entry_past_its_deadline_is_never_written_to_the_socket(clock):
    async def script(connection, message):
        await say(connection, answer(message))

    async with trading(clock, script) as (trade, peer):
        with pytest.raises(TooLateError):
            await trade.create_order(request(), NOW_MS * 1_000_000 - 1)
        assert await trade.create_order(request(), NOW_MS * 1_000_000) == "v1"
        assert await trade.create_order(request(reduce_only=True)) == "v1"
        assert [message["op"] for message in peer.heard] == ["auth", "order.create", "order.create"]


async def test_orders_on_the_socket_keep_to_our_share_of_the_limit_that_the_venue_names(clock):
    async def script(connection, message):
        await say(connection, answer(message, header={"X-Bapi-Limit": "1"}))

    pace = Pace(1_000.0)  # a second of the venue is a millisecond here
    async with trading(clock, script, pace=pace) as (trade, peer):
        for _ in range(4):
            await trade.create_order(request())
        assert peer.count("order.create") == 4


async def test_an_order_whose_turn_on_the_socket_does_not_come_in_time_is_never_written(clock):
    async def script(connection, message):
        await say(connection, answer(message, header={"X-Bapi-Limit": "1"}))

    async with trading(clock, script, pace=Pace(steady=lambda: 0.0)) as (trade, peer):
        await trade.create_order(request())  # before the venue named its limit
        await trade.create_order(request())
        soon_ns = NOW_MS * 1_000_000 + 20_000_000
        with pytest.raises(VenueBusyError, match=r"order/create had no turn within 0\.02 s") as refused:
            await trade.create_order(request(), soon_ns)
        assert refused.value.code == 0
        assert peer.count("order.create") == 2


class Told(Circuit):
    """Keeps what it is told."""

    def __init__(self, clock):
        super().__init__(clock)
        self.heard = []

    def learn(self, endpoint, *, limit, pause_s=0.0):
        self.heard.append((endpoint, limit, pause_s))


async def test_what_the_venue_says_of_its_limits_on_the_socket_holds_for_orders_over_http(clock):
    async def script(connection, message):
        header = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0"}
        late = {**header, "X-Bapi-Limit-Reset-Timestamp": str(NOW_MS + 700)}
        is_create = message["op"] == "order.create"
        await say(connection, answer(message, header=header) if is_create else answer(message, 10006, {}, header=late))

    budget = Told(ManualClock())
    async with trading(clock, script, budget=budget) as (trade, _):
        await trade.create_order(request())
        with pytest.raises(RateLimitedError):
            await trade.cancel_order("ABCUSDT", "id")
    assert budget.heard == [("order/create", 10, 0.0), ("order/cancel", 10, 0.7)]


@pytest.mark.parametrize(
    ("code", "error"), [(110007, OrderRefusedError), (10016, OutcomeUnknownError), (10002, ClockSkewError)]
)
async def test_a_refusal_has_its_own_error(clock, code, error):
    async def script(connection, message):
        await say(connection, answer(message, code, {}, header={"X-Bapi-Limit-Reset-Timestamp": "odd"}))

    clock.is_known = True
    async with trading(clock, script) as (trade, _):
        with pytest.raises(error):
            await trade.create_order(request())
        assert clock.is_known is (code != 10002)


@pytest.mark.parametrize("lost", ["silence", "cut", "garbage", "no code", "no id"])
async def test_a_lost_answer_is_an_unknown_outcome_and_the_order_is_never_sent_again(clock, monkeypatch, lost):
    monkeypatch.setattr("undertow.exchange.bybit.trade_ws.ANSWER_TIMEOUT_S", 0.1)

    async def script(connection, message):
        match lost:
            case "cut":
                connection.transport.abort()
            case "garbage":
                await say(connection, "[1]")
            case "no code":
                await say(connection, {"reqId": message["reqId"]})
            case "no id":
                await say(connection, answer(message, data={}))

    async with trading(clock, script) as (trade, peer):
        with pytest.raises(OutcomeUnknownError):
            await trade.create_order(request())
        await eventually(lambda: trade.is_connected)
        assert peer.count("order.create") == 1


async def test_an_answer_that_nobody_awaits_is_passed_over(clock):
    async def script(connection, message):
        await say(connection, answer(message | {"reqId": "r999"}, data={"orderId": "old"}))
        await say(connection, answer(message, data={"orderId": "new"}))

    async with trading(clock, script) as (trade, _):
        assert await trade.create_order(request()) == "new"


async def test_a_line_that_does_not_answer_is_cut_so_that_the_next_order_need_not_wait_for_it(clock, monkeypatch):
    monkeypatch.setattr("undertow.exchange.bybit.trade_ws.ANSWER_TIMEOUT_S", 0.05)
    heard = []

    async def script(connection, message):
        heard.append(message)
        if len(heard) > 1:
            await say(connection, answer(message))

    async with trading(clock, script) as (trade, peer):
        with pytest.raises(OutcomeUnknownError):
            await trade.create_order(request())
        with pytest.raises(VenueBusyError):
            await trade.create_order(request())
        await eventually(lambda: len(peer.connections) == 2 and trade.is_connected)
        assert await trade.create_order(request()) == "v1"


async def test_nothing_is_sent_on_a_connection_that_is_closing(clock):
    async def script(connection, message):
        await say(connection, answer(message))

    async with trading(clock, script) as (trade, peer):
        trade._connection.transport.abort()
        trade._connection.protocol.receive_eof()
        trade._connection.protocol.state = trade._connection.protocol.state.CLOSED
        with pytest.raises(VenueBusyError):
            await trade.create_order(request())
        assert peer.count("order.create") == 0
        await eventually(lambda: len(peer.connections) == 2 and trade.is_connected)
        await trade.create_order(request())


async def test_a_draining_connection_answers_what_is_under_way_and_is_replaced(clock):
    held = []

    async def script(connection, message):
        held.append(message)
        if len(held) == 2:
            await say(connection, answer(message, 10019, {}))
            await say(connection, answer(held[0]))
        elif len(held) > 2:
            await say(connection, answer(message))

    async with trading(clock, script) as (trade, peer):
        first = asyncio.create_task(trade.create_order(request()))
        await eventually(lambda: held)
        with pytest.raises(OutcomeUnknownError):
            await trade.create_order(request())
        assert await first == "v1"
        await eventually(lambda: len(peer.connections) == 2 and trade.is_connected)
        assert await trade.create_order(request()) == "v1"


async def test_a_refused_key_ends_the_trade_socket(clock):
    async def script(connection, message):
        await say(connection, {"reqId": "auth", "retCode": 10004, "retMsg": "bad sign", "op": "auth"})

    async with served(script) as peer:
        with pytest.raises(AccessError):
            await BybitTradeSocket(peer.url, KEY, clock).run()


# a ban

TEN_MINUTES_S = 0.4


class Door:
    """Answers handshakes with a status, or lets them in."""

    def __init__(self, status):
        self.status = status
        self.knocks = 0

    def __call__(self, connection, _request):
        self.knocks += 1
        return connection.respond(self.status, "no\n") if self.status else None


def public(url, _clock, budget):
    return anext(BybitPublicStream(url, TOPICS, budget=budget).events())


def private(url, clock, budget):
    return anext(aiter(BybitPrivateFeed(url, KEY, clock, budget=budget).events()))


def trade(url, clock, budget):
    return BybitTradeSocket(url, KEY, clock, budget=budget).run()


@pytest.fixture
def circuit():
    return Circuit(ManualClock(rate=600.0 / TEN_MINUTES_S))


@pytest.mark.parametrize("begin", [public, private, trade])
async def test_during_a_ban_no_socket_knocks_and_after_it_each_does(clock, circuit, begin):
    circuit.ban()
    door = Door(None)
    async with served(accept, process_request=door) as peer:
        life = asyncio.ensure_future(begin(peer.url, clock, circuit))
        await asyncio.sleep(TEN_MINUTES_S / 2)  # of which the silence is asserted
        assert (door.knocks, circuit.banned_for_s > 0) == (0, True)
        await eventually(lambda: door.knocks)
        assert circuit.banned_for_s == 0
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


@pytest.mark.parametrize("begin", [public, private, trade])
async def test_a_handshake_that_is_answered_with_403_opens_the_circuit_and_is_not_repeated(clock, circuit, begin):
    door = Door(403)
    async with served(accept, process_request=door) as peer:
        life = asyncio.ensure_future(begin(peer.url, clock, circuit))
        await eventually(lambda: circuit.banned_for_s)
        if begin is public:
            assert await life == Disconnected(
                "BannedError: 403: the venue bans our address: too many requests or sockets, or a blocked region"
            )
        await asyncio.sleep(TEN_MINUTES_S / 2)  # of which the silence is asserted; pauses are far shorter
        assert (door.knocks, circuit.banned_for_s > 0) == (1, True)
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


async def test_another_refusal_of_a_handshake_is_no_ban(circuit):
    door = Door(503)
    async with (
        served(accept, process_request=door) as peer,
        aclosing(BybitPublicStream(peer.url, TOPICS, budget=circuit).events()) as events,
    ):
        assert len(await taken(events, 3)) == 3
    assert (door.knocks, circuit.banned_for_s) == (3, 0)


async def test_who_was_banned_while_it_waited_for_its_turn_waits_on(clock, circuit):
    connects = ConnectBudget(1, ManualClock(rate=300.0 / 0.05), Metrics("ingestor", "paper"))
    await connects.take()
    door = Door(None)
    async with (
        served(accept, process_request=door) as peer,
        aclosing(BybitPublicStream(peer.url, TOPICS, budget=circuit, connects=connects).events()) as events,
    ):
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)  # it has begun to wait
        circuit.ban()
        await asyncio.sleep(0.1)  # in which its turn comes, and the ban holds
        assert door.knocks == 0
        assert await asyncio.wait_for(first, 5) == Connected()
        assert circuit.banned_for_s == 0


async def test_who_heeds_no_ban_goes_on_knocking(clock):
    door = Door(403)
    async with served(accept, process_request=door) as peer:
        life = asyncio.ensure_future(trade(peer.url, clock, None))
        await eventually(lambda: door.knocks >= 3)
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


async def test_a_frame_that_comes_with_the_end_of_patience_is_not_lost():
    async def script(connection, message):
        await ack(connection, message)

    async with served(script) as peer:
        stream = BybitPublicStream(peer.url, TOPICS, stale_s=0.05)
        async with aclosing(stream.events()) as events:
            assert await taken(events, 1) == [Connected()]
            await peer.connections[0].send(raw(BOOK).decode())
            assert isinstance((await taken(events, 1))[0], Frames)
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)  # it waits
            stream._frames.append((b"last", 1))  # as the reader does in the very turn in which time is up
            assert await waiting == Frames([(b"last", 1)])
