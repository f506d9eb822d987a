"""The venue's HTTP face: public pages, signed requests, sockets, control and health on one port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, quote

import msgspec
from aiohttp import web

from services.venue.answers import NO_ROUTE, Refusal
from services.venue.clock import VenueClock
from services.venue.desk import Desk, Reply
from services.venue.faults.catalogue import CONNECT, PRIVATE, PUBLIC, REST, TRADE
from services.venue.gate import authenticate_http, window_left_ms
from services.venue.keys import KeyRing
from services.venue.limits import AddressLimits
from services.venue.mischief import Mischief
from services.venue.pages import MarketPages
from services.venue.private_socket import PrivateHub
from services.venue.public_socket import PublicHub
from services.venue.refusals import SERVER_ERROR, TOO_FREQUENT, HttpRefusal, RateRefusal, bad_parameter, envelope
from services.venue.session import Session
from services.venue.status_socket import StatusHub
from services.venue.trade_socket import TradeHub
from undertow.domain.time import NS_PER_MS

LARGEST_BODY: Final = 2**20
_PUBLIC: Final = ("/v5/market/", "/v5/system/")
_TIME: Final = "/v5/market/time"
_NO_ROUTE_STATUS: Final = HTTPStatus.NOT_FOUND  # beside the envelope; our inference
Survived = Callable[..., None]
Answered = tuple[dict[str, Any], Mapping[str, str]]
"""A body and headers."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """The kinds of socket, and the one that tells of maintenance."""

    public: PublicHub
    spot: PublicHub
    private: PrivateHub
    trade: TradeHub
    status: StatusHub

    def close(self) -> None:
        """Say goodbye to all clients."""
        for hub in (self.public, self.spot, self.private, self.trade, self.status):
            for session in list(hub.sessions):
                session.close(reason="the venue stops")


class Front:
    """Turns HTTP into calls and their outcomes into HTTP.

    Args:
        clock: market time.
        pages: public pages.
        desk: signed requests.
        ring: all keys.
        sockets: the WebSocket side.
        addresses: the limits per address; None switches them off.
        mischief: what goes wrong.
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
        mischief: Mischief,
        survived: Survived,
    ) -> None:
        self._clock = clock
        self._pages = pages
        self._desk = desk
        self._ring = ring
        self._sockets = sockets
        self._addresses = addresses
        self._mischief = mischief
        self._survived = survived

    def application(self, control: Sequence[web.RouteDef], health: Callable[..., Awaitable[None]]) -> web.Application:
        """Give the whole face; what is neither the venue's nor `control`'s goes to `health`, an ASGI application."""
        application = web.Application(client_max_size=LARGEST_BODY)
        application.add_routes(control)
        application.add_routes(
            [
                web.get("/v5/public/linear", self._socket(PUBLIC, self._market_join(self._sockets.public))),
                web.get("/v5/public/spot", self._socket(PUBLIC, self._market_join(self._sockets.spot))),
                web.get("/v5/public/misc/status", self._socket(PUBLIC, self._sockets.status.join)),
                web.get("/v5/private", self._socket(PRIVATE, self._sockets.private.join)),
                web.get("/v5/trade", self._socket(TRADE, self._sockets.trade.join)),
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
            headers = refusal.grant.headers(self._clock.stated_ms())
            body = envelope({}, self._clock.stated_ms(), code=refusal.code, message=refusal.message)
        except Refusal as refusal:
            body = envelope(refusal.result, self._clock.stated_ms(), code=refusal.code, message=refusal.message)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - one request must not end the venue; it is counted and logged
            self._survived("request_failed", error, path=request.path)
            body = envelope({}, self._clock.stated_ms(), code=SERVER_ERROR, message="Server error.")
        if body["retCode"] == NO_ROUTE:
            status = _NO_ROUTE_STATUS
        return web.Response(
            body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json"
        )

    async def _answered(self, request: web.Request) -> Answered:
        endpoint, key = request.path.removeprefix("/v5/"), request.headers.get("X-BAPI-API-KEY", "")
        fault = self._mischief.on_request(REST, endpoint, key, request.remote or "")
        if fault is None:
            return (await self._admitted(request))()
        return await self._mischief.serve(
            fault, request.transport, lambda: self._admitted(request), lambda: self._left_ms(request)
        )

    async def _admitted(self, request: web.Request) -> Callable[[], Answered]:
        """Check a request; give what is left to do."""
        query = request.raw_path.partition("?")[2]
        raw = await request.read()
        if request.method == "GET":
            if raw:
                raise HttpRefusal(HTTPStatus.FORBIDDEN, "403 Forbidden: a GET carries no body")
            params = _params(query)
            if request.path.startswith(_PUBLIC):
                return lambda: (self._page(request.path, params), {})
            key = authenticate_http(self._ring, request.headers, query, self._clock.stated_ms(), request.remote or "")
            return lambda: self._spell(self._desk.look(key, request.path, params))
        if request.method == "POST":
            if request.path.startswith(_PUBLIC):
                raise Refusal(NO_ROUTE, "Route not found.")
            signed = _text(raw)
            key = authenticate_http(self._ring, request.headers, signed, self._clock.stated_ms(), request.remote or "")
            return lambda: self._spell(self._desk.perform(key, request.path, _parsed(raw)))
        raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"400 Bad Request: {request.method} is not used here")

    def _left_ms(self, request: web.Request) -> int:
        if request.path.startswith(_PUBLIC):
            return 0
        stamp, window = (request.headers.get(f"X-BAPI-{name}", "") for name in ("TIMESTAMP", "RECV-WINDOW"))
        return window_left_ms(stamp, window, self._clock.stated_ms())

    def _page(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        stated_ns = self._clock.stated_ns()
        result = self._pages.answer(path, params, stated_ns if path == _TIME else self._clock.now_ns())
        if result is None:
            raise Refusal(NO_ROUTE, "Route not found.")
        return envelope(result, stated_ns // NS_PER_MS)

    def _spell(self, reply: Reply) -> Answered:
        answer, now_ms = reply.answer, self._clock.stated_ms()
        body = envelope(answer.result, now_ms, ret_ext=answer.ret_ext, code=answer.ret_code, message=answer.ret_msg)
        return body, reply.grant.headers(now_ms)

    def _market_join(self, hub: PublicHub) -> Callable[[str], Session]:
        def join(address: str) -> Session:
            if self._addresses is not None and hub.clients_of(address) >= self._addresses.market_connections:
                raise HttpRefusal(HTTPStatus.FORBIDDEN, TOO_FREQUENT)
            return hub.join(address)

        return join

    def _socket(
        self, where: str, join: Callable[[str], Session]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def admitted() -> Callable[[], None]:
            return lambda: None

        async def upgrade(request: web.Request) -> web.StreamResponse:
            if not web.WebSocketResponse().can_prepare(request):
                return web.Response(status=HTTPStatus.BAD_REQUEST, text="400 Bad Request: this is a WebSocket")
            address = request.remote or ""
            if self._addresses is not None and not self._addresses.connections.admits(address, self._clock.pace_ns()):
                return web.Response(status=HTTPStatus.FORBIDDEN, text=TOO_FREQUENT)
            fault = self._mischief.on_request(where, CONNECT, address=address)
            try:
                if fault is not None:
                    await self._mischief.serve(fault, request.transport, admitted, int)
                session = join(address)
            except HttpRefusal as refusal:
                return web.Response(status=refusal.status, text=refusal.text)
            return await session.serve(request)

        return upgrade


def _params(query: str) -> dict[str, str]:
    """Read a query; a cursor counts whether a client encoded its percent signs again, as it should, or sent it as it came (pybit)."""
    params = dict(parse_qsl(query, keep_blank_values=True))
    if "%" not in params.get("cursor", "%"):
        params["cursor"] = quote(params["cursor"], safe="")
    return params


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise bad_parameter("params error: the body is not UTF-8") from None


def _parsed(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw) if raw else {}
    except (msgspec.MsgspecError, RecursionError):
        raise bad_parameter("params error: the body is not JSON, or nested too deep") from None


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
