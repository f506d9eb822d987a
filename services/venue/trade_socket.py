"""The trade socket: orders in, acknowledgements out, each an echo of its request id."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from services.venue.answers import Refusal
from services.venue.clock import VenueClock
from services.venue.desk import Desk
from services.venue.gate import authenticate_socket, check_time, require_write
from services.venue.keys import ApiKey, KeyRing
from services.venue.limits import AddressLimit, Grant
from services.venue.private_socket import IDLE_SECONDS
from services.venue.refusals import (
    ALREADY_AUTHENTICATED,
    REPEATED_REQUEST_ID,
    TOO_MANY_FROM_ADDRESS,
    UNKNOWN_OPERATION,
    RateRefusal,
    bad_parameter,
)
from services.venue.session import Session

PATHS: Final = {
    "order.create": "/v5/order/create",
    "order.amend": "/v5/order/amend",
    "order.cancel": "/v5/order/cancel",
    "order.create-batch": "/v5/order/create-batch",
    "order.amend-batch": "/v5/order/amend-batch",
    "order.cancel-batch": "/v5/order/cancel-batch",
}
_LONGEST_REQUEST_ID: Final = 36
_REMEMBERED_REQUEST_IDS: Final = 10_000


class TradeHub:
    """All trade sockets.

    Args:
        desk: where requests are performed.
        ring: all keys.
        clock: market time.
        addresses: the limit per address; None switches it off.
    """

    def __init__(self, desk: Desk, ring: KeyRing, clock: VenueClock, addresses: AddressLimit | None) -> None:
        self.addresses = addresses
        self.desk = desk
        self.ring = ring
        self.clock = clock
        self.sessions: dict[TradeSession, None] = {}

    def join(self, address: str) -> TradeSession:
        """Open a session for a client of that address."""
        session = TradeSession(self, address)
        self.sessions[session] = None
        return session


class TradeSession(Session):
    """One client of the trade socket."""

    def __init__(self, hub: TradeHub, address: str) -> None:
        super().__init__(IDLE_SECONDS)
        self._hub = hub
        self._address = address
        self._key: ApiKey | None = None
        self._request_ids: dict[str, None] = {}

    def hear(self, message: dict[str, Any]) -> None:
        """Answer auth, ping and the order operations."""
        operation = message.get("op")
        if operation == "ping":
            now = [str(self._hub.clock.now_ms())]
            self.say({"retCode": 0, "retMsg": "OK", "op": "pong", "data": now, "connId": self.conn_id})
        elif operation == "auth":
            self._authenticate(message)
        else:
            self._order(message, str(operation))

    def malformed(self) -> None:
        """Say that the text is no JSON object."""
        self._reply({}, code=10001, text="params error: not a JSON object")

    def left(self) -> None:
        """Forget the client."""
        self._hub.sessions.pop(self, None)

    def _authenticate(self, message: dict[str, Any]) -> None:
        try:
            if self._key is not None:
                raise Refusal(ALREADY_AUTHENTICATED, "already authenticated")  # noqa: TRY301 - one way to say no
            now_ms = self._hub.clock.now_ms()
            self._key = authenticate_socket(self._hub.ring, message.get("args"), now_ms, self._address)
        except Refusal as refusal:
            self._reply(message, code=refusal.code, text=refusal.message)
        else:
            self._reply(message)

    def _order(self, message: dict[str, Any], operation: str) -> None:
        grant: Grant | None = None
        data: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        code, text = 0, "OK"
        try:
            body = self._checked(message, operation)
            reply = self._hub.desk.perform(self._key, PATHS[operation], body)
        except RateRefusal as refusal:
            code, text, grant = refusal.code, refusal.message, refusal.grant
        except Refusal as refusal:
            code, text = refusal.code, refusal.message
        else:
            answer, grant = reply.answer, reply.grant
            code, text, data, extra = answer.ret_code, answer.ret_msg, answer.result, answer.ret_ext
        now_ms = self._hub.clock.now_ms()
        header = {**(grant.headers(now_ms) if grant else {}), "Traceid": uuid4().hex, "Timenow": str(now_ms)}
        self._reply(message, code=code, text=text, more={"data": data, "retExtInfo": extra, "header": header})

    def _checked(self, message: dict[str, Any], operation: str) -> object:
        limit = self._hub.addresses
        if limit is not None and not limit.admits(self._address, self._hub.clock.pace_ns()):
            raise Refusal(TOO_MANY_FROM_ADDRESS, "Exceed IP Rate Limit.")
        if operation not in PATHS:
            raise Refusal(UNKNOWN_OPERATION, f"op {operation!r} is not known")
        require_write(self._key)
        self._remember(message.get("reqId"))
        header = message.get("header")
        if not isinstance(header, dict):
            raise bad_parameter("params error: header is missing")
        stamp = str(header.get("X-BAPI-TIMESTAMP", ""))
        check_time(stamp, str(header.get("X-BAPI-RECV-WINDOW", "")), self._hub.clock.now_ms())
        match message.get("args"):
            case [body]:
                return body
            case _:
                raise bad_parameter("params error: args must hold exactly one item")

    def _remember(self, request_id: object) -> None:
        if request_id is None:
            return
        if not isinstance(request_id, str) or len(request_id) > _LONGEST_REQUEST_ID:
            raise bad_parameter(f"params error: reqId must be text of at most {_LONGEST_REQUEST_ID} characters")
        if request_id in self._request_ids:
            raise Refusal(REPEATED_REQUEST_ID, "reqId is repeated")
        self._request_ids[request_id] = None
        if len(self._request_ids) > _REMEMBERED_REQUEST_IDS:
            del self._request_ids[next(iter(self._request_ids))]

    def _reply(
        self, message: dict[str, Any], *, code: int = 0, text: str = "OK", more: dict[str, Any] | None = None
    ) -> None:
        echo = {"reqId": message["reqId"]} if "reqId" in message else {}
        head = {**echo, "retCode": code, "retMsg": text, "op": str(message.get("op", ""))}
        self.say({**head, **(more or {}), "connId": self.conn_id})
