"""The venue's HTTP face: public pages, signed requests, sockets, control and health on one port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from services.venue.answers import NO_ROUTE, Refusal
from services.venue.clock import VenueClock
from services.venue.control import Control
from services.venue.desk import Desk, Reply
from services.venue.gate import authenticate_http
from services.venue.keys import KeyRing
from services.venue.limits import AddressLimit
from services.venue.pages import MarketPages
from services.venue.private_socket import PrivateHub
from services.venue.public_socket import PublicHub
from services.venue.refusals import SERVER_ERROR, HttpRefusal, RateRefusal, bad_parameter, envelope
from services.venue.session import Session
from services.venue.trade_socket import TradeHub

LARGEST_BODY: Final = 2**20
TOO_FREQUENT: Final = "403 Forbidden: access too frequent"
_PUBLIC: Final = ("/v5/market/", "/v5/system/")
_NO_ROUTE_STATUS: Final = HTTPStatus.NOT_FOUND  # beside the envelope; our inference
Survived = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Sockets:
    """The kinds of socket."""

    public: PublicHub
    spot: PublicHub
    private: PrivateHub
    trade: TradeHub

    def close(self) -> None:
        """Say goodbye to all clients."""
        for hub in (self.public, self.spot, self.private, self.trade):
            for session in list(hub.sessions):
                session.close(reason="the venue stops")


@dataclass(frozen=True, slots=True)
class AddressLimits:
    """What an address may do over HTTP."""

    requests: AddressLimit
    connections: AddressLimit


class Front:
    """Turns HTTP into calls and their outcomes into HTTP.

    Args:
        clock: market time.
        pages: public pages.
        desk: signed requests.
        ring: all keys.
        sockets: the WebSocket side.
        addresses: the limits per address; None switches them off.
        survived: takes an unexpected error.
    """

    def __init__(
        self,
        clock: VenueClock,
        pages: MarketPages,
        desk: Desk,
        ring: KeyRing,
        sockets: Sockets,
        addresses: AddressLimits | None,
        survived: Survived,
    ) -> None:
        self._clock = clock
        self._pages = pages
        self._desk = desk
        self._ring = ring
        self._sockets = sockets
        self._addresses = addresses
        self._survived = survived

    def application(self, control: Control, health: Callable[..., Awaitable[None]]) -> web.Application:
        """Give the whole face; what is neither the venue's nor control's goes to `health`, an ASGI application."""
        application = web.Application(client_max_size=LARGEST_BODY)
        application.add_routes(control.routes())
        application.add_routes(
            [
                web.get("/v5/public/linear", self._socket(self._sockets.public.join)),
                web.get("/v5/public/spot", self._socket(self._sockets.spot.join)),
                web.get("/v5/private", self._socket(self._sockets.private.join)),
                web.get("/v5/trade", self._socket(self._sockets.trade.join)),
                web.route("*", "/v5/{page:.*}", self.rest),
                web.route("*", "/{page:.*}", _asgi(health)),
            ]
        )
        return application

    async def rest(self, request: web.Request) -> web.Response:
        """Answer one REST request."""
        address = request.remote or ""
        if self._addresses is not None and not self._addresses.requests.admits(address, self._clock.pace_ns()):
            return web.Response(status=HTTPStatus.FORBIDDEN, text=TOO_FREQUENT)
        headers: Mapping[str, str] = {}
        status: int = HTTPStatus.OK
        try:
            body, headers = await self._answered(request)
        except HttpRefusal as refusal:
            return web.Response(status=refusal.status, text=refusal.text)
        except RateRefusal as refusal:
            headers = refusal.grant.headers(self._clock.now_ms())
            body = envelope({}, self._clock.now_ms(), code=refusal.code, message=refusal.message)
        except Refusal as refusal:
            body = envelope(refusal.result, self._clock.now_ms(), code=refusal.code, message=refusal.message)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - one request must not end the venue; it is counted and logged
            self._survived("request_failed", error, path=request.path)
            body = envelope({}, self._clock.now_ms(), code=SERVER_ERROR, message="Server error.")
        if body["retCode"] == NO_ROUTE:
            status = _NO_ROUTE_STATUS
        return web.Response(
            body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json"
        )

    async def _answered(self, request: web.Request) -> tuple[dict[str, Any], Mapping[str, str]]:
        query = request.raw_path.partition("?")[2]
        raw = await request.read()
        if request.method == "GET":
            if raw:
                raise HttpRefusal(HTTPStatus.FORBIDDEN, "403 Forbidden: a GET carries no body")
            params = dict(parse_qsl(query, keep_blank_values=True))
            if request.path.startswith(_PUBLIC):
                return self._page(request.path, params), {}
            key = authenticate_http(self._ring, request.headers, query, self._clock.now_ms(), request.remote or "")
            return self._spell(self._desk.look(key, request.path, params))
        if request.method == "POST":
            if request.path.startswith(_PUBLIC):
                raise Refusal(NO_ROUTE, "Route not found.")
            signed = _text(raw)
            key = authenticate_http(self._ring, request.headers, signed, self._clock.now_ms(), request.remote or "")
            return self._spell(self._desk.perform(key, request.path, _parsed(raw)))
        raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"400 Bad Request: {request.method} is not used here")

    def _page(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        now_ns = self._clock.now_ns()
        result = self._pages.answer(path, params, now_ns)
        if result is None:
            raise Refusal(NO_ROUTE, "Route not found.")
        return envelope(result, now_ns // 1_000_000)

    def _spell(self, reply: Reply) -> tuple[dict[str, Any], Mapping[str, str]]:
        answer, now_ms = reply.answer, self._clock.now_ms()
        body = envelope(answer.result, now_ms, ret_ext=answer.ret_ext, code=answer.ret_code, message=answer.ret_msg)
        return body, reply.grant.headers(now_ms)

    def _socket(self, join: Callable[[str], Session]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def upgrade(request: web.Request) -> web.StreamResponse:
            if not web.WebSocketResponse().can_prepare(request):
                return web.Response(status=HTTPStatus.BAD_REQUEST, text="400 Bad Request: this is a WebSocket")
            address = request.remote or ""
            if self._addresses is not None and not self._addresses.connections.admits(address, self._clock.pace_ns()):
                return web.Response(status=HTTPStatus.FORBIDDEN, text=TOO_FREQUENT)
            return await join(address).serve(request)

        return upgrade


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise bad_parameter("params error: the body is not UTF-8") from None


def _parsed(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw) if raw else {}
    except msgspec.MsgspecError:
        raise bad_parameter("params error: the body is not JSON") from None


def _asgi(app: Callable[..., Awaitable[None]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Let a small ASGI application (health, metrics) answer requests of this server."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "query_string": request.raw_path.partition("?")[2].encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
        }
        await app(scope, receive, send)
        head, *parts = sent
        headers = {name.decode(): value.decode() for name, value in head["headers"]}
        return web.Response(
            status=head["status"], headers=headers, body=b"".join(part.get("body", b"") for part in parts)
        )

    return answer
