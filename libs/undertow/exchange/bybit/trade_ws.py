"""Order entry over the trade socket (§9 of the protocol): one frame out, one answer back, matched by `reqId`.

An order whose answer does not come (time-out, lost connection) has an unknown outcome; it is never sent again here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException
from websockets.protocol import State

from undertow.exchange.budget.pace import Pace
from undertow.exchange.budget.ports import Budget
from undertow.exchange.bybit import parse, quota
from undertow.exchange.bybit.http import ENTRY_WINDOW_MS, WINDOW_MS
from undertow.exchange.bybit.sign import auth_request
from undertow.exchange.bybit.socket import Reconnects, authenticate, json_object, open_socket
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.errors import (
    AccessError,
    AlreadySoError,
    ClockSkewError,
    OutcomeUnknownError,
    VenueBusyError,
    VenueError,
)
from undertow.exchange.models import OrderRequest
from undertow.runtime.clock import wall_ns
from undertow.runtime.settings import Credentials

ANSWER_TIMEOUT_S: Final = 3.0
_DRAINING: Final = 10019


class BybitTradeSocket:
    """Implements `OrderEntry`; `run` keeps it connected.

    Args:
        url: of the trade socket.
        key: who trades.
        clock: the venue's clock, for time stamps and signatures.
        on_written: told (order id, wall ns) when an order's bytes were handed to the socket.
        budget: told what the venue says of the account's limits, which orders over HTTP share (§2.5); no order asks it. Heeded, and told,
            when the venue bans our address. None knows of neither.
        pace: asked for a turn before each request, and told the same limits.
    """

    def __init__(
        self,
        url: str,
        key: Credentials,
        clock: VenueClock,
        *,
        on_written: Callable[[str, int], None] | None = None,
        budget: Budget | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._url = url
        self._key = key
        self._clock = clock
        self._on_written = on_written
        self._budget = budget
        self._pace = pace
        self._hearers: tuple[quota.Counts, ...] = tuple(each for each in (budget, pace) if each is not None)
        self._connection: ClientConnection | None = None
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._count = 0

    @property
    def is_connected(self) -> bool:
        """True when an order can be sent now."""
        return self._connection is not None

    async def run(self) -> None:
        """Connect, authenticate, read answers; again after every loss, until cancelled.

        Raises:
            AccessError: the key is refused.
        """
        reconnects = Reconnects(self._budget)
        while True:
            await reconnects.may_connect()
            try:
                async with open_socket(self._url, budget=self._budget) as connection:
                    await authenticate(connection, auth_request(self._key, self._clock.now_ms(), "reqId"))
                    reconnects.connected()
                    self._connection = connection
                    await self._read(connection)
            except AccessError:
                raise
            except (OSError, TimeoutError, WebSocketException, VenueError):
                pass  # the loss is told to every pending request below; the next turn connects again
            finally:
                self._lost()
            await reconnects.pause()

    async def create_order(self, request: OrderRequest, not_after_ns: int | None = None) -> str:
        """Send an order once, no later than `not_after_ns` by our clock; give the venue's id.

        Raises:
            TooLateError: it was too late; nothing was sent.
            VenueBusyError: not connected, nothing was sent.
            OutcomeUnknownError: sent, but not answered.
            VenueError: the venue's refusal.
        """
        window = WINDOW_MS if request.reduce_only else ENTRY_WINDOW_MS
        body = parse.order_body(request)
        data = await self._request("order.create", body, window, order_id=request.order_id, not_after_ns=not_after_ns)
        if not isinstance(data, dict) or not data.get("orderId"):
            raise OutcomeUnknownError(0, f"order.create was accepted without an id: {str(data)[:200]}")
        return str(data["orderId"])

    async def cancel_order(self, symbol: str, order_id: str) -> None:
        """Ask for a cancel by our id."""
        await self._request(
            "order.cancel", {"category": "linear", "symbol": symbol, "orderLinkId": order_id}, WINDOW_MS
        )

    async def amend_order(self, symbol: str, order_id: str, price: str) -> None:
        """Move a resting order to another price."""
        body = {"category": "linear", "symbol": symbol, "orderLinkId": order_id, "price": price}
        with suppress(AlreadySoError):
            await self._request("order.amend", body, WINDOW_MS)

    async def _request(
        self, op: str, body: dict[str, Any], window_ms: int, *, order_id: str = "", not_after_ns: int | None = None
    ) -> Any:
        endpoint = op.replace(".", "/")
        if self._pace is not None and self.is_connected:
            patience_s = window_ms / 1_000
            await quota.turn(
                self._pace.acquire, endpoint, self._clock, patience_s=patience_s, not_after_ns=not_after_ns
            )
        connection = self._connection
        if connection is None or connection.state is not State.OPEN:
            raise VenueBusyError(0, "the trade socket is not connected; nothing was sent")
        self._clock.refuse_late(not_after_ns)  # signed and written without a pause from here
        self._count += 1
        request_id = f"r{self._count}"
        frame = {
            "reqId": request_id,
            "header": {"X-BAPI-TIMESTAMP": str(self._clock.now_ms()), "X-BAPI-RECV-WINDOW": str(window_ms)},
            "op": op,
            "args": [body],
        }
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = answer
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await connection.send(msgspec.json.encode(frame), text=True)
                if order_id and self._on_written:
                    self._on_written(order_id, wall_ns())
                reply = await answer
        except (TimeoutError, WebSocketException) as error:
            self._give_up(connection)
            raise OutcomeUnknownError(0, f"{op} was not answered: {type(error).__name__}") from None
        finally:
            self._pending.pop(request_id, None)
        code = reply.get("retCode")
        if not isinstance(code, int):
            raise OutcomeUnknownError(0, f"{op} was answered {str(reply)[:200]}")
        stated = reply.get("header")
        header = stated if isinstance(stated, dict) else {}
        for hearer in self._hearers:
            quota.tell(hearer, endpoint, header, code, self._clock)
        if code:
            reset = parse.whole(header.get(quota.RESET))
            refusal = parse.error_for(code, str(reply.get("retMsg", "")), self._clock.now_ns(), reset)
            if isinstance(refusal, ClockSkewError):
                self._clock.doubt()
            raise refusal
        return reply.get("data")

    def _give_up(self, connection: ClientConnection) -> None:
        # a line that does not answer one order would not answer the next: cut it, so that HTTP or a new line takes that one
        if self._connection is connection:
            self._connection = None
        connection.transport.abort()

    async def _read(self, connection: ClientConnection) -> None:
        async with asyncio.timeout(None) as limit:
            async for raw in connection:
                if self._answered(raw).get("retCode") == _DRAINING:
                    self._connection = None  # new requests wait for a new connection
                if self._connection is None:  # which is made when those under way are answered
                    waits = any(not answer.done() for answer in self._pending.values())
                    limit.reschedule(asyncio.get_running_loop().time() + (ANSWER_TIMEOUT_S if waits else 0.0))

    def _answered(self, raw: str | bytes) -> dict[str, Any]:
        frame = json_object(raw)
        answer = self._pending.get(str(frame.get("reqId", "")))
        if answer is not None and not answer.done():
            answer.set_result(frame)
        return frame

    def _lost(self) -> None:
        self._connection = None
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(OutcomeUnknownError(0, "the trade socket was lost before the answer"))
                answer.exception()  # seen, even if its request was cancelled meanwhile
