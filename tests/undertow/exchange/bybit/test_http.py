from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp import web
from pydantic import SecretStr

from tests.support import eventually
from tests.undertow.exchange.bybit import proxies
from tests.undertow.exchange.bybit.test_parse import EXAMPLES, request
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.budget.limits import BAN_S
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.sign import signature
from undertow.exchange.errors import (
    AccessError,
    BadAnswerError,
    BannedError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    TooLateError,
    VenueBusyError,
    VenueError,
)
from undertow.runtime.clock import ManualClock
from undertow.runtime.settings import Credentials

KEY = Credentials(api_key="KEY", api_secret=SecretStr("secret"))
NOW_MS = 1_767_225_600_000
MS = 1_000_000
TIME = "/v5/market/time"


def envelope(result=None, code=0, message="OK"):
    return {"retCode": code, "retMsg": message, "result": {} if result is None else result, "retExtInfo": {}, "time": 1}


class LittleVenue:
    """Answers each path with what is queued for it, the last of it for ever; keeps what it was asked."""

    def __init__(self):
        self.queued = {TIME: [envelope({"timeSecond": "0", "timeNano": str(NOW_MS * MS)})]}
        self.asked = []
        self.text = ""

    def will(self, path, *answers):
        self.queued[path] = list(answers)

    def count(self, path):
        return sum(each.path == path for each in self.asked)

    async def answer(self, asked):
        self.text = await asked.text()
        self.asked.append(asked)
        queue = self.queued[asked.path]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if answer == "silence":
            await asyncio.sleep(0.5)  # longer than the client waits
        if answer == "cut":
            asked.transport.abort()
        if isinstance(answer, tuple):
            status, text, headers = (*answer, {})[:3]
            return web.Response(status=status, text=text, headers=headers)
        return web.json_response(answer)


@asynccontextmanager
async def served(venue):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", venue.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def venue():
    return LittleVenue()


@pytest.fixture
def clock():
    return ManualClock(NOW_MS * MS)


class Heard(Circuit):
    """Keeps what it is asked and told; its ten minutes are the market's."""

    def __init__(self, clock):
        super().__init__(clock, steady=lambda: clock.now_ns() / 1e9)
        self.asked, self.told = [], []
        self.turn = asyncio.Event()
        self.turn.set()

    async def acquire(self, endpoint):
        await super().acquire(endpoint)
        self.asked.append(endpoint)
        await self.turn.wait()

    def learn(self, endpoint, *, limit, pause_s=0.0):
        self.told.append((endpoint, limit, pause_s))


@pytest.fixture
async def http(venue, clock, monkeypatch):
    monkeypatch.setattr("undertow.exchange.bybit.http.backoff", lambda *_: iter([0.0] * 9))
    async with served(venue) as url:
        client = BybitHttp(url, clock, KEY, timeout_s=0.3, budget=Heard(clock))
        yield client
        await client.close()


CREATE, CANCEL, REALTIME = "/v5/order/create", "/v5/order/cancel", "/v5/order/realtime"
RATE = (200, json.dumps(envelope(code=10006)), {"X-Bapi-Limit-Reset-Timestamp": str(NOW_MS + 60)})


async def test_an_order_is_signed_over_the_bytes_that_are_sent(venue, http):
    venue.will(CREATE, envelope({"orderId": "v1", "orderLinkId": "id"}))
    written = []
    http._on_written = lambda order_id, at: written.append(order_id)
    assert await http.create_order(request()) == "v1"
    asked = venue.asked[-1]
    assert asked.headers["X-BAPI-SIGN"] == signature("secret", f"{NOW_MS}KEY1000{venue.text}")
    assert written == ["id"]
    await http.create_order(request(reduce_only=True))
    assert venue.asked[-1].headers["X-BAPI-RECV-WINDOW"] == "5000"


async def test_a_cursor_is_percent_encoded_again_and_signed_so(venue, http):
    row = EXAMPLES["rest_order"]
    venue.will(
        REALTIME,
        envelope({"list": [row], "nextPageCursor": "page_args%3Dxyz%26"}),
        envelope({"list": [{**row, "orderLinkId": "second"}], "nextPageCursor": ""}),
    )
    assert [order.order_id for order in await http.open_orders()] == ["bot1-000042", "second"]
    query = venue.asked[-1].raw_path.partition("?")[2]
    assert "cursor=page_args%253Dxyz%2526" in query
    assert venue.asked[-1].headers["X-BAPI-SIGN"] == signature("secret", f"{NOW_MS}KEY5000{query}")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("silence", OutcomeUnknownError),
        ("cut", OutcomeUnknownError),
        ((502, "<html>"), OutcomeUnknownError),
        ((429, ""), OutcomeUnknownError),
        ((200, "<html>"), OutcomeUnknownError),
        ((200, '{"retCode"'), OutcomeUnknownError),
        ((200, "[]"), OutcomeUnknownError),
        (envelope({}), OutcomeUnknownError),
        (envelope([1]), OutcomeUnknownError),
        (envelope(code=10000), OutcomeUnknownError),
        (envelope(code=10016), OutcomeUnknownError),
        (envelope(code=110072), OutcomeUnknownError),
        (envelope(code=110007), OrderRefusedError),
        (RATE, RateLimitedError),
        ((401, ""), AccessError),
        ((403, "<html>"), BannedError),
    ],
)
async def test_an_order_is_sent_once_whatever_comes_back(venue, http, answer, error):
    venue.will(CREATE, answer)
    with pytest.raises(error):
        await http.create_order(request())
    assert venue.count(CREATE) == 1


@pytest.mark.parametrize("answer", [(503, ""), "cut", (200, "<html>")])
async def test_an_order_is_not_sent_while_the_venues_clock_cannot_be_asked(venue, http, answer):
    venue.will(TIME, answer)
    with pytest.raises(VenueBusyError) as refused:
        await http.create_order(request())
    assert refused.value.code == 0
    assert venue.count(CREATE) == 0


async def test_an_entry_that_waits_for_its_turn_past_its_deadline_is_never_written(venue, http, clock):
    venue.will(CREATE, envelope({"orderId": "v1", "orderLinkId": "id"}))
    written = []
    http._on_written = lambda order_id, at: written.append(order_id)
    now_ns = clock.now_ns()
    await http.create_order(request(), now_ns)
    http._budget.turn.clear()
    late = asyncio.create_task(http.create_order(request(), now_ns + 100 * MS))
    await eventually(lambda: http._budget.asked.count("order/create") == 2)
    clock.advance(0.2)
    http._budget.turn.set()
    with pytest.raises(TooLateError, match=r"100\.0 ms"):
        await late
    with pytest.raises(TooLateError):
        await http.create_order(request(), now_ns)
    assert (venue.count(CREATE), written) == (1, ["id"])


async def test_an_entry_whose_connection_takes_past_its_deadline_is_never_written(venue, http, clock):
    backend = http._client._transport._pool._network_backend
    connect = backend.connect_tcp

    async def slow_connect(*args, **how):
        stream = await connect(*args, **how)
        clock.advance(0.2)
        return stream

    http.venue_clock.learn(NOW_MS * MS, NOW_MS * MS, NOW_MS * MS)
    backend.connect_tcp = slow_connect
    with pytest.raises(TooLateError):
        await http.create_order(request(), clock.now_ns() + 100 * MS)
    assert venue.asked == []
    venue.will(CREATE, envelope({"orderId": "v1", "orderLinkId": "id"}))
    assert await http.create_order(request(reduce_only=True)) == "v1"  # an exit has no deadline


async def test_an_order_that_could_not_be_sent_is_certainly_not_there(clock):
    http = BybitHttp("http://127.0.0.1:1", clock, KEY)
    with pytest.raises(VenueBusyError):
        await http.create_order(request())
    await http.close()


@pytest.mark.parametrize("answer", ["silence", "cut", (503, ""), RATE, envelope(code=10016), envelope(code=429)])
async def test_what_may_be_repeated_is_repeated(venue, http, answer):
    venue.will(CANCEL, answer, envelope())
    await http.cancel_order("ABCUSDT", "id")
    assert venue.count(CANCEL) == 2


async def test_repeating_ends(venue, http):
    venue.will(CANCEL, (503, ""))
    with pytest.raises(OutcomeUnknownError):
        await http.cancel_order("ABCUSDT", "id")
    assert venue.count(CANCEL) == 4


async def test_a_refusal_is_not_repeated(venue, http):
    venue.will(CANCEL, envelope(code=110001))
    with pytest.raises(VenueError):
        await http.cancel_order("ABCUSDT", "id")
    assert venue.count(CANCEL) == 1


async def test_a_rate_limit_is_waited_for(venue, http):
    venue.will(CANCEL, RATE, envelope())
    began = asyncio.get_running_loop().time()
    await http.cancel_order("ABCUSDT", "id")
    assert asyncio.get_running_loop().time() - began >= 0.055


async def test_a_refused_time_stamp_has_the_clock_estimated_anew(venue, http, clock):
    venue.will(CANCEL, envelope(), envelope(code=10002), envelope())
    await http.cancel_order("ABCUSDT", "id")
    clock.advance(-30)
    await http.cancel_order("ABCUSDT", "id")
    assert venue.count(TIME) == 2
    assert venue.asked[-1].headers["X-BAPI-TIMESTAMP"] == str(NOW_MS)


async def test_a_refused_order_has_the_clock_estimated_before_the_next(venue, http):
    venue.will(CREATE, envelope(code=10002), envelope({"orderId": "v"}))
    with pytest.raises(VenueError):
        await http.create_order(request())
    await http.create_order(request())
    assert venue.count(TIME) == 2


async def test_each_request_waits_for_its_turn_and_the_budget_hears_of_the_limits(venue, http, clock):
    clock.rate = 2.0
    headers = {"X-Bapi-Limit": "50", "X-Bapi-Limit-Status": "49", "X-Bapi-Limit-Reset-Timestamp": str(NOW_MS)}
    slow_down = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(NOW_MS + 40)}
    nothing = json.dumps(envelope({"list": []}))
    venue.will("/v5/position/list", (200, nothing, headers))
    venue.will(CANCEL, (200, json.dumps(envelope(code=10006)), slow_down), envelope(code=10006), envelope())
    await http.positions()
    await http.cancel_order("ABCUSDT", "id")
    assert http._budget.asked == ["market/time", "position/list", "order/cancel", "order/cancel", "order/cancel"]
    assert http._budget.told == [("position/list", 50, 0.0), ("order/cancel", 10, 0.02), ("order/cancel", 0, 0.5)]


@pytest.mark.parametrize(("reduce_only", "seconds"), [(False, "1 s"), (True, "5 s")])
async def test_an_order_whose_turn_does_not_come_within_its_window_is_not_sent(
    venue, http, monkeypatch, reduce_only, seconds
):
    await http.server_time_ns()
    http.venue_clock.learn(NOW_MS * MS, NOW_MS * MS, NOW_MS * MS)
    http._budget.turn.clear()
    monkeypatch.setattr("undertow.exchange.bybit.quota.asyncio.timeout", lambda _: asyncio.timeout_at(0))
    with pytest.raises(VenueBusyError, match=seconds) as refused:
        await http.create_order(request(reduce_only=reduce_only))
    assert refused.value.code == 0
    assert venue.count(CREATE) == 0


@pytest.mark.parametrize("answer", [(403, "<html>"), envelope(code=10018)])
async def test_a_ban_stops_every_request_for_ten_minutes_of_market_time(venue, http, clock, answer):
    venue.will(CANCEL, answer, envelope())
    for _ in range(3):
        with pytest.raises(BannedError):
            await http.cancel_order("ABCUSDT", "id")
    with pytest.raises(BannedError):
        await http.server_time_ns()
    assert venue.count(CANCEL) == 1
    clock.advance(BAN_S)
    await http.cancel_order("ABCUSDT", "id")


@pytest.mark.parametrize(
    "answer", [(200, "<html>"), (404, "no"), (200, '{"retCode":null}'), envelope("x"), envelope({})]
)
async def test_an_answer_that_makes_no_sense_is_a_bad_answer(venue, http, answer):
    venue.will(TIME, answer)
    with pytest.raises(BadAnswerError):
        await http.server_time_ns()
    venue.will("/v5/account/wallet-balance", envelope({"list": []}))
    venue.will(TIME, envelope({"timeNano": "1"}))
    with pytest.raises(BadAnswerError):
        await http.wallet()


async def test_not_modified_is_success(venue, http):
    venue.will("/v5/position/set-leverage", envelope(code=110043))
    await http.set_leverage("ABCUSDT", "10")
    venue.will("/v5/position/trading-stop", envelope(code=34040))
    await http.set_stop_loss("ABCUSDT", "1.1")


async def test_a_signed_request_needs_a_key(clock):
    http = BybitHttp("http://127.0.0.1:1", clock)
    with pytest.raises(AccessError):
        await http.positions()
    await http.close()


async def test_an_order_is_looked_up_in_the_history_too(venue, http):
    venue.will(REALTIME, envelope({"list": []}))
    venue.will("/v5/order/history", envelope({"list": [EXAMPLES["rest_order"]]}))
    assert (await http.find_order("ABCUSDT", "bot1-000042")).venue_order_id
    assert await http.find_order("ABCUSDT", "other") is None


async def test_executions_come_oldest_first_in_spans_of_at_most_seven_days(venue, http):
    row, path = EXAMPLES["rest_execution"], "/v5/execution/list"
    page = [{**row, "execId": name, "execTime": at} for name, at in (("c", "9"), ("b", "8"), ("a", "8"))]
    venue.will(path, envelope({"list": page}), envelope({"list": [{**row, "execId": "d", "execTime": "10"}]}))
    found = await http.executions(since_ns=(NOW_MS - 8 * 86_400_000) * MS, order_id="id")
    assert [each.exec_id for each in found] == ["a", "b", "c", "d"]
    first, second = (each.query for each in venue.asked if each.path == path)
    assert int(first["endTime"]) - int(first["startTime"]) == 7 * 86_400_000
    assert int(second["startTime"]) == int(first["endTime"]) + 1
    assert int(second["endTime"]) > NOW_MS


async def test_paging_that_does_not_end_is_a_bad_answer(venue, http, monkeypatch):
    monkeypatch.setattr("undertow.exchange.bybit.http._MOST_PAGES", 3)
    pages = [envelope({"list": [EXAMPLES["rest_position"]], "nextPageCursor": str(n)}) for n in range(5)]
    venue.will("/v5/position/list", *pages)
    with pytest.raises(BadAnswerError):
        await http.positions()


async def test_positions_that_are_flat_are_left_out_unless_asked_for(venue, http):
    flat = {**EXAMPLES["rest_position"], "size": "0", "side": ""}
    venue.will("/v5/position/list", envelope({"list": [flat, EXAMPLES["rest_position"]]}))
    assert [each.qty for each in await http.positions()] == [Decimal("10.5")]
    assert len(await http.position("ABCUSDT")) == 2


async def test_the_small_pages_are_read(venue, http):
    venue.will("/v5/order/cancel-all", envelope({"list": [{"orderId": "a"}], "success": "1"}))
    venue.will("/v5/account/wallet-balance", envelope({"list": [EXAMPLES["wallet"]]}))
    venue.will("/v5/account/info", envelope({"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 5}))
    venue.will("/v5/user/query-api", envelope({"readOnly": 1}))
    venue.will("/v5/account/transaction-log", envelope({"list": []}))
    venue.will("/v5/market/instruments-info", envelope({"list": []}))
    assert await http.cancel_all() == 1
    assert (await http.wallet()).wallet == 100
    assert (await http.account_info()).margin_mode == "REGULAR_MARGIN"
    assert (await http.key_info()).read_only
    assert await http.ledger(since_ns=NOW_MS * MS) == []
    assert await http.instruments() == await http.instruments(["ABCUSDT"]) == []


async def test_the_environments_socks_proxy_is_gone_through(venue, clock, monkeypatch):
    async with served(venue) as url, proxies.running("socks") as proxy:
        port = int(url.rpartition(":")[2])
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        client = BybitHttp(f"http://venue.test:{port}", clock)
        assert await client.server_time_ns() == NOW_MS * MS
        await client.close()
        assert proxy.asked == [("venue.test", port)]
