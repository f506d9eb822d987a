"""Signed REST over HTTP: who may ask, how often, and what is said to whom."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from tests.services.venue.little_market import (
    dripping,
    order,
    running,
)
from tests.support import eventually


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
        tasks = [group.create_task(client.status("/v5/market/time")) for _ in range(640)]
    statuses = [task.result() for task in tasks]
    assert statuses.count(200) == 600
    assert statuses.count(403) == 40
    assert await client.status("/control/clock") == 200


async def test_the_limit_per_address_can_be_switched_off(tmp_path):
    async with running(tape=dripping(tmp_path / "t.rawlines"), start="on_command", ip_limit=False) as client:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.status("/v5/market/time")) for _ in range(640)]
        assert {task.result() for task in tasks} == {200}


async def test_a_repeated_link_id_is_110072_and_counted(open_client):
    first = await open_client.post("/v5/order/create", order(orderLinkId="once", price="60000.00", qty="0.001"))
    again = await open_client.post("/v5/order/create", order(orderLinkId="once", price="60000.00", qty="0.001"))
    assert (first["retCode"], again["retCode"]) == (0, 110072)
    assert (await open_client.stats())["duplicate_link_ids_refused"] == 1
