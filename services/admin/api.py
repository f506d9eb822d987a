"""The HTTP face: what can be asked, what can be commanded, and the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.middleware.base import RequestResponseEndpoint

from services.admin.core import View
from undertow.contracts.messages.control import Verb
from undertow.domain.state import TradingState
from undertow.trading.limits import CHANGEABLE, LimitError, read_limit

PAGE: Final = Path(__file__).with_name("page.html")
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Reason(BaseModel):
    """Who wants it, and why; the reason is kept."""

    model_config = ConfigDict(extra="forbid")

    who: Words = "console"
    why: Words


class Rearming(Reason):
    """With the token of the first call the second one rearms."""

    token: str = ""


class LimitChange(Reason):
    """Which risk limit, and what it is to be: a number as text, so that nothing is rounded on the way."""

    limit: Words
    value: Words


class GuardianUnreachableError(Exception):
    """No answer from the guardian."""


class Desk(Protocol):
    """What the face needs of the service behind it."""

    @property
    def view(self) -> View:
        """What is shown."""
        ...

    def wall_ns(self) -> int:
        """Wall time, for ages."""
        ...

    async def command(self, verb: Verb, who: str, why: str, *, limit: str = "", value: str = "") -> str:
        """Publish a command; give its id."""
        ...

    async def ask_guardian(self, path: str, body: dict[str, str]) -> tuple[int, Any]:
        """Post to the guardian; give its status and answer.

        Raises:
            GuardianUnreachableError: it does not answer.
        """
        ...


def make_api(desk: Desk) -> FastAPI:
    """Build the application."""
    api = FastAPI(title="Undertow", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")

    @api.middleware("http")
    async def secured(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers.update(SECURITY_HEADERS)
        return response

    @api.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> str:
        return PAGE.read_text(encoding="utf-8")

    _add_questions(api, desk)
    _add_commands(api, desk)
    _add_limits(api, desk)
    return api


def _add_questions(api: FastAPI, desk: Desk) -> None:
    @api.get("/api/status")
    async def status() -> dict[str, Any]:
        return desk.view.status(desk.wall_ns())

    @api.get("/api/live")
    async def live() -> dict[str, Any]:
        return desk.view.page(desk.wall_ns())

    @api.get("/api/why")
    async def why(minutes: Annotated[int, Query(ge=1, le=60)] = 5) -> dict[str, Any]:
        return desk.view.why(desk.wall_ns(), minutes)

    for name in ("positions", "orders", "executions", "trades", "liquidations", "signals", "commands", "equity"):
        api.add_api_route(f"/api/{name}", _shower(desk, name), methods=["GET"], name=name)


def _shower(desk: Desk, name: str) -> Callable[[], Awaitable[Any]]:
    async def show() -> Any:
        return getattr(desk.view, name)()

    return show


def _add_commands(api: FastAPI, desk: Desk) -> None:
    async def accepted(verb: Verb, reason: Reason) -> dict[str, Any]:
        return {"accepted": True, "verb": verb.value, "command_id": await desk.command(verb, reason.who, reason.why)}

    @api.post("/api/pause")
    async def pause(reason: Reason) -> dict[str, Any]:
        return await accepted(Verb.PAUSE, reason)

    @api.post("/api/resume")
    async def resume(reason: Reason) -> dict[str, Any]:
        if desk.view.status(desk.wall_ns())["state"] == TradingState.HALTED:
            raise HTTPException(409, "trading is HALTED, which resuming does not end; rearm")
        return await accepted(Verb.RESUME, reason)

    @api.post("/api/reduce")
    async def reduce(reason: Reason) -> dict[str, Any]:
        return await accepted(Verb.REDUCE, reason)

    @api.post("/api/flatten")
    async def flatten(reason: Reason) -> dict[str, Any]:
        return await accepted(Verb.FLATTEN, reason)

    @api.post("/api/kill")
    async def kill(reason: Reason) -> dict[str, Any]:
        answer = await _ask(desk, "/kill", {"who": reason.who, "why": reason.why})  # first, and without the bus
        return await accepted(Verb.HALT, reason) | {"guardian": answer}

    @api.post("/api/rearm")
    async def rearm(reason: Rearming) -> dict[str, Any]:
        answer = await _ask(desk, "/rearm", {"who": reason.who, "why": reason.why, "token": reason.token})
        if answer.get("rearmed"):
            return await accepted(Verb.REARM, reason) | answer
        return {"accepted": False, "next": "call again with this token"} | answer


def _add_limits(api: FastAPI, desk: Desk) -> None:
    @api.get("/api/limits")
    async def limits() -> dict[str, dict[str, str]]:
        return {
            name: {"least": str(bound.least), "most": str(bound.most), "unit": bound.unit}
            for name, bound in CHANGEABLE.items()
        }

    @api.post("/api/limits")
    async def limit(change: LimitChange) -> dict[str, Any]:
        try:
            read_limit(change.limit, change.value)
        except LimitError as error:
            raise HTTPException(422, str(error)) from error
        command_id = await desk.command(Verb.LIMIT, change.who, change.why, limit=change.limit, value=change.value)
        return {"accepted": True, "verb": Verb.LIMIT.value, "command_id": command_id}


async def _ask(desk: Desk, path: str, body: dict[str, str]) -> dict[str, Any]:
    try:
        status, answer = await desk.ask_guardian(path, body)
    except GuardianUnreachableError as error:
        raise HTTPException(502, f"the guardian does not answer: {error}") from error
    if status != 200:  # noqa: PLR2004 - HTTP
        raise HTTPException(status, answer.get("error", "refused") if isinstance(answer, dict) else str(answer))
    return dict(answer)
