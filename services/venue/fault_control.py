"""The part of the control API that makes the venue misbehave: list, add and remove faults, or let a seed schedule them."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from services.venue.clock import VenueClock
from services.venue.control import as_json
from services.venue.faults.chaos import read_chaos
from services.venue.faults.core import Faults
from services.venue.faults.kinds import BadFaultError
from services.venue.faults.reach import Vocabulary
from services.venue.faults.specs import read_specs
from services.venue.upheaval import Upheaval


class FaultControl:
    """Answers `/control/faults` and `/control/chaos`; bad input is a 400 that names field, rule and remedy and changes nothing.

    Args:
        faults: of this venue.
        vocabulary: what this venue has.
        clock: market time.
        upheaval: does at once what is due at once.
    """

    def __init__(self, faults: Faults, vocabulary: Vocabulary, clock: VenueClock, upheaval: Upheaval) -> None:
        self._faults = faults
        self._vocabulary = vocabulary
        self._clock = clock
        self._upheaval = upheaval

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.get("/control/faults", self.list),
            web.post("/control/faults", self.add),
            web.delete("/control/faults", self.clear),
            web.delete("/control/faults/{id}", self.remove),
            web.post("/control/chaos", self.chaos),
        ]

    def start_with(self, sent: Any) -> None:
        """Take the faults in with which the venue begins.

        Raises:
            BadFaultError: the first thing that is wrong.
        """
        self._faults.add(read_specs(sent, self._vocabulary), self._clock.now_ns())

    async def list(self, _request: web.Request) -> web.Response:
        """Give every fault with what it was asked and whom it struck."""
        return as_json({"faults": self._faults.listed(self._clock.now_ns())})

    async def add(self, request: web.Request) -> web.Response:
        """Add one fault or a list of them: all or none."""
        return await self._added(request, lambda sent: sent)

    async def chaos(self, request: web.Request) -> web.Response:
        """Add the schedule of a seed."""
        return await self._added(request, read_chaos)

    async def remove(self, request: web.Request) -> web.Response:
        """Remove one fault."""
        name = request.match_info["id"]
        now_ns = self._clock.now_ns()
        fault = self._faults.remove(name, now_ns)
        if fault is None:
            listed = ", ".join(each["id"] for each in self._faults.listed(now_ns)) or "there is none"
            return _bad(BadFaultError("id", f"{name!r} is no fault", f"give one of those there are: {listed}"), 404)
        self._upheaval.tick(now_ns)
        return as_json({"removed": [fault.describe(now_ns)]})

    async def clear(self, _request: web.Request) -> web.Response:
        """Remove all faults."""
        now_ns = self._clock.now_ns()
        removed = [fault.describe(now_ns) for fault in self._faults.clear(now_ns)]
        self._upheaval.tick(now_ns)
        return as_json({"removed": removed})

    async def _added(self, request: web.Request, meant: Any) -> web.Response:
        now_ns = self._clock.now_ns()
        try:
            wanted = meant(_parsed(await request.read()))
            specs = read_specs(wanted, self._vocabulary) if wanted else []
        except BadFaultError as error:
            return _bad(error, 400)
        added = self._faults.add(specs, now_ns)
        self._upheaval.tick(now_ns)
        return as_json({"faults": [fault.describe(now_ns) for fault in added]})


def _parsed(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFaultError("body", f"is not JSON ({error})", "send a JSON object or a list of them") from None


def _bad(error: BadFaultError, status: int) -> web.Response:
    words = {"error": str(error), "field": error.field, "rule": error.rule, "remedy": error.remedy}
    return as_json(words, status)
