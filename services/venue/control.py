"""The control API, which a real venue does not have: its clock, the start of its market, its counts, its ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from services.venue.clock import VenueClock
from services.venue.core import VenueCore
from services.venue.desk import Tally
from services.venue.faults.core import Faults
from services.venue.keys import KeyRing
from services.venue.limits import AddressLimit, AddressLimits
from services.venue.replay import Replay
from undertow.runtime.settings import PREFIX


class Control:
    """Answers `/control/...`; what it cannot answer is a 4xx with `{"error": why}`.

    Args:
        clock: market time.
        replay: the market.
        core: the venue itself.
        ring: all keys.
        tally: what clients asked for.
        tls: says where TLS is spoken; None where it is not.
        faults: what goes wrong.
        addresses: count HTTP requests and handshakes; None where nothing limits them.
    """

    def __init__(
        self,
        clock: VenueClock,
        replay: Replay,
        core: VenueCore,
        ring: KeyRing,
        tally: Tally,
        tls: Callable[[], dict[str, Any] | None],
        faults: Faults,
        addresses: AddressLimits | None,
    ) -> None:
        self._clock = clock
        self._replay = replay
        self._core = core
        self._ring = ring
        self._tally = tally
        self._tls = tls
        self._faults = faults
        self._addresses = addresses

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.get("/control/clock", self.clock),
            web.post("/control/start", self.start),
            web.get("/control/stats", self.stats),
            web.get("/control/ledger", self.ledger),
            web.get("/control/tls", self.tls),
        ]

    async def clock(self, _request: web.Request) -> web.Response:
        """Give origin, wall origin (null until the market starts) and rate."""
        return as_json(msgspec.to_builtins(self._clock.reading))

    async def start(self, _request: web.Request) -> web.Response:
        """Start the market half a second ahead; a second call changes nothing."""
        return as_json(msgspec.to_builtins(self._clock.start()))

    async def stats(self, _request: web.Request) -> web.Response:
        """Give counts and what the market is."""
        replay, tally, addresses = self._replay, self._tally, self._addresses
        return as_json(
            {
                "market_label": replay.label,
                "started": self._clock.started,
                "finished": replay.finished,
                "frames_sent": replay.frames_sent,
                "frames_injected": replay.frames_injected,
                "frames_total": replay.frames_total,
                "frames_dropped": dict(replay.frames_dropped),
                "requests": tally.requests,
                "rate_limited": tally.rate_limited,
                "http": addresses and _counts(addresses.requests),
                "handshakes": addresses and _counts(addresses.connections),
                "orders_accepted": self._core.orders_accepted,
                "duplicate_link_ids_refused": self._core.duplicate_link_ids_refused,
                "faults_struck": self._faults.hits,
                "now_ns": self._clock.now_ns(),
            }
        )

    async def ledger(self, request: web.Request) -> web.Response:
        """Give the sums of a key's account: wallet, realised, fees, funding, transfers, positions."""
        name = request.query.get("key", "")
        key = self._ring.find(name)
        if not name:
            return as_json({"error": "query parameter key is missing"}, status=400)
        if key is None:
            return as_json({"error": f"key {name} is not known"}, status=404)
        return as_json(self._core.ledger(key.uid))

    async def tls(self, _request: web.Request) -> web.Response:
        """Give port, file of the authority and names of the certificate."""
        facts = self._tls()
        if facts is None:
            return as_json({"error": f"TLS is off; set {PREFIX}PAPER__TLS_FOLDER"}, status=404)
        return as_json(facts)


def _counts(limit: AddressLimit) -> dict[str, int]:
    return {"admitted": limit.admitted, "refused": limit.refused, "busiest_window": limit.busiest}


def as_json(value: Any, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
