from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from urllib.parse import quote

import aiohttp
import pytest

from tests.services.venue.little_market import (
    ORIGIN_NS,
    Client,
    book,
    dripping,
    order,
    running,
    ticker,
    trade,
    write_tape,
)
from tests.support import eventually, recorded
from undertow.markets.spot import spot_label
from undertow.markets.tape import TapeSource

TOPICS = ["order", "execution", "position", "wallet"]


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)


@pytest.fixture
async def client(tmp_path):
    async with running(tape=dripping(tmp_path / "drip.rawlines"), start="on_command") as each:
        yield each


@pytest.fixture
async def open_client(client: Client):
    await client.start()
    await eventually(lambda: client.has_sent(2))
    return client


# clock and control


async def test_time_stands_at_the_origin_until_the_market_is_started(client):
    assert await client.page("/control/clock") == {"origin_ns": ORIGIN_NS, "wall_origin_ns": None, "rate": 1.0}
    time = await client.page("/v5/market/time")
    assert time["result"] == {"timeSecond": str(ORIGIN_NS // 10**9), "timeNano": str(ORIGIN_NS)}
    assert time["time"] == ORIGIN_NS // 10**6
    assert (await client.stats())["frames_sent"] == 0


async def test_starting_twice_starts_once(client):
    await client.start()
    first = await client.page("/control/clock")
    await client.start()
    assert await client.page("/control/clock") == first
    assert first["wall_origin_ns"] is not None


async def test_a_subscriber_before_the_start_sees_the_very_first_frame(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        assert (await wire.ask({"op": "subscribe", "args": ["orderbook.200.BTCUSDT"]}))["success"]
        await client.start()
        assert await wire.hear() == book()


async def test_stats_name_the_market_and_its_end(tmp_path):
    tape = write_tape(tmp_path / "short.rawlines", [(0, book()), (1, ticker()), (2, trade(2))])
    async with running(tape=tape) as client:
        await eventually(lambda: client.has_sent(3))
        stats = await eventually(lambda: _finished(client))
        assert stats["market_label"] == "recorded short"
        assert (stats["frames_sent"], stats["frames_injected"], stats["frames_total"]) == (3, 0, 3)
        page = await client.page("/v5/market/orderbook?category=linear&symbol=BTCUSDT")
        assert page["result"]["b"] == [["65000.00", "5.000"], ["64999.90", "3.000"]]
        before = (await client.page("/v5/market/time"))["result"]["timeNano"]
        assert int((await client.page("/v5/market/time"))["result"]["timeNano"]) > int(before)


async def _finished(client):
    stats = await client.stats()
    return stats if stats["finished"] else None


async def test_the_ledger_is_there_for_a_known_key_only(client):
    ledger = await client.page("/control/ledger?key=paper-router")
    assert ledger["wallet"] == "10000"
    async with client.session.get("/control/ledger?key=nobody") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "key nobody is not known"})
    async with client.session.get("/control/ledger") as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "query parameter key is missing"})


# signed REST


async def test_wallet_position_and_orders_are_read_with_a_signature(open_client):
    wallet = await open_client.get("/v5/account/wallet-balance", "accountType=UNIFIED&coin=USDT")
    assert wallet["retCode"] == 0
    assert wallet["result"]["list"][0]["coin"][0]["walletBalance"] == "10000"
    assert wallet["headers"]["X-Bapi-Limit"] == "50"
    assert wallet["headers"]["X-Bapi-Limit-Status"] == "49"
    assert int(wallet["headers"]["X-Bapi-Limit-Reset-Timestamp"]) == pytest.approx(open_client.now_ms, abs=2000)
    assert (await open_client.get("/v5/position/list", "category=linear&settleCoin=USDT"))["result"]["list"] == []


async def test_the_query_string_is_signed_exactly_as_it_was_sent(open_client):
    query = "settleCoin=USDT&category=linear&cursor=page_args%253D0%2526&limit=50"
    assert (await open_client.get("/v5/order/realtime", query))["retCode"] == 0


@pytest.mark.parametrize("spell", [quote, str])
async def test_a_cursor_counts_whether_or_not_its_percent_signs_were_encoded_again(open_client, spell):
    for n in range(3):
        await open_client.post("/v5/order/create", order(price="60000.00", orderLinkId=f"o{n}"))
    query = "category=linear&settleCoin=USDT&limit=2"
    first = (await open_client.get("/v5/order/realtime", query))["result"]
    second = (await open_client.get("/v5/order/realtime", f"{query}&cursor={spell(first['nextPageCursor'])}"))["result"]
    assert [each["orderLinkId"] for each in (*first["list"], *second["list"])] == ["o2", "o1", "o0"]
    assert second["nextPageCursor"] == ""


async def test_a_window_that_is_not_sent_is_signed_as_nothing(open_client):
    answer = await open_client.get("/v5/account/info", "", window=None)
    assert answer["retCode"] == 0


async def test_a_wrong_signature_is_10004_and_echoes_what_was_to_be_signed(open_client):
    stamp = str(open_client.now_ms)
    headers = {"X-BAPI-API-KEY": "paper-router", "X-BAPI-TIMESTAMP": stamp, "X-BAPI-SIGN": "0" * 64}
    async with open_client.session.get("/v5/order/realtime?category=linear", headers=headers) as answer:
        body = await answer.json()
    assert answer.status == 200
    assert body["retCode"] == 10004
    assert body["retMsg"] == f"error sign! origin_string[{stamp}paper-routercategory=linear]"


async def test_an_unknown_key_is_10003(open_client):
    assert (await open_client.as_key("nobody").get("/v5/account/info", ""))["retCode"] == 10003


async def test_a_read_only_key_may_ask_but_not_order(open_client):
    reader = open_client.as_key("paper-reader")
    assert (await reader.get("/v5/position/list", "category=linear&symbol=BTCUSDT"))["retCode"] == 0
    assert (await reader.post("/v5/order/create", order()))["retCode"] == 10005
    assert (await open_client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT"))["result"]["list"] == []


@pytest.mark.parametrize("off_by_ms", [-5002, 1500])
async def test_a_time_outside_the_window_is_10002_with_the_venues_words(client, off_by_ms):
    now = client.now_ms  # the market has not started: time stands
    answer = await client.get("/v5/account/info", "", timestamp=now + off_by_ms)
    assert answer["retCode"] == 10002
    assert answer["retMsg"] == (
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{now + off_by_ms}],server_timestamp[{now}],recv_window[5000]"
    )


async def test_without_authentication_headers_the_answer_is_401_without_an_envelope(client):
    async with client.session.get("/v5/order/realtime?category=linear") as answer:
        assert answer.status == 401
        assert answer.content_type == "text/plain"


async def test_the_status_of_the_system_is_public_and_plans_no_maintenance(client):
    assert (await client.page("/v5/system/status"))["result"] == {"list": []}


async def test_a_get_with_a_body_is_403(client):
    async with client.session.get("/v5/market/time", data=b"{}") as answer:
        assert answer.status == 403


async def test_another_verb_is_400(client):
    async with client.session.delete("/v5/order/create") as answer:
        assert answer.status == 400


@pytest.mark.parametrize("body", ["{", "[]", '"text"'])
async def test_a_body_that_is_no_object_is_10001(open_client, body):
    assert (await open_client.post("/v5/order/create", body))["retCode"] == 10001


@pytest.mark.parametrize("path", ["/v5/market/nothing", "/v5/nothing/here"])
async def test_an_unknown_path_is_10017(open_client, path):
    answer = await open_client.get(path, "")
    assert (answer["retCode"], answer["status"]) == (10017, 404)


async def test_a_key_describes_itself(client):
    ours = (await client.get("/v5/user/query-api", ""))["result"]
    theirs = (await client.as_key("paper-reader").get("/v5/user/query-api", ""))["result"]
    assert (ours["readOnly"], ours["permissions"]["ContractTrade"]) == (0, ["Order", "Position"])
    assert ours["permissions"]["Wallet"] == []
    assert (theirs["readOnly"], theirs["permissions"]["ContractTrade"]) == (1, [])
    assert ours["userID"] == theirs["userID"]
    assert ours["ips"] == ["*"]


async def test_beyond_the_limit_of_an_endpoint_the_answer_is_10006_until_the_reset(open_client):
    answers = await asyncio.gather(*(open_client.post("/v5/order/create", order(qty="0.001")) for _ in range(11)))
    assert sorted(answer["retCode"] for answer in answers) == [0] * 10 + [10006]
    (refused,) = (answer for answer in answers if answer["retCode"])
    headers = refused["headers"]
    assert (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]) == ("10", "0")
    assert refused["retMsg"].startswith("Too many visits!")
    reset = int(headers["X-Bapi-Limit-Reset-Timestamp"])
    assert refused["time"] < reset <= refused["time"] + 1000
    assert (await open_client.post("/v5/order/cancel-all", {"category": "linear", "symbol": "BTCUSDT"}))["retCode"] == 0
    await eventually(lambda: open_client.now_ms >= reset)
    assert (await open_client.post("/v5/order/create", order(qty="0.001")))["retCode"] == 0
    assert (await open_client.stats())["rate_limited"] == 1


async def test_a_batch_beyond_the_limit_is_cut_and_each_order_told(open_client):
    batch = {"category": "linear", "request": [order(qty="0.001", orderLinkId=f"b{n}") for n in range(12)]}
    answer = await open_client.post("/v5/order/create-batch", batch)
    codes = [item["code"] for item in answer["retExtInfo"]["list"]]
    assert answer["retCode"] == 0
    assert codes == [0] * 10 + [10006] * 2
    assert [item["orderLinkId"] for item in answer["result"]["list"]] == [f"b{n}" for n in range(12)]
    assert answer["result"]["list"][11]["orderId"] == ""
    assert (await open_client.stats())["orders_accepted"] == 10


async def test_limits_can_be_raised_by_setting(tmp_path):
    tape = dripping(tmp_path / "drip.rawlines")
    async with running(tape=tape, rate_limits={"order/create": 25}) as client:
        await eventually(lambda: client.has_sent(2))
        answers = [await client.post("/v5/order/create", order(qty="0.001")) for _ in range(25)]
        assert {answer["retCode"] for answer in answers} == {0}
        assert answers[0]["headers"]["X-Bapi-Limit"] == "25"


async def test_an_address_that_asks_too_often_gets_403_and_no_envelope(client):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_status(client, "/v5/market/time")) for _ in range(640)]
    statuses = [task.result() for task in tasks]
    assert statuses.count(200) == 600
    assert statuses.count(403) == 40
    assert await _status(client, "/control/clock") == 200


async def test_the_limit_per_address_can_be_switched_off(tmp_path):
    async with running(tape=dripping(tmp_path / "t.rawlines"), start="on_command", ip_limit=False) as client:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_status(client, "/v5/market/time")) for _ in range(640)]
        assert {task.result() for task in tasks} == {200}


async def _status(client, path):
    async with client.session.get(path) as answer:
        return answer.status


# public socket


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
    assert await _status(client, "/v5/private") == 400


# private socket


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


# orders end to end


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


async def test_a_repeated_link_id_is_110072_and_counted(open_client):
    first = await open_client.post("/v5/order/create", order(orderLinkId="once", price="60000.00", qty="0.001"))
    again = await open_client.post("/v5/order/create", order(orderLinkId="once", price="60000.00", qty="0.001"))
    assert (first["retCode"], again["retCode"]) == (0, 110072)
    assert (await open_client.stats())["duplicate_link_ids_refused"] == 1


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


def request(operation, body, *, now_ms, request_id="r1", window="5000"):
    header = {"X-BAPI-TIMESTAMP": str(now_ms), "X-BAPI-RECV-WINDOW": window}
    return {"reqId": request_id, "header": header, "op": operation, "args": [body]}


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


# whole markets


async def test_every_frame_of_the_recording_reaches_every_subscriber_byte_for_byte():
    tape = TapeSource(recorded("bybit/linear-20260809.rawlines.gz"))
    expected = [frame.raw.decode() for frame in tape.frames()]
    kinds = ("orderbook.200", "publicTrade", "tickers", "kline.1", "allLiquidation")
    topics = [f"{kind}.{symbol}" for kind in kinds for symbol in tape.symbols]
    async with running(tape=tape.path, rate=100.0, start="on_command") as client:
        async with (
            client.socket("/v5/public/linear", auth=False) as first,
            client.socket("/v5/public/linear", auth=False) as second,
        ):
            for wire in (first, second):
                assert (await wire.ask({"op": "subscribe", "args": topics}))["success"]
            await client.start()

            async def take(wire):
                return [await wire.raw() for _ in expected]

            one, two = await asyncio.gather(take(first), take(second))
        assert one == expected
        assert two == expected
        stats = await eventually(lambda: _finished(client))
        assert (stats["frames_sent"], stats["frames_total"], stats["frames_injected"]) == (2529, 2529, 0)


async def test_a_tape_with_planted_cascades_counts_them_apart():
    path = recorded("bybit/linear-20260809.rawlines.gz")
    async with running(tape=path, rate=500.0, inject=True, seed=3) as client:
        stats = await eventually(lambda: _finished(client))
        assert stats["frames_injected"] > 0
        assert stats["frames_sent"] - stats["frames_injected"] == 2529
        assert stats["frames_total"] == stats["frames_sent"]
        assert stats["market_label"] == "recorded linear-20260809 (cascades injected, seed 3)"


async def test_without_a_tape_the_market_is_generated_and_endless():
    async with running(rate=20.0) as client:
        await eventually(lambda: client.has_sent(200))
        stats = await client.stats()
        assert stats["frames_total"] is None
        assert stats["finished"] is False
        assert "generated" in stats["market_label"]
        page = await client.page("/v5/market/tickers?category=linear")
        assert {item["symbol"] for item in page["result"]["list"]} == {"BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"}


# as a process


def environment(**paper: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "NUMBA_CACHE_DIR") if name in os.environ}
    return kept | {f"UNDERTOW_PAPER__{name.upper()}": value for name, value in paper.items()}


def launch(**paper: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.venue"],
        env=environment(**paper),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_the_process_says_where_it_listens_answers_health_and_leaves_with_0_on_a_signal(tmp_path):
    process = launch(tape=str(dripping(tmp_path / "drip.rawlines")))
    try:
        port = json.loads(await asyncio.to_thread(process.stdout.readline))["port"]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            client = Client(session, None)
            await eventually(lambda: _is_ready(client), seconds=30)
            assert await _status(client, "/healthz") == 200
            version = await client.page("/version")
            assert (version["market"], version["spot_market"]) == ("recorded drip", spot_label(7))
            async with session.get("/metrics") as answer:
                assert 'service="venue"' in await answer.text()
            assert await _status(client, "/nothing") == 404
            await eventually(lambda: client.has_sent(2))
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors


async def _is_ready(client):
    try:
        return await _status(client, "/readyz") == 200
    except aiohttp.ClientError:
        return False


@pytest.mark.parametrize(
    ("paper", "words"),
    [
        ({"tape": "CORRUPT"}, ["UNDERTOW_PAPER__TAPE", "line 1", "record it again"]),
        ({"tape": "/nowhere/tape.gz"}, ["UNDERTOW_PAPER__TAPE", "/nowhere/tape.gz", "check the path"]),
        ({"inject": "true"}, ["UNDERTOW_PAPER__INJECT", "there is none"]),
    ],
)
def test_bad_settings_end_the_process_with_4_and_one_line(tmp_path, paper, words):
    corrupt = tmp_path / "corrupt.rawlines"
    corrupt.write_text("what is this\n")
    process = launch(**{name: value.replace("CORRUPT", str(corrupt)) for name, value in paper.items()})
    _, errors = process.communicate(timeout=60)
    lines = [line for line in errors.splitlines() if not line.startswith("{")]
    assert process.returncode == 4
    assert len(lines) == 1
    assert lines[0].startswith("undertow: configuration: ")
    for word in words:
        assert word in lines[0]
