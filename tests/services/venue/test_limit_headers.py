"""Which answers say how an account's budget for an endpoint stands."""

from __future__ import annotations

import pytest

from tests.services.venue.little_market import book, order, request, running, ticker, write_tape
from tests.support import eventually

NAMES = {"X-Bapi-Limit", "X-Bapi-Limit-Status", "X-Bapi-Limit-Reset-Timestamp"}
CREATE = "/v5/order/create"


@pytest.fixture
async def client(tmp_path):
    accounts = [
        {"uid": "2", "keys": [{"key": "watcher", "secret": "watcher-secret", "read_only": True}]},
        {"uid": "3", "keys": [{"key": "barred", "secret": "barred-secret"}], "standing": "compliance"},
        {"uid": "4", "keys": [{"key": "classic", "secret": "classic-secret"}], "unified": False},
        {"uid": "5", "keys": [{"key": "narrow", "secret": "narrow-secret"}], "symbols": ["BTCUSDT"]},
        {"uid": "6", "keys": [{"key": "banned", "secret": "banned-secret"}], "standing": "banned"},
    ]
    tape = write_tape(tmp_path / "t.rawlines", [(0, book()), (1, ticker()), (60_000, ticker(60_000))])
    async with running(tape=tape, accounts=accounts) as each:
        await eventually(lambda: each.has_sent(2))
        yield each


def told(headers) -> dict[str, str]:
    return {name: headers[name] for name in NAMES if name in headers}


@pytest.mark.parametrize(
    ("key", "code"), [("watcher", 10005), ("barred", 10024), ("classic", 10028), ("narrow", 10029)]
)
async def test_who_signed_rightly_is_told_the_budget_that_a_refusal_left_alone(client, key, code):
    for _ in range(2):
        answer = await client.as_key(key).post(CREATE, order(symbol="ETHUSDT"))
        assert answer["retCode"] == code
        assert set(told(answer["headers"])) == NAMES
        assert (answer["headers"]["X-Bapi-Limit"], answer["headers"]["X-Bapi-Limit-Status"]) == ("10", "10")


@pytest.mark.parametrize("body", ["[]", '{"category": "linear"}'])
async def test_a_body_that_is_none_costs_nothing_and_is_told_the_budget(client, body):
    answer = await client.post("/v5/order/create-batch", body)
    assert (answer["retCode"], answer["headers"]["X-Bapi-Limit-Status"]) == (10001, "10")


async def test_who_was_not_let_in_is_told_no_budget(client):
    nobody = await client.as_key("nobody").post(CREATE, order(symbol="ETHUSDT"))
    late = await client.post(CREATE, order(), timestamp=client.now_ms - 60_000)
    barred = await client.as_key("banned").post(CREATE, order(symbol="ETHUSDT"))
    assert [answer["retCode"] for answer in (nobody, late, barred)] == [10003, 10002, 10008]
    assert [told(answer["headers"]) for answer in (nobody, late, barred)] == [{}] * 3
    async with client.session.get("/v5/market/time") as answer:
        assert told(answer.headers) == {}


async def test_the_trade_socket_tells_the_budget_to_who_has_logged_in_and_to_nobody_else(client):
    async with client.socket("/v5/trade") as wire:
        stale = await wire.ask(request("order.create", order(), now_ms=client.now_ms - 60_000))
        assert (stale["retCode"], stale["header"]["X-Bapi-Limit-Status"]) == (10002, "10")
        unknown = await wire.ask(request("order.invent", order(), now_ms=client.now_ms, request_id="u"))
        assert (unknown["retCode"], told(unknown["header"])) == (10404, {})
    async with client.socket("/v5/trade", auth=False) as wire:
        stranger = await wire.ask(request("order.create", order(), now_ms=client.now_ms))
        assert (stranger["retCode"], told(stranger["header"])) == (10007, {})
