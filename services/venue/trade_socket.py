"""The trade socket: orders in, acknowledgements out, each an echo of its request id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final
from uuid import uuid4

from services.venue.answers import Refusal
from services.venue.clock import VenueClock
from services.venue.desk import Desk, Reply
from services.venue.faults.catalogue import TRADE
from services.venue.faults.verdicts import Performed, RequestFault, Silence
from services.venue.gate import authenticate_socket, check_time, require_write, window_left_ms
from services.venue.keys import KeyRing
from services.venue.limits import AddressLimit, Grant
from services.venue.mischief import Mischief, refusal_of
from services.venue.private_socket import IDLE_SECONDS
from services.venue.refusals import (
    ALREADY_AUTHENTICATED,
    REPEATED_REQUEST_ID,
    SERVER_ERROR,
    TOO_MANY_FROM_ADDRESS,
    UNKNOWN_OPERATION,
    RateRefusal,
    bad_parameter,
)
from services.venue.session import Session
from undertow.domain.time import NS_PER_MS

PATHS: Final = {
    "order.create": "/v5/order/create",
    "order.amend": "/v5/order/amend",
    "order.cancel": "/v5/order/cancel",
    "order.create-batch": "/v5/order/create-batch",
    "order.amend-batch": "/v5/order/amend-batch",
    "order.cancel-batch": "/v5/order/cancel-batch",
}
_LONGEST_REQUEST_ID: Final = 36
_REMEMBERED_REQUEST_IDS: Final = 2_000


class TradeHub:
    """All trade sockets.

    Args:
        desk: where requests are performed.
        ring: all keys.
        clock: market time.
        addresses: the limit per address; None switches it off.
        mischief: what goes wrong.
        survived: takes an unexpected error.
    """

    def __init__(
        self,
        desk: Desk,
        ring: KeyRing,
        clock: VenueClock,
        addresses: AddressLimit | None,
        mischief: Mischief,
        survived: Callable[..., None],
    ) -> None:
        self.survived = survived
        self.mischief = mischief
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

    where: ClassVar[str] = TRADE

    def __init__(self, hub: TradeHub, address: str) -> None:
        super().__init__(IDLE_SECONDS, hub.mischief)
        self._hub = hub
        self._address = address
        self._joined_ns = hub.clock.now_ns()
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
        args = message.get("args")

        def log_in() -> None:
            self.key = authenticate_socket(self._hub.ring, args, self._hub.clock.stated_ms(), self._address)

        try:
            if self.key is not None:
                raise Refusal(ALREADY_AUTHENTICATED, "already authenticated")  # noqa: TRY301 - one way to say no
            if self._hub.mischief.log_in(TRADE, args, log_in):
                self._reply(message)
        except Refusal as refusal:
            self._reply(message, code=refusal.code, text=refusal.message)

    def _order(self, message: dict[str, Any], operation: str) -> None:
        key = self.key.key if self.key else ""
        fault = self._hub.mischief.on_request(TRADE, operation, key, joined_ns=self._joined_ns)
        try:
            work = self._admitted(message, operation) if fault is None else self._spoilt(fault, message, operation)
            if work is not None:
                self._tell(message, work())
        except Refusal as refusal:
            self._tell(message, refusal)
        except Exception as error:  # noqa: BLE001 - one request must not end the session; it is counted and logged
            self._hub.survived("request_failed", error, operation=operation)
            self._tell(message, Refusal(SERVER_ERROR, "Server error."))

    def _admitted(self, message: dict[str, Any], operation: str) -> Callable[[], Reply]:
        body = self._checked(message, operation)
        return lambda: self._hub.desk.perform(self.key, PATHS[operation], body)

    def _spoilt(self, fault: RequestFault, message: dict[str, Any], operation: str) -> Callable[[], Reply] | None:
        """Let a request meet its fault; give what is left to do and to tell."""
        mischief = self._hub.mischief
        if fault.performed is not Performed.NEVER:
            work = self._admitted(message, operation)
            if fault.performed is Performed.LATE:
                mischief.put_off(min(fault.late_ns, self._left_ns(message)), work)
            elif fault.answer is not None:
                mischief.hide(work)
            else:
                answer = work()
                mischief.put_off(fault.wait_ns, lambda: self._tell(message, answer))
        if fault.answer is None:
            return None
        if isinstance(fault.answer, Silence):
            if fault.answer.hangs_up:
                self.cut()
            return None
        raise refusal_of(fault.answer)

    def _tell(self, message: dict[str, Any], outcome: Reply | Refusal) -> None:
        grant: Grant | None = None
        if isinstance(outcome, Refusal):
            code, text, data, extra = outcome.code, outcome.message, {}, {}
            path = PATHS.get(str(message.get("op")))
            if isinstance(outcome, RateRefusal):
                grant = outcome.grant
            elif self.key is not None and path is not None:
                grant = self._hub.desk.standing(self.key, path)
        else:
            answer, grant = outcome.answer, outcome.grant
            code, text, data, extra = answer.ret_code, answer.ret_msg, answer.result, answer.ret_ext
        now_ms = self._hub.clock.stated_ms()
        header = {**(grant.headers(now_ms) if grant else {}), "Traceid": uuid4().hex, "Timenow": str(now_ms)}
        self._reply(message, code=code, text=text, more={"data": data, "retExtInfo": extra, "header": header})

    def _left_ns(self, message: dict[str, Any]) -> int:
        stamp, window = _stamps(message)
        return window_left_ms(stamp, window, self._hub.clock.stated_ms()) * NS_PER_MS

    def _checked(self, message: dict[str, Any], operation: str) -> object:
        limit = self._hub.addresses
        if limit is not None and not limit.admits(self._address, self._hub.clock.pace_ns()):
            raise Refusal(TOO_MANY_FROM_ADDRESS, "Exceed IP Rate Limit.")
        if operation not in PATHS:
            raise Refusal(UNKNOWN_OPERATION, f"op {operation!r} is not known")
        require_write(self.key)
        self._remember(message.get("reqId"))
        stamp, window = _stamps(message)
        check_time(stamp, window, self._hub.clock.stated_ms())
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


def _stamps(message: dict[str, Any]) -> tuple[str, str]:
    header = message.get("header")
    if not isinstance(header, dict):
        raise bad_parameter("params error: header is missing")
    return str(header.get("X-BAPI-TIMESTAMP", "")), str(header.get("X-BAPI-RECV-WINDOW", ""))
