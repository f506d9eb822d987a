"""What a fault makes of one request or of one frame: values that the shells act on, and how an action becomes one of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

from services.venue.faults.catalogue import NO_SERVICE
from services.venue.faults.draw import within
from services.venue.faults.meanings import text_of
from services.venue.refusals import TOO_FREQUENT, TOO_MANY
from undertow.domain.time import NS_PER_MS

DRAINING: Final = 10019


class Performed(Enum):
    """Whether what was asked is done."""

    NOW = "now"
    LATE = "late"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Coded:
    """An answer with a code; `reset_ns` makes it the limiter's."""

    code: int
    message: str
    reset_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Plain:
    """An HTTP status with plain text."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer; `hangs_up` cuts the connection."""

    hangs_up: bool = False


@dataclass(frozen=True, slots=True)
class RequestFault:
    """What becomes of one request.

    Attributes:
        performed: whether and when it is done.
        answer: what is said; None for its own answer.
        late_ns: market ns until it is done, where it is done late.
        wait_ns: market ns before the answer.
    """

    performed: Performed
    answer: Coded | Plain | Silence | None
    late_ns: int = 0
    wait_ns: int = 0


@dataclass(frozen=True, slots=True)
class FrameFault:
    """What becomes of one frame to one client.

    Attributes:
        copies: how often it is sent.
        delay_ns: market ns that it and what follows wait.
        behind: how many later frames overtake it, but no longer than `longest_ns`.
        close_code: the socket is closed with it instead.
        abrupt: the socket is cut instead.
    """

    copies: int = 1
    delay_ns: int = 0
    behind: int = 0
    longest_ns: int = 0
    close_code: int | None = None
    abrupt: bool = False


Values = Mapping[str, Any]


def plain(status: int, text: str | None = None) -> Plain:
    """Give a plain answer; without a text of its own the status says what it means."""
    return Plain(status, text or f"{status} {_phrase(status)}")


def request_fault(action: str, values: Values, seed: int, turn: int) -> RequestFault:
    """Give the verdict of a request fault that has struck."""
    return _REQUESTS[action](values, lambda name: within(values[name], seed, turn, name) * NS_PER_MS)


def frame_fault(action: str, values: Values, seed: int, turn: int) -> FrameFault:
    """Give the verdict of a frame fault that has struck."""
    return _FRAMES[action](values, lambda name: within(values[name], seed, turn, name) * NS_PER_MS)


def _performed(values: Values) -> Performed:
    return Performed.NOW if values["performed"] else Performed.NEVER


Drawn = Callable[[str], int]
_REQUESTS: Final[Mapping[str, Callable[[Values, Drawn], RequestFault]]] = {
    "refuse": lambda v, _: RequestFault(_performed(v), Coded(v["code"], v["message"] or text_of(v["code"]))),
    "rate_limit": lambda _, drawn: RequestFault(
        Performed.NEVER, Coded(TOO_MANY, text_of(TOO_MANY), reset_ns=drawn("reset_ms"))
    ),
    "http": lambda v, _: RequestFault(_performed(v), plain(v["status"], v["text"])),
    "ban": lambda _v, _: RequestFault(Performed.NEVER, Plain(HTTPStatus.FORBIDDEN, TOO_FREQUENT)),
    "swallow": lambda _v, _: RequestFault(Performed.NEVER, Silence()),
    "accept_silently": lambda _, drawn: RequestFault(Performed.LATE, Silence(), late_ns=drawn("surface_ms")),
    "answer_slowly": lambda _, drawn: RequestFault(Performed.NOW, None, wait_ns=drawn("delay_ms")),
    "hang_up": lambda v, _: RequestFault(_performed(v), Silence(hangs_up=True)),
}
_FRAMES: Final[Mapping[str, Callable[[Values, Drawn], FrameFault]]] = {
    "drop": lambda _v, _: FrameFault(copies=0),
    "delay": lambda _, drawn: FrameFault(delay_ns=drawn("delay_ms")),
    "duplicate": lambda v, _: FrameFault(copies=1 + v["copies"]),
    "reorder": lambda v, _: FrameFault(behind=v["behind"], longest_ns=v["longest_ms"] * NS_PER_MS),
    "disconnect": lambda v, _: FrameFault(copies=0, close_code=v["close_code"] or NO_SERVICE, abrupt=v["abrupt"]),
}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
