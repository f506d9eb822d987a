"""A live market: the public stream of another venue that speaks Bybit v5, passed through byte for byte.

Market time is wall time. A lost connection is made again, with growing pauses, and the fresh snapshots with which the upstream then
begins go on to our clients as snapshots; until then the last book stands. Orders are matched here, the upstream never hears of them.
A frame that cannot be played is dropped and counted (`live_check`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from structlog.stdlib import BoundLogger

from services.venue.clock import VenueClock
from services.venue.live_check import LiveCheck
from services.venue.market import Market
from undertow.contracts.metrics import FRAMES_DROPPED
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.bybit.public_ws import BybitPublicStream, Connected, Disconnected, SubscriptionRefusedError
from undertow.markets.instruments import risk_tiers_for
from undertow.markets.ports import MarketFrame
from undertow.matching.fills import PESSIMISTIC
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.metrics import Metrics
from undertow.runtime.settings import PREFIX

DEPTH: Final = 200
KLINE_INTERVALS: Final = ("1",)
_KINDS: Final = (
    f"orderbook.{DEPTH}",
    "publicTrade",
    "tickers",
    *(f"kline.{interval}" for interval in KLINE_INTERVALS),
    "allLiquidation",
)
_ANSWER_S: Final = 10.0
_VARIABLE: Final = f"{PREFIX}PAPER__UPSTREAM"


@dataclass(frozen=True, slots=True)
class LiveMarket:
    """What is known of a live market before it is followed.

    Attributes:
        url: of the upstream's public socket.
        instruments: its contracts.
    """

    url: str
    instruments: tuple[dict[str, Any], ...]

    @property
    def label(self) -> str:
        """What the mode line says."""
        return f"live {self.url} (passed through; orders are matched here)"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that are followed."""
        return tuple(item["symbol"] for item in self.instruments)

    @property
    def risk_tiers(self) -> tuple[dict[str, Any], ...]:
        """The shipped risk tiers of its symbols."""
        return risk_tiers_for(self.symbols)

    @property
    def book_depth(self) -> int:
        """Depth of the order book topics."""
        return DEPTH

    @property
    def kline_intervals(self) -> tuple[str, ...]:
        """Intervals of the kline topics."""
        return KLINE_INTERVALS

    @property
    def origin_ns(self) -> None:
        """Give None: it begins at the wall time of the start."""
        return


class UpstreamFeed:
    """The frames of a live market as they arrive, from the opening of our market on.

    Args:
        market: whose frames.
        clock: market time, which is wall time here.
        log: hears of lost and new connections, and of each kind of frame that is dropped.
        metrics: count these.

    Attributes:
        dropped: frames that could not be played, by reason.
    """

    ended: bool = False

    def __init__(self, market: LiveMarket, clock: VenueClock, log: BoundLogger, metrics: Metrics) -> None:
        self.dropped: dict[str, int] = {}
        self._market = market
        self._clock = clock
        self._log = log
        self._metrics = metrics
        requests = [[f"{kind}.{symbol}" for symbol in market.symbols] for kind in _KINDS]
        self._check = LiveCheck(market.instruments, itertools.chain(*requests), DEPTH)
        self._stream = BybitPublicStream(market.url, requests, budget=Circuit(clock))
        self._frames: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._why_not: str | None = "not connected yet"

    def take(self) -> MarketFrame | None:
        """Give the next frame that has arrived."""
        return MarketFrame(self._clock.now_ns(), self._frames.popleft()) if self._frames else None

    async def wait(self, longest_s: float) -> None:
        """Return when a frame has arrived, at the latest after this many seconds.

        Raises:
            ConfigurationError: the upstream cannot be connected to at all, or refuses a topic.
        """
        if self._reading is None and self._clock.is_open:
            self._reading = asyncio.create_task(self._read(), name="upstream")
        if self._reading is not None and self._reading.done():
            self._reading.result()
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._arrived.wait()

    def unready_reason(self) -> str | None:
        """Say why no frames come; before our market opens none are wanted."""
        why_not = self._why_not
        if why_not is None and self._check.awaited:
            why_not = f"a fresh snapshot of {', '.join(sorted(self._check.awaited))} is awaited"
        if why_not is None or not self._clock.is_open:
            return None
        return f"the upstream {self._market.url}: {why_not}"

    async def close(self) -> None:
        """Hang up."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        has_connected = False
        try:
            async with contextlib.aclosing(self._stream.events()) as events:
                async for event in events:
                    if isinstance(event, Connected):
                        has_connected, self._why_not = True, None
                        self._log.info("upstream_connected", url=self._market.url)
                    elif isinstance(event, Disconnected):
                        if not has_connected:
                            raise _not_followed(self._market.url, event.reason)
                        self._why_not = event.reason
                        self._log.warning("upstream_lost", url=self._market.url, reason=event.reason)
                    else:
                        for raw, _ in event.frames:
                            await self._look(raw)
                        self._arrived.set()
        except SubscriptionRefusedError as error:
            raise ConfigurationError(
                _VARIABLE, f"{self._market.url} refuses {error}", f"correct it or {PREFIX}SYMBOLS"
            ) from error

    async def _look(self, raw: bytes) -> None:
        lost = self._check.look(raw, self._clock.now_ns())
        if lost is None:
            self._frames.append(raw)
            return
        if lost.reason not in self.dropped or lost.again:
            self._log.warning("upstream_frame_dropped", reason=lost.reason, detail=lost.detail, asked_again=lost.again)
        self.dropped[lost.reason] = self.dropped.get(lost.reason, 0) + 1
        self._metrics.counter(FRAMES_DROPPED, reason=lost.reason).inc()
        for topic in lost.again:
            await self._stream.resubscribe(topic)


def fetch_contracts(rest_url: str, symbols: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Ask the upstream for its contracts, through the environment's proxies but to loopback.

    Raises:
        ConfigurationError: it does not answer, or not with these contracts.
    """
    return tuple(_fetch_contract(rest_url.rstrip("/"), symbol) for symbol in symbols)


def _fetch_contract(rest_url: str, symbol: str) -> dict[str, Any]:
    url = f"{rest_url}/v5/market/instruments-info?category=linear&symbol={symbol}"
    proxies: dict[str, str] | None = (
        {} if urllib.parse.urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"} else None
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(url, timeout=_ANSWER_S) as answer:
            page = json.load(answer)
        items = [item for item in page["result"]["list"] if item["symbol"] == symbol]
    except (OSError, urllib.error.URLError, ValueError, LookupError, TypeError) as error:
        raise ConfigurationError(
            f"{_VARIABLE}_REST", f"{url} does not answer with contracts ({error})", "check the address and the network"
        ) from error
    if not items:
        raise ConfigurationError(f"{PREFIX}SYMBOLS", f"{rest_url} has no contract {symbol}", "name what it has")
    contract: dict[str, Any] = items[0]
    try:
        Market(contract, (), depth=DEPTH, model=PESSIMISTIC)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{_VARIABLE}_REST",
            f"{url} tells of a contract that cannot be traded ({type(error).__name__}: {error})",
            "name a venue that speaks Bybit v5, or unset it for the shipped contracts",
        ) from None
    return contract


def _not_followed(url: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        _VARIABLE, f"{url} cannot be followed ({reason})", "check the address, the network and the proxy"
    )
