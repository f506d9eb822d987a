"""The paper venue, put together: one aiohttp server on the service's port, one task that is the market."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from services.venue.board import Board
from services.venue.clock import VenueClock
from services.venue.control import Control
from services.venue.core import VenueCore
from services.venue.desk import Desk
from services.venue.fault_control import FaultControl
from services.venue.faults.catalogue import PRIVATE, PUBLIC, TRADE
from services.venue.faults.core import Faults
from services.venue.faults.renumber import Renumbering
from services.venue.front import Front, Sockets
from services.venue.limits import CONNECTIONS, REQUESTS, TRADE_REQUESTS, AddressLimit, AddressLimits, EndpointLimits
from services.venue.maintenance import notice
from services.venue.market_choice import Choice, choose_market
from services.venue.misbehaviour import begin, vocabulary
from services.venue.mischief import Mischief
from services.venue.money_control import MoneyControl
from services.venue.offer import linear_offer
from services.venue.pages import MarketPages
from services.venue.private_socket import PrivateHub
from services.venue.public_socket import PublicHub
from services.venue.replay import Replay
from services.venue.roster import read_roster
from services.venue.settings import PaperSettings, Settings
from services.venue.spot_floor import SpotFloor
from services.venue.status_socket import StatusHub
from services.venue.tls import HOSTS, open_tls
from services.venue.trade_socket import TradeHub
from services.venue.upheaval import Hubs, Upheaval
from undertow.domain.time import NS_PER_MS
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.memory import settle
from undertow.runtime.service import Runtime
from undertow.runtime.settings import PREFIX

_SHUTDOWN_SECONDS: Final = 1.0


class Venue:
    """The service.

    Args:
        settings: what it is told.
        runtime: what it stands on; its clock becomes the venue's own.
        choice: its market.

    Attributes:
        clock: the market's own time.
        replay: the market.
        tls_port: where TLS is spoken; 0 for nowhere.

    Raises:
        ConfigurationError: a certificate, an account or a symbol that cannot be worked with.
    """

    def __init__(self, settings: Settings, runtime: Runtime, choice: Choice) -> None:
        paper = settings.paper
        source = choice.source
        instruments, tiers = source.instruments, source.risk_tiers
        self.clock = VenueClock(source.origin_ns if paper.origin == "recorded" else None, paper.rate)
        runtime.clock = self.clock
        runtime.facts["market"] = source.label
        roster = read_roster(paper, source.symbols, self.clock.now_ns())
        ring = roster.ring
        core = VenueCore(
            instruments,
            tiers,
            roster.accounts,
            book_depth=source.book_depth,
            order_latency_ns=paper.order_latency_ms * NS_PER_MS,
            opened_ns=self.clock.now_ns(),
        )
        faults, numbers = Faults(paper.seed), Renumbering()
        mischief = Mischief(faults, self.clock, ring, runtime.metrics, runtime.survived)
        board = Board(source.symbols, source.book_depth)
        public = PublicHub(board, linear_offer(source.book_depth, source.kline_intervals, core.price_limits), mischief)
        spot = SpotFloor(board, instruments, paper.seed, mischief)
        runtime.facts["spot_market"] = spot.label
        private = PrivateHub(ring, self.clock, mischief)
        desk = Desk(core, self.clock, EndpointLimits(paper.rate_limits), private.publish)
        trade_limit = AddressLimit(TRADE_REQUESTS) if paper.ip_limit else None
        trade, status = (
            TradeHub(desk, ring, self.clock, trade_limit, mischief, runtime.survived),
            StatusHub(self.clock, mischief),
        )
        self._sockets = Sockets(public, spot.hub, private, trade, status)
        hubs: Hubs = {PUBLIC: (public, spot.hub), PRIVATE: (private,), TRADE: (trade,)}
        upheaval = Upheaval(mischief, self.clock, core, board, numbers, hubs, public, status)
        pages = MarketPages(
            board,
            instruments,
            tiers,
            core.price_limits,
            spot,
            lambda now_ns: [notice(each) for each in faults.notices(now_ns)],
            lambda: core.insurance_fund,
        )
        self.replay = Replay(
            source.label,
            choice.frames_total,
            choice.feed(self.clock, runtime.log, runtime.metrics),
            self.clock,
            core,
            board,
            public,
            spot,
            private,
            numbers,
            upheaval.tick,
        )
        addresses = _address_limits(paper) if paper.ip_limit else None
        front = Front(
            self.clock,
            pages,
            desk,
            ring,
            self._sockets,
            addresses,
            mischief,
            runtime.survived,
        )
        self._tls = open_tls(paper)
        control = Control(
            self.clock,
            self.replay,
            core,
            ring,
            desk.tally,
            self.tls_facts,
            faults,
            addresses,
        )
        money_control = MoneyControl(core, ring, self.clock, private.publish)
        fault_control = FaultControl(faults, vocabulary(core, pages, public, ring), self.clock, upheaval)
        begin(fault_control, paper)
        routes = [*control.routes(), *money_control.routes(), *fault_control.routes()]
        self._application = front.application(routes, runtime.asgi)
        self._runtime = runtime
        self._paper = paper
        self._host = settings.http.host
        self._listening = False
        self.tls_port = 0

    async def run(self) -> None:
        """Serve and play until cancelled.

        Raises:
            ConfigurationError: the TLS port is in use, or the upstream cannot be followed.
        """
        runner = web.AppRunner(
            self._application,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,  # an answer that never comes is held only while somebody waits for it
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await runner.setup()
        try:
            await self._listen(runner)
            settle()
            self._listening = True
            if self._paper.start == "immediately":
                self.clock.start()
            self._runtime.log.info("market", label=self.replay.label, rate=self._paper.rate)
            await self.replay.run()
        finally:
            self._sockets.close()
            await asyncio.sleep(0)
            await runner.cleanup()

    def unready_reason(self) -> str | None:
        """Give the reason while the port is not served yet, or the market is out of reach."""
        return self.replay.unready_reason() if self._listening else "starting: the port is not served yet"

    def tls_facts(self) -> dict[str, Any] | None:
        """Say where TLS is spoken, which file a client must trust and which names it may use; None without TLS."""
        if self._tls is None:
            return None
        ca_file = None if self._tls.ca_file is None else str(self._tls.ca_file)
        return {"port": self.tls_port, "ca_file": ca_file, "hosts": list(HOSTS) if ca_file else []}

    async def _listen(self, runner: web.AppRunner) -> None:
        listener = self._runtime.listener
        if listener is None:
            raise RuntimeError("the runtime has opened no port")
        await web.SockSite(runner, listener).start()
        if self._tls is None:
            return
        try:
            await web.TCPSite(runner, self._host, self._paper.tls_port, ssl_context=self._tls.context).start()
        except OSError as error:
            raise ConfigurationError(
                f"{PREFIX}PAPER__TLS_PORT",
                f"{self._host}:{self._paper.tls_port} {error.strerror}",
                "set it to a free port",
            ) from error
        self.tls_port = int(runner.addresses[-1][1])
        self._runtime.facts["tls_port"] = str(self.tls_port)
        self._runtime.log.info("listening_tls", **(self.tls_facts() or {}))


def _address_limits(paper: PaperSettings) -> AddressLimits:
    connections = AddressLimit(replace(CONNECTIONS, most=paper.new_connections))
    return AddressLimits(AddressLimit(REQUESTS), connections, paper.market_connections)


def build(settings: Settings, runtime: Runtime) -> Venue:
    """Put the service together."""
    return Venue(settings, runtime, choose_market(settings))
