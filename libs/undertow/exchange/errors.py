"""What can go wrong with a venue. One function, `Bybit.parse.error_for`, maps codes to these.

VenueError
├── OutcomeUnknownError     the order may or may not exist: look its id up, never send again
├── RateLimitedError        wait until `retry_at_ns`
├── VenueBusyError          overloaded, maintenance or unreachable; idempotent verbs may be retried
├── TooLateError            its deadline passed before anything was written: it never left us
├── OrderRefusedError       the venue said no: not a fault
├── OrderGoneError          no such order, or already done: reconcile
├── AlreadySoError          "not modified": success in other words
├── AccessError             key, signature, permission, address: fatal, needs a person
├── ClockSkewError          our timestamp is outside the window
├── BannedError             HTTP 403, to a request or a handshake: ask nothing and open no socket for the venue's ten minutes
└── BadAnswerError          the answer is not what the protocol says
"""

from __future__ import annotations


class VenueError(Exception):
    """Base; `code` is the venue's number or the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class OutcomeUnknownError(VenueError):
    """The order may or may not exist: look its id up, never send again."""


class RateLimitedError(VenueError):
    """Wait until `retry_at_ns` (market ns)."""

    def __init__(self, code: int, message: str, retry_at_ns: int) -> None:
        super().__init__(code, message)
        self.retry_at_ns = retry_at_ns


class VenueBusyError(VenueError):
    """Overloaded, in maintenance or unreachable."""


class TooLateError(VenueError):
    """An order's deadline passed before anything was written: it never left us."""


class OrderRefusedError(VenueError):
    """The venue said no to an order."""


class OrderGoneError(VenueError):
    """No such order, or already done."""


class AlreadySoError(VenueError):
    """The venue has nothing to change."""


class AccessError(VenueError):
    """Key, signature, permission or address are wrong; a person is needed."""


class ClockSkewError(VenueError):
    """Our timestamp is outside the venue's window."""


class BannedError(VenueError):
    """HTTP 403, to a request or a handshake: ask nothing and open no socket for ten minutes."""


class BadAnswerError(VenueError):
    """The answer is not what the protocol says."""
