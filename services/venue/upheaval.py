"""What happens to the whole venue at a moment (sockets closed, books begun anew, its clock shifted, maintenance announced), performed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.venue.board import Board
from services.venue.clock import VenueClock
from services.venue.faults.draw import fraction
from services.venue.faults.renumber import Renumbering
from services.venue.faults.steps import (
    AnnounceStatus,
    CloseSockets,
    ForgetClosedOrders,
    RestartBooks,
    SkewClock,
    Step,
)
from services.venue.maintenance import notice
from services.venue.mischief import Mischief
from services.venue.private_socket import PrivateHub
from services.venue.public_socket import PublicHub
from services.venue.session import Session
from services.venue.status_socket import StatusHub
from services.venue.trade_socket import TradeHub

Hubs = Mapping[str, Sequence[PublicHub | PrivateHub | TradeHub]]


class ForgetfulCore(Protocol):
    """What a restart asks of the venue's core."""

    def forget_closed(self) -> None:
        """Let order/realtime forget the orders that are closed by now."""


class Upheaval:
    """Performs the steps of timed faults.

    Args:
        mischief: gives the steps, and does what was put off.
        clock: market time, which may be shifted.
        core: keeps orders and money.
        board: what the market has shown.
        numbers: counts book updates after a restart.
        hubs: the sockets by kind.
        status: the system.status topic.
    """

    def __init__(
        self,
        mischief: Mischief,
        clock: VenueClock,
        core: ForgetfulCore,
        board: Board,
        numbers: Renumbering,
        hubs: Hubs,
        public: PublicHub,
        status: StatusHub,
    ) -> None:
        self._mischief = mischief
        self._clock = clock
        self._core = core
        self._board = board
        self._numbers = numbers
        self._hubs = hubs
        self._public = public
        self._status = status

    def tick(self, now_ns: int) -> None:
        """Do what is due by now."""
        faults = self._mischief.faults
        if faults.watches_time:
            for step in faults.due(now_ns):
                self._perform(step)
        self._mischief.tick(now_ns)

    def _perform(self, step: Step) -> None:
        match step:
            case CloseSockets():
                self._close(step)
            case RestartBooks():
                for topic, snapshot in self._public.books(step.topic):
                    first = self._numbers.restart(topic, snapshot)
                    self._board.saw(first)
                    self._public.on_frame(topic, first, self._clock.now_ns())
            case ForgetClosedOrders():
                self._core.forget_closed()
            case SkewClock():
                self._clock.skew_ns += step.by_ns
            case AnnounceStatus():
                self._status.publish([notice(step)])

    def _close(self, step: CloseSockets) -> None:
        sessions: list[Session] = [
            session for kind in step.kinds for hub in self._hubs[kind] for session in hub.sessions
        ]
        meant = [session for session in sessions if _is_of(session, step)]
        for number, session in enumerate(meant):
            if fraction(step.seed, number, "share") >= step.share:
                continue
            if step.abrupt:
                session.cut()
            else:
                session.close(step.close_code, "closed by a fault")


def _is_of(session: Session, step: CloseSockets) -> bool:
    key = session.key
    if step.key is None and step.uid is None:
        return True
    return key is not None and step.key in {None, key.key} and step.uid in {None, key.uid}
