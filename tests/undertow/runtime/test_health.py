from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from undertow.runtime.health import HealthApp


async def ask(app: HealthApp, method: str, path: str, *parts: bytes, query: str = "") -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []
    waiting = [{"body": part, "more_body": True} for part in parts] + [{"body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await app({"type": "http", "method": method, "path": path, "query_string": query.encode()}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def echo(body: bytes, query: dict[str, str]) -> tuple[int, bytes, str]:
    return 200, body + query.get("more", "").encode(), "text/plain"


async def failing(_body: bytes, _query: dict[str, str]) -> tuple[int, bytes, str]:
    raise ValueError("secret words")


async def test_a_body_in_parts_and_a_query_reach_the_handler() -> None:
    app = HealthApp()
    app.add_route("POST", "/echo", echo)
    assert await ask(app, "POST", "/echo", b"a", b"b", query="more=%21") == (200, b"ab!")


async def test_unknown_paths_and_methods_are_told_apart() -> None:
    app = HealthApp()
    app.add_route("POST", "/echo", echo)
    assert (await ask(app, "GET", "/echo"))[0] == 405
    assert (await ask(app, "GET", "/other"))[0] == 404


async def test_a_body_has_a_limit() -> None:
    app = HealthApp()
    app.add_route("POST", "/echo", echo)
    assert (await ask(app, "POST", "/echo", b"x" * (1 << 20), b"x"))[0] == 413


async def test_a_failing_handler_is_reported_and_tells_no_details() -> None:
    app, told = HealthApp(), []
    app.on_error = lambda path, error: told.append((path, str(error)))
    app.add_route("GET", "/fail", failing)
    assert await ask(app, "GET", "/fail") == (500, b'{"error": "ValueError"}')
    assert told == [("/fail", "secret words")]


async def test_a_mounted_application_gets_the_rest() -> None:
    app = HealthApp()

    async def mounted(scope: dict[str, Any], _receive: Any, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    app.add_route("GET", "/own", echo)
    app.add_asgi(mounted)
    assert await ask(app, "GET", "/own") == (200, b"")
    assert await ask(app, "GET", "/page") == (299, b"/page")
    with pytest.raises(ValueError, match="mounted already"):
        app.add_asgi(mounted)


async def test_a_path_is_answered_by_one_handler() -> None:
    app = HealthApp()
    app.add_route("GET", "/x", echo)
    with pytest.raises(ValueError, match="GET /x is answered already"):
        app.add_route("GET", "/x", echo)
