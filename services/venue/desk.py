"""Where signed requests arrive, over HTTP or the trade socket: limits first, then the core.

What the core answers goes back, what happened goes to the private sockets. What is refused before the limiter (for a permission, say) costs
nothing and is told how the budget stands; the protocol page says of no refusal whether it has the headers (our inference).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from services.venue.answers import Answer, PrivateEvent, Refusal
from services.venue.clock import VenueClock
from services.venue.gate import require_symbols, require_unified, require_write
from services.venue.keys import ApiKey
from services.venue.limits import EndpointLimits, Grant
from services.venue.refusals import TOO_MANY, TOO_MANY_TEXT, RateRefusal, bad_parameter
from undertow.domain.time import NS_PER_MS

_LISTS: Final = frozenset({"order/realtime", "order/history", "execution/list", "position/list", "position/closed-pnl"})
_OTHER_CATEGORIES: Final = frozenset({"spot", "inverse", "option"})
"""An account here has nothing in them, and whoever asks is told so."""
_BATCH: Final = "-batch"
_CREATE: Final = "order/create-batch"


class Core(Protocol):
    """What the desk asks of the venue's core."""

    def post(self, uid: str, path: str, body: dict[str, Any], now_ns: int) -> Answer:
        """Change something."""
        ...

    def get(self, uid: str, path: str, params: dict[str, str], now_ns: int) -> Answer:
        """Ask something."""
        ...


@dataclass(slots=True)
class Tally:
    """What clients asked for, counted since the start."""

    requests: int = 0
    rate_limited: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and the limiter's word on it."""

    answer: Answer
    grant: Grant


@dataclass(slots=True)
class Desk:
    """Serves every account.

    Attributes:
        core: the venue itself.
        clock: market time.
        limits: per account and endpoint.
        publish: takes what happened to an account.
        tally: counts.
    """

    core: Core
    clock: VenueClock
    limits: EndpointLimits
    publish: Callable[[Sequence[PrivateEvent]], None]
    tally: Tally = field(default_factory=Tally)

    def look(self, key: ApiKey, path: str, params: Mapping[str, str]) -> Reply:
        """Answer a GET; 10028 for a classic account.

        Raises:
            RateRefusal: beyond the limit.
        """
        try:
            require_unified(key, path)
        except Refusal as refusal:
            return Reply(refusal.answer(), self.standing(key, path))
        endpoint = path.removeprefix("/v5/")
        grant = self._take(key, endpoint, 1)
        if endpoint == "user/query-api":
            origin_ms = self.clock.reading.origin_ns // NS_PER_MS
            return Reply(Answer(result=key.describe(origin_ms, self.clock.now_ms())), grant)
        if endpoint in _LISTS and params.get("category") in _OTHER_CATEGORIES:
            return Reply(Answer(result={"category": params["category"], "nextPageCursor": "", "list": []}), grant)
        answer = self.core.get(key.uid, path, dict(params), self.clock.now_ns())
        self._tell(answer)
        return Reply(answer, grant)

    def perform(self, key: ApiKey | None, path: str, body: object) -> Reply:
        """Answer a POST or its twin on the trade socket.

        10001 for a body that is no object, 10005 without the permission, 10024, 10027, 10028 or 10029 for an account that may not.

        Raises:
            Refusal: 10007 without a key.
            RateRefusal: beyond the limit.
        """
        try:
            writer, checked, orders = _checked(key, path, body)
        except Refusal as refusal:
            if key is None:
                raise
            return Reply(refusal.answer(), self.standing(key, path))
        endpoint = path.removeprefix("/v5/")
        if orders is None:
            grant = self._take(writer, endpoint, 1)
            answer = self.core.post(writer.uid, path, checked, self.clock.now_ns())
        else:
            grant = self._take(writer, endpoint, len(orders))
            granted = {**checked, "request": orders[: grant.allowed]}
            answer = self.core.post(writer.uid, path, granted, self.clock.now_ns())
            if answer.ret_code == 0 and grant.allowed < len(orders):
                answer = _with_refused(answer, orders[grant.allowed :], checked.get("category", ""), endpoint)
        self._tell(answer)
        return Reply(answer, grant)

    def standing(self, key: ApiKey, path: str) -> Grant:
        """Say how an account's budget for an endpoint stands."""
        endpoint = path.removeprefix("/v5/")
        return self.limits.take(key.uid, endpoint, 0, self.clock.pace_ns(), vip_level=key.owner.vip_level)

    def _tell(self, answer: Answer) -> None:
        if answer.events:
            self.publish(answer.events)

    def _take(self, key: ApiKey, endpoint: str, wanted: int) -> Grant:
        self.tally.requests += 1
        vip_level = key.owner.vip_level
        grant = self.limits.take(key.uid, endpoint, wanted, self.clock.pace_ns(), vip_level=vip_level)
        if not grant.allowed:
            self.tally.rate_limited += 1
            raise RateRefusal(grant)
        return grant


def _checked(key: ApiKey | None, path: str, body: object) -> tuple[ApiKey, dict[str, Any], list[Any] | None]:
    """Give who may make a request, its body, and, of a batch, its orders."""
    writer = require_write(key, path)
    require_unified(writer, path)
    if not isinstance(body, dict):
        raise bad_parameter("params error: the body is not a JSON object")
    require_symbols(writer, body)
    if not path.endswith(_BATCH):
        return writer, body, None
    orders = body.get("request")
    if not isinstance(orders, list) or not orders:
        raise bad_parameter("params error: request is not a list of orders")
    return writer, body, orders


def _with_refused(answer: Answer, requests: Sequence[Any], category: str, endpoint: str) -> Answer:
    """Append the orders of a batch that the limiter cut off, each with its own 10006."""
    items = []
    for request in requests:
        asked = request if isinstance(request, dict) else {}
        item = {
            "category": category,
            "symbol": str(asked.get("symbol", "")),
            "orderId": str(asked.get("orderId", "")),
            "orderLinkId": str(asked.get("orderLinkId", "")),
        }
        items.append({**item, "createAt": ""} if endpoint == _CREATE else item)
    words = [{"code": TOO_MANY, "msg": TOO_MANY_TEXT}] * len(items)
    return Answer(
        ret_code=answer.ret_code,
        ret_msg=answer.ret_msg,
        result={**answer.result, "list": [*answer.result.get("list", []), *items]},
        ret_ext={**answer.ret_ext, "list": [*answer.ret_ext.get("list", []), *words]},
        events=answer.events,
    )
