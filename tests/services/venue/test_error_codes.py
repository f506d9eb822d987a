"""The table of error codes holds: each code is provoked, in the documented shape, and the page in docs says how."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.services.venue.error_bench import ACCOUNTS, Bench, choice
from tests.services.venue.error_codes import HTTP, ROWS
from tests.services.venue.little_market import running
from tests.support import eventually

CAUSED = [row for row in ROWS if row.act is not None]
FAULTS = [row for row in ROWS if row.act is None]
STATED = {
    *(0, -1, 429, 10000, 10001, 10002, 10003, 10004, 10005, 10006, 10007, 10008, 10009, 10010, 10014, 10016, 10017),
    *(10018, 10024, 10027, 10028, 10029, 33004, 110001, 110003, 110004, 110005, 110006, 110007, 110008, 110009, 110010),
    *(110012, 110013, 110014, 110017, 110020, 110021, 110023, 110024, 110025, 110026, 110027, 110028, 110029, 110032),
    *(110040, 110042, 110043, 110044, 110045, 110051, 110052, 110053, 110059, 110064, 110066, 110072, 110074, 110079),
    *(110086, 110090, 110092, 110093, 110094, 110103, 110118, 110120, 110121, 110123, 110125, 30208, 30209, 34036),
    *(34040, 40004),
}
"""Of the protocol page for linear contracts; the codes of spot (170xxx) are not said here."""
ON_TRADE = {20001, 10004, 10001, 20006, 10403, 10404, 10429, 10003, 10016, 10019, 20003, 10007}
PAGE = Path(__file__).parents[3] / "docs" / "venue.md"


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 1_000_000)


@pytest.fixture
def bench_of():
    """Start a venue on the odd market."""

    class _Bench:
        def __init__(self, **paper):
            self._choice = choice()
            self._running = running(choice=self._choice, accounts=ACCOUNTS, **paper)

        async def __aenter__(self):
            client = await self._running.__aenter__()
            await eventually(lambda: client.has_sent(6))
            return Bench(client, self._choice.source)

        async def __aexit__(self, *error):
            await self._running.__aexit__(*error)

    return _Bench


def test_no_code_of_the_protocol_page_is_missing():
    assert {row.code for row in ROWS if row.where == "REST"} | {10007} == STATED
    assert {row.code for row in ROWS if row.where == "trade"} == ON_TRADE


@pytest.mark.parametrize("row", CAUSED, ids=lambda row: f"{row.where}-{row.code}")
async def test_a_stated_cause_provokes_its_code(bench_of, row):
    async with bench_of(**row.paper) as bench:
        answer = await row.act(bench)
    assert answer["retCode"] == row.code
    assert re.fullmatch(row.words, answer["retMsg"])
    check_shape(row, answer)


def check_shape(row, answer):
    if row.where == "REST":
        assert answer["status"] == row.status
        assert answer["headers"]["Content-Type"].startswith("application/json")
        assert set(answer) - {"headers", "status"} == {"retCode", "retMsg", "result", "retExtInfo", "time"}
        assert (type(answer["time"]), answer["retExtInfo"]) == (int, {})
        assert row.code == 0 or answer["result"] == {}
        if row.act is not None and row.code in range(110001, 110066):
            assert {"X-Bapi-Limit", "X-Bapi-Limit-Status", "X-Bapi-Limit-Reset-Timestamp"} <= set(answer["headers"])
    elif answer["op"] == "auth":
        assert set(answer) == {"reqId", "retCode", "retMsg", "op", "connId"}
    else:
        assert set(answer) == {"reqId", "retCode", "retMsg", "op", "data", "retExtInfo", "header", "connId"}
        assert answer["data"] == {}
        assert {"Traceid", "Timenow"} <= set(answer["header"])


async def test_every_other_code_comes_from_the_fault_api(bench_of):
    async with bench_of(rate_limits={"order/create": 1000}) as bench:
        for row in FAULTS:
            rest = row.where == "REST"
            await bench.fault(
                action="refuse",
                where="rest" if rest else "trade",
                endpoint="order/create" if rest else "order.create",
                code=row.code,
                count=1,
            )
            answer = await (bench.create() if rest else bench.trade(bench.request()))
            assert answer["retCode"] == row.code
            assert answer["retMsg"]
            check_shape(row, answer)


async def test_in_a_batch_each_order_beyond_the_limit_has_its_own_10006(bench_of):
    async with bench_of() as bench:
        orders = [{"symbol": "BTCUSDT", "orderId": f"none-{n}"} for n in range(12)]
        answer = await bench.post("order/cancel-batch", "plain", category="linear", request=orders)
    assert answer["retCode"] == 0
    assert [item["code"] for item in answer["retExtInfo"]["list"]] == [110001] * 10 + [10006] * 2
    assert [item["orderId"] for item in answer["result"]["list"]][-2:] == ["none-10", "none-11"]


async def test_answers_below_the_envelope_have_their_http_status(bench_of):
    async with bench_of() as bench:
        session, signed = bench.client.session, bench.key("bot").headers("")

        async def status(method: str, path: str, **more) -> tuple[int, str]:
            async with session.request(method, path, **more) as answer:
                return answer.status, answer.content_type

        await bench.fault(action="http", where="rest", endpoint="order/history", status=429, text="slow down", count=1)
        asked = {
            400: await status("DELETE", "/v5/order/create"),
            401: await status("GET", "/v5/account/info"),
            403: await status("GET", "/v5/account/info", data=b"{}", headers=signed),
            404: await status("GET", "/v5/nothing/here", headers=signed),
            429: await status("GET", "/v5/order/history", headers=signed),
        }
    json = {404: "application/json"}
    assert asked == {code: (code, json.get(code, "text/plain")) for code in HTTP}


def test_the_page_in_docs_has_the_same_table():
    lines = ["| code | on | provoked by | how |", "|---|---|---|---|"]
    grouped: dict[tuple[str, str, str], list[int]] = {}
    for row in ROWS:
        grouped.setdefault((row.where, "its cause" if row.act else "`refuse`", row.how), []).append(row.code)
    lines += [
        f"| {', '.join(map(str, codes))} | {where} | {by} | {how} |" for (where, by, how), codes in grouped.items()
    ]
    lines += [
        f"| {status} | HTTP | {'`http`' if status == 429 else 'its cause'} | {how} |" for status, how in HTTP.items()
    ]
    table = "\n".join(lines)
    assert table in PAGE.read_text(), f"docs/venue.md must hold this table:\n{table}"
