"""How many of the frames that cannot be read are kept, so that a flood of garbage does not fill the bus. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from undertow.contracts.messages.market import RejectedFrame

KEPT_BYTES: Final = 4_096
BURST: Final = 50
A_SECOND: Final = 5
_SECOND_NS: Final = 1_000_000_000


@dataclass(slots=True)
class Rejects:
    """A token bucket: `BURST` frames at once, `A_SECOND` over time."""

    _tokens: float = BURST
    _at_ns: int = 0

    def keep(self, symbol: str, reason: str, raw: bytes, now_ns: int) -> RejectedFrame | None:
        """Give what is kept of a frame; None when too many came lately."""
        if now_ns > self._at_ns:
            self._tokens = min(BURST, self._tokens + (now_ns - self._at_ns) / _SECOND_NS * A_SECOND)
            self._at_ns = now_ns
        if self._tokens < 1.0:
            return None
        self._tokens -= 1.0
        return RejectedFrame(
            ts_event=now_ns, ts_recv=now_ns, symbol=symbol, reason=reason, size=len(raw), raw=raw[:KEPT_BYTES]
        )
