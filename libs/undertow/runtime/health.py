"""The HTTP face of a service, as a bare ASGI application: health, readiness, metrics, version, and routes of its own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl

Handler = Callable[[bytes, dict[str, str]], Awaitable[tuple[int, bytes, str]]]
"""(body, query) -> (status, body, content type)."""

LARGEST_BODY: Final = 1 << 20
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"


class HealthApp:
    """Routes by exact method and path; what it does not know goes to the mounted application, if there is one."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], Handler] = {}
        self._rest: Callable[..., Awaitable[None]] | None = None
        self.on_error: Callable[[str, Exception], None] = lambda _path, _error: None

    def add_route(self, method: str, path: str, handler: Handler) -> None:
        """Answer `method path` with a handler.

        Raises:
            ValueError: it is answered already.
        """
        if (method, path) in self._routes:
            raise ValueError(f"{method} {path} is answered already")
        self._routes[method, path] = handler

    def add_asgi(self, app: Callable[..., Awaitable[None]]) -> None:
        """Give all other paths to a whole ASGI application.

        Raises:
            ValueError: there is one already.
        """
        if self._rest is not None:
            raise ValueError("an application is mounted already")
        self._rest = app

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer one request."""
        handler = self._routes.get((scope.get("method", ""), scope.get("path", "")))
        if handler is None and self._rest is not None:
            await self._rest(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        status, body, content_type = await self._answer(handler, scope, receive)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, handler: Handler | None, scope: dict[str, Any], receive: Callable[..., Any]
    ) -> tuple[int, bytes, str]:
        if handler is None:
            known = any(path == scope["path"] for _, path in self._routes)
            return (405, b"method not allowed", TEXT) if known else (404, b"not found", TEXT)
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if len(body) > LARGEST_BODY:
                return 413, b"body too large", TEXT
            if not part.get("more_body"):
                break
        try:
            return await handler(body, dict(parse_qsl(scope["query_string"].decode("latin-1"))))
        except Exception as error:  # noqa: BLE001 - a request must not end the service; it is counted and logged
            self.on_error(scope["path"], error)
            return 500, json.dumps({"error": type(error).__name__}).encode(), JSON
