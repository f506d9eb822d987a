from __future__ import annotations

import asyncio
import contextlib
import json
import time
from itertools import islice
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from websockets.asyncio.server import ServerConnection, serve

from services.venue.settings import PaperSettings, Settings
from services.venue.upstream import fetch_contracts
from tests.services.venue.little_market import Client, book, dripping, order, running, ticker, trade, write_tape
from tests.support import eventually
from undertow.contracts.metrics import FRAMES_DROPPED
from undertow.markets.generated import GeneratedMarket
from undertow.markets.instruments import instruments_for
from undertow.runtime.errors import ConfigurationError

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
FRAMES = 1_500


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)


def port(client: Client) -> int:
    return client.session._base_url.port


def address(upstream: Client) -> str:
    return f"ws://127.0.0.1:{port(upstream)}/v5/public/linear"


@contextlib.asynccontextmanager
async def following(upstream: Client, **how: Any):
    async with running(upstream=address(upstream), **how) as client:
        await eventually(lambda: client.venue.clock.is_open and client.venue.unready_reason() is None)
        yield client


async def shown(client: Client, symbol: str) -> list[Any]:
    """The book, the trades, the ticker and the candles of a venue."""
    query = f"category=linear&symbol={symbol}"
    paths = (f"orderbook?{query}&limit=200", f"recent-trade?{query}&limit=1000", f"tickers?{query}")
    return [(await client.page(f"/v5/market/{path}"))["result"] for path in paths]


async def test_both_venues_show_the_same_and_no_frame_is_lost(tmp_path):
    frames = [frame.raw for frame in islice(GeneratedMarket(SYMBOLS, seed=5).frames(), FRAMES)]
    path = tmp_path / "upstream.rawlines"
    made = islice(GeneratedMarket(SYMBOLS, seed=5).frames(), FRAMES)
    path.write_bytes(b"".join(b"%d %s\n" % (frame.at_ns, frame.raw) for frame in made))
    async with running(tape=path, rate=100.0, start="on_command") as upstream, following(upstream) as client:
        async with client.socket("/v5/public/linear", auth=False) as wire:
            topics = [f"{kind}.{symbol}" for kind in ("orderbook.200", "publicTrade", "tickers") for symbol in SYMBOLS]
            assert (await wire.ask({"op": "subscribe", "args": topics}))["success"]
            await upstream.start()
            expected = [raw for raw in frames if json.loads(raw)["topic"] in topics]
            assert [(await wire.raw()).encode() for _ in expected] == expected
        assert await eventually(lambda: client.has_sent(FRAMES))
        assert (await client.stats())["frames_sent"] == (await upstream.stats())["frames_sent"] == FRAMES
        for symbol in SYMBOLS:
            assert await shown(client, symbol) == await shown(upstream, symbol)


async def test_orders_are_matched_here_against_the_live_tape_and_the_upstream_never_hears_of_them(tmp_path):
    async with (
        running(tape=dripping(tmp_path / "drip.rawlines")) as upstream,
        following(upstream, symbols=["BTCUSDT"]) as client,
        client.socket("/v5/private") as wire,
    ):
        await wire.ask({"op": "subscribe", "args": ["execution"]})
        await eventually(lambda: client.has_sent(3))
        placed = await client.post("/v5/order/create", order(), timestamp=time.time_ns() // 1_000_000)
        assert placed["retCode"] == 0, placed
        (fill,) = (await wire.until("execution"))["data"]
        assert (fill["orderId"], fill["execPrice"]) == (placed["result"]["orderId"], "64995.00")
        assert (await upstream.stats())["orders_accepted"] == 0
        assert (await client.stats())["market_label"].startswith(f"live {address(upstream)}")


async def test_an_upstream_that_dies_is_named_and_its_return_brings_a_fresh_snapshot(tmp_path):
    first = write_tape(tmp_path / "1.rawlines", [(0, book()), (1, ticker()), (2, trade(2))])
    bids, asks = [["64000.00", "7.000"]], [["64000.10", "8.000"]]
    second = write_tape(tmp_path / "2.rawlines", [(0, book(u=900, bids=bids, asks=asks)), (1, trade(1))])
    page = "/v5/market/orderbook?category=linear&symbol=BTCUSDT"
    async with contextlib.AsyncExitStack() as ground:
        upstream = await ground.enter_async_context(running(tape=first))
        where, at_port = address(upstream), port(upstream)
        async with (
            following(upstream, symbols=["BTCUSDT"]) as client,
            client.socket("/v5/public/linear", auth=False) as wire,
        ):
            await eventually(lambda: client.has_sent(2))  # the upstream's snapshots
            await wire.ask({"op": "subscribe", "args": ["orderbook.200.BTCUSDT"]})
            await ground.aclose()
            assert where in await eventually(client.venue.unready_reason)
            assert (await client.page(page))["result"]["b"] == [["65000.00", "5.000"], ["64999.90", "3.000"]]
            async with running(tape=second, at_port=at_port):
                await eventually(lambda: client.venue.unready_reason() is None)
                while (fresh := await wire.until("orderbook.200.BTCUSDT"))["data"]["u"] != 900:
                    pass
                assert (fresh["type"], fresh["data"]["b"]) == ("snapshot", bids)
                result = (await client.page(page))["result"]
                assert (result["b"], result["a"]) == (bids, asks)


class Peer:
    """An upstream that says whatever a test hands it; each subscription is acknowledged and begins with the topic's opening frame."""

    def __init__(self, *openings: dict[str, Any]) -> None:
        self.openings = {frame["topic"]: frame for frame in openings}
        self.asked: list[tuple[str, list[str]]] = []
        self.connections: list[ServerConnection] = []
        self.url = ""

    async def say(self, *frames: dict[str, Any] | bytes) -> None:
        for frame in frames:
            text = frame.decode() if isinstance(frame, bytes) else json.dumps(frame)
            await self.connections[-1].send(text)

    async def serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        async for text in connection:
            message = json.loads(text)
            topics = message.get("args", [])
            self.asked.append((message["op"], topics))
            await self.say({"op": message["op"], "success": True, "ret_msg": "", "req_id": message.get("req_id", "")})
            if message["op"] == "subscribe":
                await self.say(*(self.openings[topic] for topic in topics if topic in self.openings))


@contextlib.asynccontextmanager
async def at_peer(*openings: dict[str, Any]):
    """A venue that follows an upstream of BTCUSDT which a test speaks for."""
    peer = Peer(*openings)
    async with serve(peer.serve, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v5/public/linear"
        async with running(upstream=url, symbols=["BTCUSDT"]) as client:
            await eventually(lambda: client.has_sent(len(openings)))
            yield peer, client


BOOK = "orderbook.200.BTCUSDT"
PAGE = "/v5/market/{}?category=linear&symbol=BTCUSDT"


async def test_frames_that_cannot_be_played_are_dropped_whole_counted_and_told():
    half = trade(10, "64980.00")
    half["data"] += trade(11, "64980.05")["data"]
    null = ticker(12, kind="delta", markPrice="64000.00")
    null["data"]["indexPrice"] = None
    frames = [
        half,
        null,
        ticker(13, kind="delta", fundingRate="0.000000001", lastPrice="1.00"),
        {**trade(14), "topic": "publicTrade.XYZUSDT"},
        b'{"topic":"publicTrade.BTCUSDT","data":[{"T":1',
    ]
    async with at_peer(book(), ticker()) as (peer, client):
        resting = await client.post("/v5/order/create", order(), timestamp=time.time_ns() // 1_000_000)
        assert resting["retCode"] == 0, resting
        known = (await client.page(PAGE.format("tickers")))["result"]
        before = await shown(client, "BTCUSDT")
        await peer.say(*frames)
        dropped = {"breaks_a_rule": 2, "unreadable": 2, "not_subscribed": 1}

        async def told() -> bool:
            return (await client.stats())["frames_dropped"] == dropped

        assert await eventually(told)
        assert (await client.stats())["frames_sent"] == 2
        assert await shown(client, "BTCUSDT") == before
        assert (await client.page(PAGE.format("tickers")))["result"] == known
        assert client.venue.unready_reason() is None
        counts = client.venue._runtime.metrics.counter
        assert {why: counts(FRAMES_DROPPED, reason=why)._value.get() for why in dropped} == dropped
        query = "category=linear&symbol=BTCUSDT"
        (left,) = (await client.get("/v5/order/realtime", query, timestamp=time.time_ns() // 1_000_000))["result"][
            "list"
        ]
        assert (left["orderStatus"], left["cumExecQty"]) == ("New", "0")
        await peer.say(trade(20, "64990.00"))
        assert await eventually(lambda: client.has_sent(3))


async def test_a_book_that_lost_a_frame_stands_until_the_snapshot_that_is_asked_for():
    bids, asks = [["64000.00", "7.000"]], [["64000.10", "8.000"]]
    async with at_peer(book(u=5), ticker()) as (peer, client), client.socket("/v5/public/linear", auth=False) as wire:
        await wire.ask({"op": "subscribe", "args": [BOOK]})
        del peer.openings[BOOK]
        bad = book(6, kind="delta", u=6, bids=[["65000.00", "0"], ["64990.05", "2.000"]], asks=[])
        await peer.say(bad, book(7, kind="delta", u=7, bids=[["64999.90", "0"]], asks=[]))
        assert await eventually(lambda: peer.asked[-2:] == [("unsubscribe", [BOOK]), ("subscribe", [BOOK])])
        assert f"a fresh snapshot of {BOOK} is awaited" in await eventually(client.venue.unready_reason)
        page = (await client.page(PAGE.format("orderbook")))["result"]
        assert (page["b"], page["a"]) == (book()["data"]["b"], book()["data"]["a"])
        await peer.say(
            book(8, u=90, bids=bids, asks=asks), book(9, kind="delta", u=91, bids=[["63999.90", "1.000"]], asks=[])
        )
        assert await eventually(lambda: client.has_sent(4))
        heard = [await wire.until(BOOK) for _ in range(2)]
        assert [(frame["type"], frame["data"]["u"]) for frame in heard] == [("snapshot", 90), ("delta", 91)]
        assert client.venue.unready_reason() is None
        page = (await client.page(PAGE.format("orderbook")))["result"]
        assert (page["b"], page["a"]) == ([*bids, ["63999.90", "1.000"]], asks)
        assert (await client.stats())["frames_dropped"] == {"breaks_a_rule": 1, "awaits_snapshot": 1}


async def test_a_restarted_book_is_a_new_one_on_the_page_and_for_orders_even_as_a_delta():
    async with at_peer(book(u=5), ticker()) as (peer, client):
        await peer.say(book(6, kind="delta", u=1, bids=[["64900.00", "7.000"]], asks=[["64900.10", "8.000"]]))
        assert await eventually(lambda: client.has_sent(3))
        assert (await client.page(PAGE.format("orderbook")))["result"]["b"] == [["64900.00", "7.000"]]
        sale = order(side="Sell", orderType="Market", qty="0.010", timeInForce="IOC")
        del sale["price"]
        stamp = time.time_ns() // 1_000_000
        assert (await client.post("/v5/order/create", sale, timestamp=stamp))["retCode"] == 0
        (fill,) = (await client.get("/v5/execution/list", "category=linear", timestamp=stamp))["result"]["list"]
        assert fill["execPrice"] == "64900.00"


async def test_the_environments_proxy_is_the_way_to_an_upstream_elsewhere(tmp_path, monkeypatch):
    async with running(tape=dripping(tmp_path / "drip.rawlines")) as upstream:
        asked: list[str] = []

        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode())
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port(upstream))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

        async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy:
            for name in ("no_proxy", "ws_proxy", "socks_proxy", "all_proxy"):
                monkeypatch.delenv(name, raising=False)
                monkeypatch.delenv(name.upper(), raising=False)
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
            url = "ws://stream.venue.test:8080/v5/public/linear"
            async with running(upstream=url, symbols=["BTCUSDT"]) as client:
                await eventually(lambda: client.has_sent(3))
            assert asked == ["CONNECT stream.venue.test:8080 HTTP/1.1"]


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def test_until_our_market_opens_the_upstream_is_not_missed(tmp_path):
    """A launcher waits for every service to be ready before it opens the market."""
    async with running(tape=dripping(tmp_path / "drip.rawlines")) as upstream:
        how = {"upstream": address(upstream), "symbols": ["BTCUSDT"], "start": "on_command"}
        async with running(**how) as client:
            await eventually(lambda: client.venue.unready_reason() is None)
            await client.page("/control/stats")
            assert (await client.stats())["frames_sent"] == 0
            await client.start()
            await eventually(lambda: client.has_sent(3))


async def failure(**how: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        async with running(**how) as client:
            await asyncio.wait_for(client.life, 20)
    return caught.value


async def test_an_address_that_is_no_public_stream_is_named(tmp_path):
    async with running(tape=dripping(tmp_path / "drip.rawlines")) as upstream:
        url = f"ws://127.0.0.1:{port(upstream)}/v5/nothing"
        error = await failure(upstream=url)
        assert error.variable == "UNDERTOW_PAPER__UPSTREAM"
        assert url in error.rule
        assert "cannot be followed" in error.rule
        gone = address(upstream)
    error = await failure(upstream=gone)
    assert error.variable == "UNDERTOW_PAPER__UPSTREAM"
    assert gone in error.rule


async def test_a_topic_that_the_upstream_refuses_is_named(tmp_path):
    async with running(tape=dripping(tmp_path / "drip.rawlines")) as upstream:
        error = await failure(upstream=address(upstream), symbols=["ETHUSDT"])
        assert error.variable == "UNDERTOW_PAPER__UPSTREAM"
        assert "orderbook.200.ETHUSDT" in error.rule


async def test_contracts_are_the_upstreams_own_where_its_rest_address_is_given(tmp_path):
    async with running(tape=dripping(tmp_path / "drip.rawlines")) as upstream:
        rest = f"http://127.0.0.1:{port(upstream)}"
        page = await upstream.page("/v5/market/instruments-info?category=linear&symbol=BTCUSDT")
        fetched = await asyncio.to_thread(fetch_contracts, rest, ["BTCUSDT"])
        assert list(fetched) == page["result"]["list"]
        for symbols, url, variable in (
            (["NOPEUSDT"], rest, "UNDERTOW_PAPER__UPSTREAM_REST"),
            (["BTCUSDT"], f"{rest}/nothing", "UNDERTOW_PAPER__UPSTREAM_REST"),
        ):
            with pytest.raises(ConfigurationError) as caught:
                await asyncio.to_thread(fetch_contracts, url, symbols)
            assert caught.value.variable == variable
            assert url in caught.value.rule


@pytest.mark.parametrize(
    "change",
    [{"priceFilter": {}}, {"lotSizeFilter": None}, {"fundingInterval": "soon"}, {"priceFilter": {"tickSize": "0"}}],
)
async def test_a_contract_of_the_upstream_that_cannot_be_traded_is_named(change):
    (item,) = instruments_for(["BTCUSDT"])

    async def page(_request):
        return web.json_response({"retCode": 0, "result": {"list": [{**item, **change}]}})

    site = web.Application()
    site.router.add_get("/{tail:.*}", page)
    async with TestServer(site, host="127.0.0.1") as server:
        with pytest.raises(ConfigurationError, match="a contract that cannot be traded") as caught:
            await asyncio.to_thread(fetch_contracts, str(server.make_url("/")), ["BTCUSDT"])
    assert caught.value.variable == "UNDERTOW_PAPER__UPSTREAM_REST"


@pytest.mark.parametrize(
    ("paper", "variable"),
    [
        ({"upstream": "ws://127.0.0.1:1/", "tape": "t.rawlines"}, "UNDERTOW_PAPER__UPSTREAM"),
        ({"upstream": "ws://127.0.0.1:1/", "rate": 2.0}, "UNDERTOW_PAPER__RATE"),
        ({"upstream_rest": "http://127.0.0.1:1"}, "UNDERTOW_PAPER__UPSTREAM_REST"),
    ],
)
def test_contradictions_name_the_variable(paper, variable):
    with pytest.raises(ConfigurationError) as caught:
        Settings(paper=PaperSettings(**paper))
    assert caught.value.variable == variable
