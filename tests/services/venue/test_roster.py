from __future__ import annotations

import asyncio
import base64
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.venue.account_settings import AccountSettings
from tests.services.venue.little_market import Client, dripping, order, running
from tests.support import eventually
from undertow.runtime.errors import ConfigurationError


def account(uid: str = "200001", name: str = "bot", *, of_key: dict[str, Any] | None = None, **more: Any):
    key = {"key": name, "secret": f"{name}-secret", **(of_key or {})}
    return AccountSettings.model_validate({"uid": uid, "keys": [key], **more})


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)


@pytest.fixture
def venue(tmp_path):
    def start(*accounts, **paper):
        return running(tape=dripping(tmp_path / "drip.rawlines"), accounts=accounts, **paper)

    return start


async def ready(client: Client) -> Client:
    await eventually(lambda: client.has_sent(2))
    return client.as_key("bot")


async def test_an_account_may_pay_its_fees_in_another_coin(venue):
    coin = {"coin": "MNT", "price": "0.8", "balance": "10"}
    async with venue(account(fee_coin=coin)) as client:
        bot = await ready(client)
        taken = order(orderType="Market", timeInForce="IOC")
        assert (await bot.post("/v5/order/create", taken))["retCode"] == 0
        rows = (await bot.get("/v5/execution/list", "category=linear"))["result"]["list"]
        assert [(row["feeCurrency"], row["execFee"]) for row in rows] == [("MNT", "0.44687569")]
        listed = (await bot.get("/v5/account/transaction-log", "currency=MNT"))["result"]["list"]
        assert [row["change"] for row in listed] == ["-0.44687569", "10"]


async def test_every_account_has_its_own_money_fees_orders_and_stream(venue):
    async with venue(account(opening_balance="500", maker_rate="0.0001", taker_rate="0.0003")) as client:
        bot = await ready(client)
        async with client.socket("/v5/private") as theirs, bot.socket("/v5/private") as ours:
            for wire in (theirs, ours):
                await wire.ask({"op": "subscribe", "args": ["order"]})
            placed = await bot.post("/v5/order/create", order(price="60000.00", orderLinkId="mine"))
            assert placed["retCode"] == 0
            assert (await ours.until("order"))["data"][0]["orderLinkId"] == "mine"
            assert (await theirs.ask({"op": "ping"}))["op"] == "pong"
        wallet = await bot.get("/v5/account/wallet-balance", "accountType=UNIFIED")
        assert wallet["result"]["list"][0]["totalWalletBalance"] == "500"
        rates = (await bot.get("/v5/account/fee-rate", "category=linear&symbol=BTCUSDT"))["result"]["list"][0]
        assert (rates["makerFeeRate"], rates["takerFeeRate"]) == ("0.0001", "0.0003")
        assert (await client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT"))["result"]["list"] == []
        assert (await client.page("/control/ledger?key=bot"))["uid"] == "200001"


async def test_the_paper_account_is_as_it_was_beside_others(venue):
    async with venue(account()) as client:
        await ready(client)
        assert (await client.post("/v5/order/create", order(price="60000.00")))["retCode"] == 0
        assert (await client.page("/control/ledger?key=paper-router"))["uid"] == "100001"
        described = (await client.get("/v5/user/query-api", ""))["result"]
        assert (described["vipLevel"], described["deadlineDay"], described["ips"]) == ("No VIP", 90, ["*"])


async def test_a_key_shows_what_it_may_and_until_when(venue):
    of_key = {"ips": ["127.0.0.1"], "permissions": {"Wallet": ["AccountTransfer"]}, "note": "mover"}
    async with venue(account(of_key=of_key, vip_level=1, unified=False)) as client:
        bot = client.as_key("bot")
        described = (await bot.get("/v5/user/query-api", ""))["result"]
    assert described["permissions"]["Wallet"] == ["AccountTransfer"]
    assert described["permissions"]["ContractTrade"] == []
    assert (described["ips"], described["expiredAt"]) == (["127.0.0.1"], "1970-01-01T00:00:00Z")
    assert (described["vipLevel"], described["uta"], described["note"]) == ("VIP-1", 0, "mover")


async def test_a_key_without_the_permission_is_10005_where_it_is_needed_and_nowhere_else(venue):
    of_key = {"permissions": {"ContractTrade": ["Position"]}}
    leverage = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "5", "sellLeverage": "5"}
    async with venue(account(of_key=of_key)) as client:
        bot = await ready(client)
        assert (await bot.post("/v5/order/create", order()))["retCode"] == 10005
        assert (await bot.post("/v5/position/set-leverage", leverage))["retCode"] == 0
        assert (await bot.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT"))["retCode"] == 0
        async with bot.socket("/v5/trade") as wire:
            head = {"X-BAPI-TIMESTAMP": str(bot.now_ms)}
            reply = await wire.ask({"reqId": "1", "header": head, "op": "order.create", "args": [order()]})
            assert (reply["reqId"], reply["retCode"], reply["data"]) == ("1", 10005, {})


async def test_a_key_bound_to_another_address_is_10010_on_every_way_in(venue):
    async with venue(account(of_key={"ips": ["127.0.0.2"]})) as client:
        bot = client.as_key("bot")
        refused = await bot.get("/v5/account/info", "")
        assert (refused["retCode"], refused["status"]) == (10010, 200)
        async with bot.socket("/v5/trade") as wire:
            assert wire.auth_reply["retCode"] == 10010
        async with bot.socket("/v5/private") as wire:
            assert wire.auth_reply["success"] is False
            assert "Unmatched IP" in wire.auth_reply["ret_msg"]
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(client.session._base_url, connector=connector) as session:
            assert (await Client(session, client.venue, "bot").get("/v5/account/info", ""))["retCode"] == 0


async def test_a_key_past_its_end_in_market_time_is_33004(venue):
    ends_soon = "2026-08-09T21:27:00.400Z"  # 0.4 s after the origin of the little market
    async with venue(account(of_key={"expires": ends_soon})) as client:
        bot = client.as_key("bot")

        async def code():
            return (await bot.get("/v5/account/info", ""))["retCode"]

        assert await code() == 0
        await eventually(lambda: _is(code, 33004))


async def _is(code, wanted):
    return await code() == wanted


@pytest.mark.parametrize(
    ("more", "path", "asks", "changes"),
    [
        ({"standing": "banned"}, "/v5/account/info", 10008, 10008),
        ({"standing": "region"}, "/v5/account/info", 10009, 10009),
        ({"standing": "compliance"}, "/v5/account/info", 0, 10024),
        ({"standing": "trading_banned"}, "/v5/account/info", 0, 10027),
        ({"unified": False}, "/v5/position/list", 10028, 10028),
        ({"unified": False}, "/v5/account/info", 0, 10028),
    ],
)
async def test_what_the_venue_has_against_an_account_is_told_by_its_code(venue, more, path, asks, changes):
    async with venue(account(**more)) as client:
        bot = await ready(client)
        assert (await bot.get(path, "category=linear&symbol=BTCUSDT"))["retCode"] == asks
        assert (await bot.post("/v5/order/create", order(price="60000.00")))["retCode"] == changes


async def test_a_symbol_that_the_account_may_not_trade_is_10029_alone_and_in_a_batch(venue):
    limited = account(symbols=["BTCUSDT"])
    async with venue(limited) as client:
        bot = await ready(client)
        assert (await bot.post("/v5/order/create", order(price="60000.00")))["retCode"] == 0
        other = order(symbol="ETHUSDT")
        assert (await bot.post("/v5/order/create", other))["retCode"] == 10029
        batch = {"category": "linear", "request": [order(), other]}
        assert (await bot.post("/v5/order/create-batch", batch))["retCode"] == 10029


async def test_vip_limits_stand_in_the_headers_of_http_and_of_the_trade_socket(venue):
    async with venue(account(vip_level=2)) as client:
        bot = await ready(client)
        answer = await bot.post("/v5/order/create", order(price="60000.00"))
        assert answer["headers"]["X-Bapi-Limit"] == "40"
        async with bot.socket("/v5/trade") as wire:
            head = {"X-BAPI-TIMESTAMP": str(bot.now_ms)}
            body = order(price="60000.00")
            reply = await wire.ask({"header": head, "op": "order.create", "args": [body]})
        assert reply["header"]["X-Bapi-Limit"] == "40"
        assert set(reply["header"]) == {
            *("X-Bapi-Limit", "X-Bapi-Limit-Status", "X-Bapi-Limit-Reset-Timestamp"),
            *("Traceid", "Timenow"),
        }


async def test_a_key_may_sign_with_rsa(venue):
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    async with venue(account(of_key={"secret": "", "rsa_public_key": public})) as client:
        stamp = str(client.now_ms)
        signed = private.sign(f"{stamp}bot".encode(), PKCS1v15(), SHA256())

        async def info(signature: str) -> dict[str, Any]:
            head = {"X-BAPI-API-KEY": "bot", "X-BAPI-TIMESTAMP": stamp, "X-BAPI-SIGN": signature}
            async with client.session.get("/v5/account/info", headers=head) as answer:
                return await answer.json()

        assert (await info(base64.b64encode(signed).decode()))["retCode"] == 0
        assert (await info(base64.b64encode(signed[::-1]).decode()))["retCode"] == 10004
        assert (await info("no base64"))["retCode"] == 10004


async def test_the_501st_connection_in_five_minutes_is_403_in_plain_text(venue):
    async with venue(start="on_command") as client:

        async def connect() -> int:
            try:
                async with client.session.ws_connect("/v5/public/linear"):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

        statuses: list[int] = []
        for _ in range(11):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(connect()) for _ in range(46)]
            statuses += [task.result() for task in tasks]
        assert (statuses.count(101), statuses.count(403)) == (500, 6)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        head = {**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        async with client.session.get("/v5/private", headers=head) as answer:
            assert (answer.status, answer.content_type) == (403, "text/plain")
            assert "access too frequent" in await answer.text()


async def test_a_market_symbol_that_is_not_there_cannot_be_allowed(venue):
    with pytest.raises(ConfigurationError, match=r"\[0\].symbols names NOPEUSDT"):
        async with venue(account(symbols=["NOPEUSDT"])):
            pass
