"""A client of the public socket, over a real one."""

from __future__ import annotations

import pytest

from tests.services.venue.little_market import (
    book,
    running,
    ticker,
    trade,
    write_tape,
)
from tests.support import eventually

pytestmark = pytest.mark.usefixtures("starts_at_once")


async def test_ping_on_the_public_socket_keeps_its_op_and_its_id(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        pong = await wire.ask({"op": "ping", "req_id": "p1"})
        assert pong == {"success": True, "ret_msg": "pong", "conn_id": pong["conn_id"], "req_id": "p1", "op": "ping"}
        assert (await wire.ask({"op": "ping"}))["req_id"] == ""


async def test_whoever_joins_in_the_middle_starts_with_snapshots_before_the_acknowledgement(tmp_path):
    frames = [
        (0, book()),
        (1, ticker()),
        (2, book(2, kind="delta", u=2, bids=[["65000.00", "0"], ["64999.80", "1.000"]], asks=[])),
        (3, ticker(3, kind="delta", markPrice="65001.00")),
        (60_000, trade(60_000)),
    ]
    async with running(tape=write_tape(tmp_path / "t.rawlines", frames)) as client:
        await eventually(lambda: client.has_sent(4))
        async with client.socket("/v5/public/linear", auth=False) as wire:
            args = ["orderbook.200.BTCUSDT", "tickers.BTCUSDT", "publicTrade.BTCUSDT"]
            snapshot = await wire.ask({"op": "subscribe", "args": args, "req_id": "s1"})
            merged = await wire.hear()
            acknowledgement = await wire.hear()
        assert (snapshot["type"], snapshot["data"]["u"], snapshot["data"]["seq"]) == ("snapshot", 2, 1002)
        assert snapshot["data"]["b"] == [["64999.90", "3.000"], ["64999.80", "1.000"]]
        assert snapshot["data"]["a"] == [["65000.10", "5.000"], ["65000.20", "3.000"]]
        assert (merged["type"], merged["data"]["markPrice"], merged["data"]["openInterest"]) == (
            "snapshot",
            "65001.00",
            "100.000",
        )
        assert (acknowledgement["success"], acknowledgement["op"], acknowledgement["req_id"]) == (
            True,
            "subscribe",
            "s1",
        )


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        ("orderbook.500.BTCUSDT", "depth 500 was removed on 11 September 2025; there are allLiquidation, kline.1,"),
        ("orderbook.rpi.BTCUSDT", "does not tell which sizes are RPI"),
        ("insurance.USDT", "one fund for all contracts"),
        ("publicTrade.NOPEUSDT", "this market has BTCUSDT"),
        ("nonsense", "handler not found"),
        ("kline.2.BTCUSDT", "handler not found"),
    ],
)
async def test_an_unknown_topic_is_refused_and_says_what_there_is(client, topic, why):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        reply = await wire.ask({"op": "subscribe", "args": ["tickers.BTCUSDT", topic]})
        assert reply["success"] is False
        assert f"topic:{topic}" in reply["ret_msg"]
        assert why in reply["ret_msg"]


async def test_after_unsubscribing_nothing_comes(tmp_path):
    frames = [(0, book()), (1, ticker()), *((at, trade(at)) for at in range(50, 20_000, 5))]
    tape = write_tape(tmp_path / "t.rawlines", frames)
    async with (
        running(tape=tape, start="on_command") as client,
        client.socket("/v5/public/linear", auth=False) as wire,
    ):
        await wire.ask({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
        await client.start()
        await wire.until("publicTrade.BTCUSDT")
        await wire.connection.send_json({"op": "unsubscribe", "args": ["publicTrade.BTCUSDT"], "req_id": "u"})
        while (await wire.hear()).get("req_id") != "u":
            pass
        sent = (await client.stats())["frames_sent"]
        await eventually(lambda: client.has_sent(sent + 5))
        assert (await wire.ask({"op": "ping"}))["ret_msg"] == "pong"


@pytest.mark.parametrize("text", ["{", "[]", '{"op":"dance"}', '{"op":"subscribe"}', '{"op":"subscribe","args":[1]}'])
async def test_what_is_not_understood_on_the_public_socket_is_said_to_be_so(client, text):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        assert (await wire.ask(text))["success"] is False


async def test_too_long_arguments_are_refused(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        topics = [f"orderbook.200.BTCUSDT{n or ''}" for n in range(1200)]
        assert (await wire.ask({"op": "subscribe", "args": topics}))["success"] is False


async def test_a_socket_path_asked_without_an_upgrade_is_400(client):
    assert await client.status("/v5/private") == 400
