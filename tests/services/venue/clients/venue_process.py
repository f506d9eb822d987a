"""The real venue as a process of its own, on a scripted market and at a distance; standing input commands the market, one JSON a line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time

from services.venue.app import Venue
from services.venue.market_choice import Choice
from services.venue.settings import Settings
from tests.services.venue.clients.distance import relay_to
from tests.services.venue.clients.scripted_market import ScriptedMarket
from tests.support import eventually
from undertow.runtime.service import Runtime, run


class DistantVenue(Venue):
    """The venue, and beside it relays to its TLS port and its plain one, whose ports are told on standard output."""

    async def run(self) -> None:
        relaying = asyncio.create_task(self._relay())
        try:
            await super().run()
        finally:
            relaying.cancel()

    async def _relay(self) -> None:
        plain = self._runtime.listener.getsockname()[1]
        async with (
            await relay_to(await eventually(lambda: self.tls_port)) as tls_relay,
            await relay_to(plain) as plain_relay,
        ):
            ports = [relay.sockets[0].getsockname()[1] for relay in (tls_relay, plain_relay)]
            sys.stdout.write(json.dumps({"relays": ports}) + "\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


def build(settings: Settings, runtime: Runtime) -> Venue:
    market = ScriptedMarket(time.time_ns() // 1_000_000 * 1_000_000)
    threading.Thread(target=listen, args=(market,), daemon=True).start()
    return DistantVenue(settings, runtime, Choice(market, None))


def listen(market: ScriptedMarket) -> None:
    for line in sys.stdin:
        market.tell(**json.loads(line))
    os.kill(os.getpid(), signal.SIGTERM)  # whoever started this is gone


if __name__ == "__main__":
    run("venue", Settings, build)
