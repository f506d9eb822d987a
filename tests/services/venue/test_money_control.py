"""Money and deleveraging by the control API, as its user sees it."""

from __future__ import annotations

import json

import pytest

from tests.services.venue.little_market import Client, book, order, running, ticker, write_tape
from tests.support import eventually


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)


@pytest.fixture
async def client(tmp_path):
    async with running(tape=write_tape(tmp_path / "still.rawlines", [(0, book()), (1, ticker())])) as each:
        await eventually(lambda: each.has_sent(2))
        yield each


async def command(client: Client, path: str, body: object) -> tuple[int, dict]:
    sent = body if isinstance(body, str) else json.dumps(body)
    async with client.session.post(f"/control/{path}", data=sent) as answer:
        return answer.status, await answer.json()


async def test_money_comes_in_and_goes_out_and_the_wallet_topic_says_so(client):
    async with client.socket("/v5/private") as wire:
        await wire.ask({"op": "subscribe", "args": ["wallet"]})
        status, ledger = await command(client, "transfer", {"key": "paper-router", "amount": "250.5"})
        assert (status, ledger["wallet"], ledger["transfers"]) == (200, "10250.5", "10250.5")
        assert (await wire.hear())["data"][0]["coin"][0]["walletBalance"] == "10250.5"
    status, ledger = await command(client, "transfer", {"key": "paper-router", "amount": "-250.5", "coin": "USDT"})
    assert (status, ledger["wallet"]) == (200, "10000")


async def test_a_position_is_deleveraged_and_the_execution_topic_says_so(client):
    placed = await client.post("/v5/order/create", order(orderType="Market", qty="0.010"))
    assert placed["retCode"] == 0
    async with client.socket("/v5/private") as wire:
        await wire.ask({"op": "subscribe", "args": ["execution"]})
        status, ledger = await command(client, "adl", {"key": "paper-router", "symbol": "BTCUSDT", "qty": "0.004"})
        assert (status, ledger["positions"]) == (200, {"BTCUSDT": "0.006"})
        execution = (await wire.hear())["data"][0]
        assert (execution["execType"], execution["execPrice"]) == ("AdlTrade", "65000.00")


MONEY = {"key": "paper-router", "amount": "1"}
ADL = {"key": "paper-router", "symbol": "BTCUSDT", "qty": "0.001"}


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("transfer", "rubbish", 400, "body"),
        ("transfer", "[]", 400, "body"),
        ("transfer", '{"key":' + "[" * 100_000, 400, "body"),
        ("transfer", {"amount": "1"}, 400, "key"),
        ("transfer", MONEY | {"key": "nobody"}, 404, "key"),
        ("transfer", MONEY | {"amount": 1}, 400, "amount"),
        ("transfer", MONEY | {"amount": "1e3"}, 400, "amount"),
        ("transfer", MONEY | {"amount": "-10000.1"}, 400, "amount"),
        ("transfer", MONEY | {"amount": "0.000000001"}, 400, "amount"),
        ("transfer", MONEY | {"amount": "1" * 40}, 400, "amount"),
        ("transfer", MONEY | {"amount": "0." + "1" * 40}, 400, "amount"),
        ("transfer", MONEY | {"coin": "BTC"}, 400, "coin"),
        ("transfer", MONEY | {"coin": 7}, 400, "coin"),
        ("transfer", MONEY | {"amuont": "1"}, 400, "amuont"),
        ("adl", ADL | {"symbol": "NOPE"}, 400, "symbol"),
        ("adl", ADL, 400, "positionIdx"),
        ("adl", ADL | {"positionIdx": "0"}, 400, "positionIdx"),
        ("adl", ADL | {"side": "Buy"}, 400, "side"),
        ("adl", ADL | {"qty": ""}, 400, "qty"),
    ],
)
async def test_a_bad_command_is_a_4xx_that_names_field_rule_and_remedy_and_changes_nothing(
    client, path, body, status, field
):
    answered, words = await command(client, path, body)
    assert (answered, words["field"]) == (status, field)
    assert words["error"] == f"{field}: {words['rule']}; {words['remedy']}"
    assert words["remedy"].startswith(("use ", "send ", "name "))
    assert (await client.page("/control/ledger?key=paper-router"))["wallet"] == "10000"
