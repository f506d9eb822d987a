"""Bybit v5 over HTTP: market data, and the truth about orders, fills and money.

Idempotent requests are repeated with growing pauses; `order/create` never is. Each signer estimates the venue's clock by itself, at first
use and again when the venue complains (10002). Before each request the budget is asked, and it is told what the venue says of its limits;
a 403 stops every request for the venue's ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from undertow.domain.instrument import Instrument
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.budget.ports import Budget
from undertow.exchange.bybit import parse, quota
from undertow.exchange.bybit.sign import signed_headers
from undertow.exchange.bybit.venue_clock import Reading, VenueClock, estimate
from undertow.exchange.errors import (
    AccessError,
    AlreadySoError,
    BadAnswerError,
    BannedError,
    ClockSkewError,
    OutcomeUnknownError,
    RateLimitedError,
    VenueBusyError,
    VenueError,
)
from undertow.exchange.models import (
    AccountInfo,
    KeyInfo,
    LedgerEntry,
    OrderRequest,
    Touch,
    VenueExecution,
    VenueOrder,
    VenuePosition,
    Wallet,
)
from undertow.exchange.ports import MarketRest, OrderEntry, TradingRest
from undertow.runtime.clock import Clock, wall_ns
from undertow.runtime.retry import backoff
from undertow.runtime.settings import Credentials

ENTRY_WINDOW_MS: Final = 1_000
WINDOW_MS: Final = 5_000
ATTEMPTS: Final = 4
_MOST_PAGES: Final = 200
_LONGEST_PAUSE_S: Final = 2.0
_SPAN_MS: Final = 7 * 86_400_000
_KEPT_MS: Final = 2 * 365 * 86_400_000  # older fills the venue has forgotten
_AHEAD_MS: Final = 60_000  # the venue may book a little after the time that we think it is
_NS_PER_MS: Final = 1_000_000
_SETTLE: Final = "USDT"
_TIME: Final = "/v5/market/time"
_CREATE: Final = "/v5/order/create"
_WRITING: Final = "http11.send_request_headers.started"  # httpcore's word for the moment before the first byte leaves

T = TypeVar("T")


class BybitHttp(MarketRest, TradingRest, OrderEntry):
    """One key's HTTP connection: public facts, the truth about the account and, as the fallback, order entry.

    Args:
        base_url: scheme and host.
        clock: market time.
        key: who signs; without it only public requests work.
        timeout_s: for one answer, wall seconds.
        attempts: how often a signed question is asked until it is answered.
        on_written: told (order id, wall ns) when an order's bytes go out.
        budget: asked before each request; by default only a ban stops us. Closed with the connection.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        key: Credentials | None = None,
        *,
        timeout_s: float = 5.0,
        attempts: int = ATTEMPTS,
        on_written: Callable[[str, int], None] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._clock = clock
        self._key = key
        self._on_written = on_written
        self._attempts = attempts
        self._budget = budget or Circuit(clock)
        self.venue_clock = VenueClock(clock)
        loopback = urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}
        self._client = httpx.AsyncClient(base_url=base_url, timeout=timeout_s, trust_env=not loopback)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()
        await self._budget.close()

    # market

    async def server_time_ns(self) -> int:
        """Give the venue's clock."""
        return parse.read(_server_time_ns, await self.get(_TIME, {}), _TIME)

    async def read_clock(self) -> Reading:
        """Ask once for the venue's time; waiting for our turn is no part of the way there.

        Raises:
            VenueError: it could not be had.
        """
        await quota.turn(self._budget.acquire, _endpoint(_TIME), self.venue_clock, patience_s=None)
        sent_ns = self._clock.now_ns()
        result = await self._exchange("GET", _TIME, {}, signed=False)
        received_ns = self._clock.now_ns()
        return Reading(sent_ns, received_ns, parse.read(_server_time_ns, result, _TIME))

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        """Give the filters; all pages when no symbol is named."""
        path = "/v5/market/instruments-info"
        if not symbols:
            return await self._pages(path, {"category": "linear", "limit": "1000"}, parse.instrument, signed=False)
        found: list[Instrument] = []
        for symbol in symbols:
            result = await self.get(path, {"category": "linear", "symbol": symbol})
            found += [parse.read(parse.instrument, item, path) for item in result.get("list") or ()]
        return found

    async def touch(self, symbol: str) -> Touch:
        """Give a contract's best prices, asked for once: they are stale soon."""
        path = "/v5/market/tickers"
        result = await self.get(path, {"category": "linear", "symbol": symbol}, attempts=1)
        return parse.read(lambda r: parse.touch(r["list"][0]), result, path)

    async def mark_price(self, symbol: str) -> Decimal:
        """Give a contract's mark price, asked for once: the next look comes soon."""
        path = "/v5/market/tickers"
        result = await self.get(path, {"category": "linear", "symbol": symbol}, attempts=1)
        return parse.read(lambda r: parse.mark_price(r["list"][0]), result, path)

    async def get(self, path: str, params: Mapping[str, str], *, attempts: int = ATTEMPTS) -> dict[str, Any]:
        """Ask a public endpoint, up to so many times; give its `result`.

        Raises:
            VenueError: it could not be had.
        """
        return await self._idempotent("GET", path, params, signed=False, attempts=attempts)

    # orders

    async def create_order(self, request: OrderRequest, not_after_ns: int | None = None) -> str:
        """Send an order once, no later than `not_after_ns` by our clock; give the venue's id.

        Raises:
            TooLateError: it was too late; nothing was sent.
            VenueBusyError: not connected, nothing was sent.
            OutcomeUnknownError: sent, but there is no answer, or none that can be understood.
            VenueError: the venue's refusal.
        """
        window = WINDOW_MS if request.reduce_only else ENTRY_WINDOW_MS
        body = parse.order_body(request)
        if not self.venue_clock.is_known:
            try:
                await self._estimate_clock()
            except (OutcomeUnknownError, BadAnswerError) as error:
                raise VenueBusyError(0, f"nothing was sent, the venue's clock is not known: {error.message}") from None
        try:
            result = await self._once(
                "POST", _CREATE, body, window_ms=window, order_id=request.order_id, not_after_ns=not_after_ns
            )
            return parse.read(lambda r: str(r["orderId"]), result, _CREATE)
        except BadAnswerError as error:
            raise OutcomeUnknownError(error.code, error.message) from None

    async def cancel_order(self, symbol: str, order_id: str) -> None:
        """Ask for a cancel by our id."""
        await self._idempotent(
            "POST", "/v5/order/cancel", {"category": "linear", "symbol": symbol, "orderLinkId": order_id}
        )

    async def amend_order(self, symbol: str, order_id: str, price: str) -> None:
        """Move a resting order to another price."""
        body = {"category": "linear", "symbol": symbol, "orderLinkId": order_id, "price": price}
        await self._idempotent("POST", "/v5/order/amend", body)

    async def cancel_all(self, *, stops_too: bool = True) -> int:
        """Cancel every order of the settle coin, or only those that wait for no trigger; give how many the venue names."""
        body = {"category": "linear", "settleCoin": _SETTLE} | ({} if stops_too else {"orderFilter": "Order"})
        result = await self._idempotent("POST", "/v5/order/cancel-all", body)
        return len(result.get("list") or ())

    async def find_order(self, symbol: str, order_id: str) -> VenueOrder | None:
        """Look in order/realtime, then in order/history."""
        query = {"category": "linear", "symbol": symbol, "orderLinkId": order_id}
        for path in ("/v5/order/realtime", "/v5/order/history"):
            result = await self._idempotent("GET", path, query)
            for item in result.get("list") or ():
                found: VenueOrder = parse.read(parse.order, item, path)
                if found.order_id == order_id:
                    return found
        return None

    async def open_orders(self) -> list[VenueOrder]:
        """Give all open orders of the settle coin, conditional ones too."""
        query = {"category": "linear", "settleCoin": _SETTLE, "openOnly": "0", "limit": "50"}
        return await self._pages("/v5/order/realtime", query, parse.order)

    # fills, positions, money

    async def executions(self, *, since_ns: int, order_id: str = "") -> list[VenueExecution]:
        """Give executions since a time, oldest first."""
        query = {"category": "linear", "limit": "100"}
        if order_id:
            query["orderLinkId"] = order_id
        found = await self._history("/v5/execution/list", query, parse.execution, since_ns)
        return sorted(found, key=lambda each: each.executed_ns)

    async def positions(self) -> list[VenuePosition]:
        """Give positions that are not flat."""
        query = {"category": "linear", "settleCoin": _SETTLE, "limit": "200"}
        found = await self._pages("/v5/position/list", query, parse.position)
        return [each for each in found if each.qty]

    async def position(self, symbol: str) -> list[VenuePosition]:
        """Give a symbol's positions, flat ones too: two in hedge mode."""
        return await self._pages("/v5/position/list", {"category": "linear", "symbol": symbol}, parse.position)

    async def wallet(self) -> Wallet:
        """Give the settle coin's balance."""
        path = "/v5/account/wallet-balance"
        result = await self._idempotent("GET", path, {"accountType": "UNIFIED", "coin": _SETTLE})
        return parse.read(lambda r: parse.wallet(r["list"][0], _SETTLE), result, path)

    async def ledger(self, *, since_ns: int) -> list[LedgerEntry]:
        """Give transaction-log rows since a time, oldest first."""
        query = {"accountType": "UNIFIED", "currency": _SETTLE, "limit": "50"}
        return await self._history("/v5/account/transaction-log", query, parse.ledger_entry, since_ns)

    async def set_stop_loss(self, symbol: str, stop_loss: str) -> None:
        """Set the position's full-size stop by mark price; unchanged is success."""
        body = {"category": "linear", "symbol": symbol, "tpslMode": "Full", "positionIdx": 0}
        await self._idempotent(
            "POST", "/v5/position/trading-stop", body | {"stopLoss": stop_loss, "slTriggerBy": "MarkPrice"}
        )

    async def set_leverage(self, symbol: str, leverage: str) -> None:
        """Set both sides' leverage; already so is success."""
        body = {"category": "linear", "symbol": symbol, "buyLeverage": leverage, "sellLeverage": leverage}
        await self._idempotent("POST", "/v5/position/set-leverage", body)

    async def account_info(self) -> AccountInfo:
        """Give margin mode and kind of account."""
        path = "/v5/account/info"
        return parse.read(parse.account_info, await self._idempotent("GET", path, {}), path)

    async def key_info(self) -> KeyInfo:
        """Give what the key may do."""
        path = "/v5/user/query-api"
        return parse.read(parse.key_info, await self._idempotent("GET", path, {}), path)

    # how

    async def _history(self, path: str, query: Mapping[str, str], what: Callable[[Any], T], since_ns: int) -> list[T]:
        # a request spans at most seven days; one without an end would stop that long (or less) after its begin
        if not self.venue_clock.is_known:
            sent = self._clock.now_ns()
            venue_ns = await self.server_time_ns()
            self.venue_clock.learn(sent, self._clock.now_ns(), venue_ns)
        now_ms = self.venue_clock.now_ms()
        begin_ms, end_ms = max(since_ns // _NS_PER_MS, now_ms - _KEPT_MS), now_ms + _AHEAD_MS
        found: list[T] = []
        while begin_ms < end_ms:
            until_ms = min(begin_ms + _SPAN_MS, end_ms)
            span = {"startTime": str(begin_ms), "endTime": str(until_ms)}
            found += reversed(await self._pages(path, {**query, **span}, what))
            begin_ms = until_ms + 1
        return found

    async def _pages(
        self, path: str, query: Mapping[str, str], what: Callable[[Any], T], *, signed: bool = True
    ) -> list[T]:
        found: list[T] = []
        cursor = ""
        for _ in range(_MOST_PAGES):
            page = await self._idempotent(
                "GET", path, {**query, **({"cursor": cursor} if cursor else {})}, signed=signed
            )
            items = page.get("list") or ()
            found += [parse.read(what, item, path) for item in items]
            before, cursor = cursor, page.get("nextPageCursor") or ""
            if not cursor or not items or cursor == before:
                return found
        raise BadAnswerError(0, f"{path} has more than {_MOST_PAGES} pages")

    async def _idempotent(
        self, method: str, path: str, params: Mapping[str, Any], *, signed: bool = True, attempts: int | None = None
    ) -> dict[str, Any]:
        pauses = backoff(0.1, 2.0)
        attempts = attempts or self._attempts
        for attempt in range(1, attempts + 1):
            try:
                return await self._once(method, path, params, signed=signed)
            except AlreadySoError:
                return {}
            except VenueError as error:
                if attempt == attempts or not parse.is_retryable(error):
                    raise
                pause = next(pauses)
                if isinstance(error, RateLimitedError):
                    market_s = (error.retry_at_ns - self.venue_clock.now_ns()) / 1e9
                    pause = max(pause, market_s / self._clock.rate)
                await asyncio.sleep(min(pause, _LONGEST_PAUSE_S))
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        signed: bool = True,
        window_ms: int = WINDOW_MS,
        order_id: str = "",
        not_after_ns: int | None = None,
    ) -> dict[str, Any]:
        if signed and self._key is None:
            raise AccessError(10003, f"{path} needs an API key, and none was given")
        if signed and not self.venue_clock.is_known:
            await self._estimate_clock()
        patience_s = window_ms / 1_000 if order_id else None
        await quota.turn(
            self._budget.acquire, _endpoint(path), self.venue_clock, patience_s=patience_s, not_after_ns=not_after_ns
        )
        departure = self._departure(order_id, not_after_ns) if order_id else None
        return await self._exchange(method, path, params, signed=signed, window_ms=window_ms, departure=departure)

    async def _exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        signed: bool,
        window_ms: int = WINDOW_MS,
        departure: Callable[[str, Mapping[str, Any]], Awaitable[None]] | None = None,
    ) -> dict[str, Any]:
        query = urlencode(params) if method == "GET" else ""
        content = b"" if method == "GET" else msgspec.json.encode(params)
        headers = {"Content-Type": "application/json"} if content else {}
        if signed and self._key is not None:
            headers |= signed_headers(self._key, self.venue_clock.now_ms(), window_ms, query or content.decode())
        request = self._client.build_request(
            method,
            f"{path}?{query}" if query else path,
            content=content,
            headers=headers,
            extensions={"trace": departure} if departure else {},
        )
        try:
            answer = await self._client.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise VenueBusyError(0, f"{path} could not be sent: {type(error).__name__} {error}") from None
        except httpx.HTTPError as error:
            raise OutcomeUnknownError(0, f"{path} was not answered: {type(error).__name__} {error}") from None
        return self._result(path, answer)

    def _result(self, path: str, answer: httpx.Response) -> dict[str, Any]:
        status = answer.status_code
        if status == httpx.codes.FORBIDDEN:
            self._budget.ban()
            raise BannedError(
                status, "the venue bans our address: too many requests, a blocked region, or a GET with a body"
            )
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise OutcomeUnknownError(status, f"{path}: {answer.reason_phrase}")
        if status == httpx.codes.UNAUTHORIZED:
            raise AccessError(status, f"{path}: the authentication headers are missing or wrong")
        if status != httpx.codes.OK:
            raise BadAnswerError(status, f"{path}: {answer.text[:200]}")
        try:
            body = msgspec.json.decode(answer.content)
            code, message = int(body["retCode"]), str(body.get("retMsg", ""))
        except (LookupError, AttributeError, TypeError, ValueError, RecursionError):
            raise BadAnswerError(status, f"{path} answered {answer.text[:200]!r}") from None
        quota.tell(self._budget, _endpoint(path), answer.headers, code, self.venue_clock)
        if code:
            reset = parse.whole(answer.headers.get(quota.RESET))
            error = parse.error_for(code, message, self.venue_clock.now_ns(), reset)
            if isinstance(error, ClockSkewError):
                self.venue_clock.doubt()
            elif isinstance(error, BannedError):
                self._budget.ban()
            raise error
        result = body.get("result") or {}
        if not isinstance(result, dict):
            raise BadAnswerError(status, f"{path} answered the result {str(result)[:200]}")
        return result

    def _departure(
        self, order_id: str, not_after_ns: int | None
    ) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
        # asked after the connection is made, which may take long
        async def departing(event: str, about: Mapping[str, Any]) -> None:
            if event != _WRITING or about["request"].method == b"CONNECT":  # of a proxy's tunnel
                return
            self.venue_clock.refuse_late(not_after_ns)
            if self._on_written:
                self._on_written(order_id, wall_ns())

        return departing

    async def _estimate_clock(self) -> None:
        self.venue_clock.take(estimate([await self.read_clock()]))


def _endpoint(path: str) -> str:
    return path.removeprefix("/v5/")


def _server_time_ns(result: Mapping[str, Any]) -> int:
    return int(result["timeNano"])
