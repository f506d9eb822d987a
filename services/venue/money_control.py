"""The part of the control API that moves an account's money and positions: transfers, and automatic deleveraging on command."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from services.venue.answers import CommandRefused, PrivateEvent
from services.venue.clock import VenueClock
from services.venue.control import as_json
from services.venue.core import VenueCore
from services.venue.keys import KeyRing

_NUMBER: Final = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
_TRANSFER: Final = frozenset({"key", "coin", "amount"})
_ADL: Final = frozenset({"key", "symbol", "positionIdx", "qty"})


class _UnknownKey(CommandRefused):
    """A key that no account has."""


class MoneyControl:
    """Answers `/control/transfer` and `/control/adl`; bad input is a 4xx that names field, rule and remedy and changes nothing.

    Args:
        core: the venue itself.
        ring: all keys; a key names its account.
        clock: market time.
        publish: takes what happened to an account.
    """

    def __init__(
        self, core: VenueCore, ring: KeyRing, clock: VenueClock, publish: Callable[[Sequence[PrivateEvent]], None]
    ) -> None:
        self._core = core
        self._ring = ring
        self._clock = clock
        self._publish = publish

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [web.post("/control/transfer", self.transfer), web.post("/control/adl", self.adl)]

    async def transfer(self, request: web.Request) -> web.Response:
        """Bring money in (amount above 0) or take it out; give the account's sums after it."""
        return await self._done(request, self._transfer)

    async def adl(self, request: web.Request) -> web.Response:
        """Deleverage a position by a quantity; give the account's sums after it."""
        return await self._done(request, self._deleverage)

    async def _done(
        self, request: web.Request, command: Callable[[dict[str, Any], str], list[PrivateEvent]]
    ) -> web.Response:
        try:
            body = _read(await request.read())
            uid = self._account(body)
            events = command(body, uid)
        except CommandRefused as refused:
            status = HTTPStatus.NOT_FOUND if isinstance(refused, _UnknownKey) else HTTPStatus.BAD_REQUEST
            words = {"field": refused.field, "rule": refused.rule, "remedy": refused.remedy}
            return as_json({"error": str(refused), **words}, status)
        self._publish(events)
        return as_json(self._core.ledger(uid))

    def _account(self, body: dict[str, Any]) -> str:
        key = self._ring.find(_text(body, "key"))
        if key is None:
            raise _UnknownKey("key", f"{body['key']!r} is not known", "use a key of the account, such as paper-router")
        return key.uid

    def _transfer(self, body: dict[str, Any], uid: str) -> list[PrivateEvent]:
        _check_fields(body, _TRANSFER)
        coin = _text(body, "coin") if "coin" in body else "USDT"
        return self._core.transfer(uid, coin, _number(body, "amount"), self._clock.now_ns())

    def _deleverage(self, body: dict[str, Any], uid: str) -> list[PrivateEvent]:
        _check_fields(body, _ADL)
        index = body.get("positionIdx", 0)
        if type(index) is not int:
            raise CommandRefused("positionIdx", "is not a whole number", "use 0, or 1 or 2 in hedge mode")
        symbol, qty = _text(body, "symbol"), _number(body, "qty")
        return self._core.deleverage(uid, symbol, index, qty, self._clock.now_ns())


def _read(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CommandRefused("body", f"is not a JSON object ({error})", 'send one such as {"key": "…"}') from None


def _check_fields(body: dict[str, Any], known: frozenset[str]) -> None:
    for name in body:
        if name not in known:
            raise CommandRefused(name, "is not a field here", f"use {', '.join(sorted(known))}")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise CommandRefused(name, "is not a text or missing", f'send "{name}": "…"')
    return value


def _number(body: dict[str, Any], name: str) -> Decimal:
    value = _text(body, name)
    if not _NUMBER.fullmatch(value):
        raise CommandRefused(name, f"{value!r} is not a decimal number", 'send a text such as "12.5"')
    return Decimal(value)
