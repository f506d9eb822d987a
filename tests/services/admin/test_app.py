from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from services.admin.api import PAGE, make_api
from services.admin.app import AdminApp
from services.admin.settings import Settings
from tests.services.position_manager.facts import execution, stopped
from tests.support import eventually
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.control import Command, GuardianState
from undertow.contracts.streams import CONTROL, EXECUTIONS
from undertow.runtime.clock import ManualClock
from undertow.runtime.service import Runtime


class Outside:
    """Guardian, venue and services, as one HTTP transport."""

    def __init__(self):
        self.asked = []
        self.guardian_there = True
        self.kill_status = 200
        self.state = "ACTIVE"

    async def __call__(self, request):
        path = request.url.path
        if request.url.host == "guardian":
            if not self.guardian_there:
                raise httpx.ConnectError("refused")
            if path == "/state":
                return httpx.Response(200, json={"state": self.state, "reason": "", "heartbeat_age_ns": 5})
            self.asked.append((path, request.content.decode()))
            if path == "/rearm":
                body = {"rearmed": '"token":"tok"' in request.content.decode(), "token": "tok"}
                return httpx.Response(200, json=body)
            return httpx.Response(self.kill_status, json={"state": "HALTED", "error": "not now"})
        if path == "/control/stats":
            return httpx.Response(200, json={"market_label": "generated (seed 1)"})
        if path == "/version":
            return httpx.Response(200, json={"model_kind": "demonstration model", "model_hash": "f7b7"})
        if request.url.host == "sick":
            return httpx.Response(503, text="warming up")
        if request.url.host == "gone":
            raise httpx.ConnectTimeout("late")
        return httpx.Response(200, text="ready")


@pytest.fixture
async def world():
    outside, store = Outside(), Store()
    settings = Settings(
        bus={"url": "redis://127.0.0.1:1/0"},
        guardian={"url": "http://guardian"},
        clock={"url": "http://venue/control/clock"},
        admin={
            "services": {
                "venue": "http://venue",
                "a": "http://sick",
                "b": "http://gone",
                "model_server": "http://model",
            },
            "poll_seconds": 0.02,
        },
    )
    client = httpx.AsyncClient(transport=httpx.MockTransport(outside))
    app = AdminApp(Runtime("admin", settings, ManualClock(7)), settings, MemoryBus("admin/1", store), client)
    face = httpx.AsyncClient(transport=httpx.ASGITransport(app=make_api(app)), base_url="http://console")
    task = asyncio.create_task(app.run())
    yield app, face, MemoryBus("others/1", store), outside
    await stopped(task)
    await face.aclose()


async def commands(bus):
    return [d.message for d in await bus.tail(Topic(CONTROL, source="admin"), 1000) if isinstance(d.message, Command)]


async def test_what_is_published_before_and_after_the_start_is_shown_once(world):
    app, face, bus, _ = world
    await bus.publish(Topic(EXECUTIONS), execution("before"))
    await eventually(lambda: app.unready_reason() is None)
    await bus.publish(Topic(EXECUTIONS), execution("after"))
    await eventually(lambda: len(app.view.executions()) >= 2)
    shown = (await face.get("/api/executions")).json()
    assert [each["exec_id"] for each in shown] == ["after", "before"]


async def test_status_names_mode_market_and_each_services_health(world):
    app, face, _, _ = world
    await eventually(lambda: app.view.status(0)["services"])
    await eventually(lambda: app.view.status(0)["market"] and app.view.status(0)["model"])
    status = (await face.get("/api/status")).json()
    assert (status["mode"], status["market"]) == ("paper", "generated (seed 1)")
    assert status["model"] == "demonstration model (f7b7)"
    assert status["services"]["venue"] == "ready"
    assert status["services"]["a"] == "warming up"
    assert "does not answer" in status["services"]["b"]


async def test_the_guardians_state_is_copied_to_the_bus_while_it_answers(world):
    app, _, bus, outside = world
    topic = Topic(CONTROL, source="admin")

    async def copies():
        return [d for d in await bus.tail(topic, 1000) if isinstance(d.message, GuardianState)]

    await eventually(copies)
    outside.guardian_there = False
    await eventually(lambda: "does not answer" in app.view.status(0)["guardian"])
    before = len(await copies())
    await asyncio.sleep(0.06)  # three polls in which nothing may be published
    assert len(await copies()) == before


@pytest.mark.parametrize("verb", ["pause", "resume", "reduce", "flatten"])
async def test_a_command_with_a_reason_goes_to_the_control_stream(world, verb):
    _, face, bus, _ = world
    answer = await face.post(f"/api/{verb}", json={"who": "anna", "why": "news"})
    assert answer.status_code == 200
    (command,) = await commands(bus)
    assert (command.verb, command.who, command.why) == (verb, "anna", "news")
    assert answer.json()["command_id"] == command.command_id


@pytest.mark.parametrize("verb", ["pause", "resume", "reduce", "flatten", "kill", "rearm"])
@pytest.mark.parametrize("body", [{}, {"why": " "}, {"who": "", "why": "x"}, {"why": "x", "more": 1}])
async def test_without_a_reason_nothing_is_commanded(world, verb, body):
    _, face, bus, outside = world
    assert (await face.post(f"/api/{verb}", json=body)).status_code == 422
    assert await commands(bus) == []
    assert outside.asked == []


async def test_a_form_of_another_site_cannot_command(world):
    _, face, bus, _ = world
    answer = await face.post("/api/pause", content='{"why":"x"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422
    assert await commands(bus) == []


async def test_a_kill_reaches_the_guardian_first_and_then_the_stream(world):
    _, face, bus, outside = world
    answer = await face.post("/api/kill", json={"who": "anna", "why": "news"})
    assert answer.json()["guardian"]["state"] == "HALTED"
    assert outside.asked == [("/kill", '{"who":"anna","why":"news"}')]
    assert [each.verb for each in await commands(bus)] == ["halt"]


async def test_a_guardian_that_is_away_or_refuses_is_said_and_nothing_is_claimed(world):
    _, face, bus, outside = world
    outside.kill_status = 409
    refused = await face.post("/api/kill", json={"why": "news"})
    assert (refused.status_code, refused.json()["detail"]) == (409, "not now")
    outside.guardian_there = False
    assert (await face.post("/api/kill", json={"why": "news"})).status_code == 502
    assert await commands(bus) == []


async def test_a_risk_limit_is_changed_by_its_name(world):
    _, face, bus, _ = world
    body = {"who": "anna", "why": "thin books", "limit": "symbol_fraction", "value": "0.05"}
    assert (await face.post("/api/limits", json=body)).json()["accepted"]
    [command] = await commands(bus)
    assert (command.verb, command.limit, command.value) == ("limit", "symbol_fraction", "0.05")
    assert (await face.get("/api/limits")).json()["symbol_fraction"]["most"] == "0.10"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"limit": "symbol_fraction", "value": "0.11"}, "0.11 is outside its range; symbol_fraction is a number from"),
        ({"limit": "symbol_fraction", "value": "much"}, "'much' is no number"),
        ({"limit": "live_notional_usdt", "value": "9999"}, "'live_notional_usdt' is no limit that can be changed"),
        ({"limit": "symbol_fraction"}, "Field required"),
        ({"limit": "symbol_fraction", "value": "0.05", "why": ""}, "at least 1 character"),
        ({"limit": "symbol_fraction", "value": 0.05}, "valid string"),
    ],
)
async def test_a_risk_limit_that_cannot_be_is_refused_with_the_rule_and_told_to_nobody(world, change, words):
    _, face, bus, _ = world
    answer = await face.post("/api/limits", json={"why": "x", **change})
    assert answer.status_code == 422
    assert words in answer.text
    assert await commands(bus) == []


async def test_resuming_does_not_end_a_halt_and_says_so(world):
    app, face, bus, outside = world
    outside.state = "HALTED"
    await eventually(lambda: app.view.status(0)["state"] == "HALTED")
    refused = await face.post("/api/resume", json={"why": "go on"})
    assert (refused.status_code, await commands(bus)) == (409, [])
    assert "rearm" in refused.json()["detail"]


async def test_rearming_asks_twice(world):
    _, face, bus, _ = world
    first = (await face.post("/api/rearm", json={"why": "checked"})).json()
    assert (first["accepted"], first["token"]) == (False, "tok")
    assert await commands(bus) == []
    second = (await face.post("/api/rearm", json={"why": "checked", "token": first["token"]})).json()
    assert second["accepted"]
    assert [each.verb for each in await commands(bus)] == ["rearm"]


async def test_every_question_has_an_answer(world):
    _, face, _, _ = world
    names = "status live positions orders executions trades liquidations signals commands why equity"
    for name in names.split():
        assert (await face.get(f"/api/{name}")).status_code == 200, name
    assert (await face.get("/api/why?minutes=0")).status_code == 422


async def test_the_page_loads_nothing_from_elsewhere_and_never_writes_markup(world):
    _, face, _, _ = world
    answer = await face.get("/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    page = PAGE.read_text()
    assert answer.text == page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page)
