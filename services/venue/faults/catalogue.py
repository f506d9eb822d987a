"""Every way in which the venue can misbehave: name, where it can happen, its values, what it does in one sentence.

Requests are REST requests, operations of a socket (`order.create`, `auth`, a public `subscribe`) and the opening of a socket (`connect`).
Times are market ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from services.venue.faults.kinds import Choice, Flag, Fraction, Kind, Span, Text, Whole

REST: Final = "rest"
TRADE: Final = "trade"
PRIVATE: Final = "private"
PUBLIC: Final = "public"
SOCKETS: Final = (TRADE, PRIVATE, PUBLIC)
CONNECT: Final = "connect"
AUTH: Final = "auth"
SUBSCRIBE: Final = "subscribe"

SNAPSHOT: Final = "snapshot"
DELTA: Final = "delta"
EVENT: Final = "event"
REPLY: Final = "reply"
FRAME_KINDS: Final = {PUBLIC: (SNAPSHOT, DELTA, EVENT, REPLY), PRIVATE: (EVENT, REPLY), TRADE: (REPLY,)}
"""By place."""

_ORDER_CHANGES: Final = (
    "order/create*",
    "order/amend*",
    "order/cancel*",
    "position/set-*",
    "position/switch-mode",
    "position/trading-stop",
    "position/add-margin",
)
TRADING: Final[Mapping[str, tuple[str, ...]]] = {REST: _ORDER_CHANGES, TRADE: ("order.*",)}
"""By place: patterns of the requests that change orders or positions."""
CHANGING: Final[Mapping[str, tuple[str, ...]]] = {
    REST: (*_ORDER_CHANGES, "account/set-*", "account/demo-apply-money"),
    TRADE: ("order.*", AUTH),
    PRIVATE: (AUTH,),
    PUBLIC: (SUBSCRIBE,),
}
"""By place: patterns of the requests that change anything."""

LATEST_SURFACING_MS: Final = 4_900
BAN_MS: Final = 600_000
_DAY_MS: Final = 86_400_000
_MOST_MS: Final = 600_000
NO_SERVICE: Final = 1001
CUT: Final = "cut"
NOTHING: Final = "nothing"


class Seam(Enum):
    """Where the venue asks whether something goes wrong."""

    REQUEST = "request"
    FRAME = "frame"
    BROADCAST = "broadcast"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Action:
    """One way to misbehave.

    Attributes:
        about: one sentence.
        places: where it can happen → patterns of the endpoints (requests) or topics (frames) there; empty for what happens to the
            whole venue.
        values: beside the fields that all faults of the seam share.
    """

    seam: Seam
    about: str
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, Kind] = field(default_factory=dict)


_EVERYWHERE: Final = ("*",)
_FRAMES: Final = dict.fromkeys((PUBLIC, PRIVATE, TRADE), _EVERYWHERE)
_ORDERS: Final = {REST: _EVERYWHERE, TRADE: ("order.*",)}
_CONNECT: Final = dict.fromkeys(SOCKETS, (CONNECT,))
_SPOKEN: Final = {REST: _EVERYWHERE, TRADE: ("order.*", AUTH), PRIVATE: (AUTH,), PUBLIC: (SUBSCRIBE,)}
_ANSWERED: Final = {REST: _EVERYWHERE, TRADE: ("order.*", CONNECT), PRIVATE: (CONNECT,), PUBLIC: (CONNECT,)}
_SILENT: Final = {REST: _EVERYWHERE, TRADE: ("order.*", AUTH, CONNECT), PRIVATE: (AUTH, CONNECT), PUBLIC: (CONNECT,)}

ACTIONS: Final[Mapping[str, Action]] = {
    "refuse": Action(
        Seam.REQUEST,
        "Answers with a code (a public socket with its text alone); what was asked is not done, or is done all the same with `performed`.",
        _SPOKEN,
        {
            "code": Whole(-1, 99_999_999, never=0),
            "message": Text(what="the text of retMsg"),
            "performed": Flag(),
        },
    ),
    "rate_limit": Action(
        Seam.REQUEST,
        "Answers 10006 with the headers that name the reset.",
        _ORDERS,
        {"reset_ms": Span(0, 60_000, default=(1_000, 1_000))},
    ),
    "http": Action(
        Seam.REQUEST,
        "Answers with an HTTP status and plain text; what was asked is not done, or is done all the same with `performed`.",
        {REST: _EVERYWHERE, **_CONNECT},
        {"status": Whole(400, 599), "text": Text(what="the text of the body"), "performed": Flag()},
    ),
    "ban": Action(
        Seam.REQUEST,
        "Answers this and every later request and handshake of the address with HTTP 403, for ten minutes; open sockets go on.",
        {REST: _EVERYWHERE, **_CONNECT},
        {"ban_ms": Whole(1, _DAY_MS, default=BAN_MS)},
    ),
    "swallow": Action(Seam.REQUEST, "Never answers and does nothing: a time-out without acceptance.", _SILENT),
    "accept_silently": Action(
        Seam.REQUEST,
        "Takes a request that changes something and never answers; it takes effect after `surface_ms`, within its receive window.",
        {REST: CHANGING[REST], TRADE: ("order.*",)},
        {"surface_ms": Span(0, LATEST_SURFACING_MS, default=(0, LATEST_SURFACING_MS))},
    ),
    "answer_slowly": Action(
        Seam.REQUEST,
        "Does what was asked at once and answers `delay_ms` later.",
        _ANSWERED,
        {"delay_ms": Span(0, _MOST_MS, never=0)},
    ),
    "hang_up": Action(
        Seam.REQUEST,
        "Cuts the connection instead of answering; nothing is done, or is done all the same with `performed`.",
        _ANSWERED,
        {"performed": Flag()},
    ),
    "drop": Action(Seam.FRAME, "Does not send the frame to this client.", _FRAMES),
    "delay": Action(
        Seam.FRAME,
        "Sends the frame `delay_ms` later, and after it what follows: the order is kept.",
        _FRAMES,
        {"delay_ms": Span(0, _MOST_MS, never=0)},
    ),
    "duplicate": Action(
        Seam.FRAME, "Sends the frame `copies` more times.", _FRAMES, {"copies": Whole(1, 100, default=1)}
    ),
    "reorder": Action(
        Seam.FRAME,
        "Sends the frame only after `behind` later ones of this client, or after `longest_ms` where none follow.",
        _FRAMES,
        {"behind": Whole(1, 1_000, default=1), "longest_ms": Whole(1, _MOST_MS, default=1_000)},
    ),
    "disconnect": Action(
        Seam.FRAME,
        "Closes the client's socket instead of sending the frame; `abrupt` cuts it without a farewell.",
        _FRAMES,
        {"close_code": Whole(1000, 4999, default=None), "abrupt": Flag()},
    ),
    "lose_update": Action(
        Seam.BROADCAST,
        "Loses a book delta for all clients, so that `u` skips for them; the venue's own book goes on.",
        {PUBLIC: ("orderbook.*",)},
    ),
    "close_sockets": Action(
        Seam.TIME,
        "Closes sockets at `from_ms`: of one kind, user or key, or a `share` of them.",
        dict.fromkeys(SOCKETS, ()),
        {
            "share": Fraction(default=1.0, is_above_zero=True),
            "close_code": Whole(1000, 4999, default=None),
            "abrupt": Flag(),
        },
    ),
    "restart_books": Action(
        Seam.TIME,
        "Sends every matching book topic as a snapshot with `u` = 1 and counts on from there.",
        {PUBLIC: ("orderbook.*",)},
    ),
    "restart": Action(
        Seam.TIME,
        "Restarts the venue with orders, positions and money kept: 10019 on the trade socket for `drain_ms`, then all sockets closed and "
        "no service for `down_ms`; afterwards books begin at `u` = 1 and order/realtime has forgotten closed orders.",
        {},
        {
            "drain_ms": Whole(0, _MOST_MS, default=0),
            "down_ms": Whole(0, _DAY_MS, default=1_000),
            "down_answer": Choice((CUT, NOTHING, 502, 503), default=None),
        },
    ),
    "maintenance": Action(
        Seam.TIME,
        "Plans maintenance from `from_ms` for `for_ms`: system/status and the system.status topic say so before, during and after; orders "
        "are refused meanwhile, sockets closed at its start.",
        {},
        {
            "code": Whole(-1, 99_999_999, default=110_066, never=0),
            "title": Text(default="System maintenance", what="the title of the notice"),
        },
    ),
    "clock_skew": Action(
        Seam.TIME,
        "Shifts market/time, the time of envelopes and the time rule by `skew_ms` against what the streams say.",
        {},
        {"skew_ms": Whole(-_DAY_MS, _DAY_MS, never=0)},
    ),
}
