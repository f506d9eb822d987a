"""What a client asks before it asks the venue or opens a socket to it: may I, and is the circuit closed?

Implementations: `circuit.Circuit` (remembers a ban, counts nothing), `local.LocalBudget` (one process by itself) and
`shared.SharedBudget` (all processes of a fleet, by way of Redis).
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class Priority(Enum):
    """Who may go on when little is left of the address's budget; the value is the part that is kept back for those above.

    Orders, cancels and exits may have it all; the comparison of our books with the venue's leaves them a third; collectors leave two.
    """

    ORDERS = 0.0
    TRUTH = 1 / 3
    FACTS = 2 / 3


class Budget(Protocol):
    """How much may be asked of the venue."""

    @property
    def banned_for_s(self) -> float:
        """Wall seconds for which nothing may be sent; 0 while the circuit is closed."""
        ...

    async def acquire(self, endpoint: str) -> None:
        """Return when a request to an endpoint (its path without `/v5/`) may be sent.

        Raises:
            BannedError: the venue has banned our address; nothing may be sent.
        """
        ...

    async def look(self) -> float:
        """Give the wall seconds for which no socket may be opened, by what all who share the budget know by now."""
        ...

    def learn(self, endpoint: str, *, limit: int, pause_s: float = 0.0) -> None:
        """Take what the venue said of an endpoint.

        Args:
            endpoint: its path without `/v5/`.
            limit: requests per second for the account; 0 when it did not say.
            pause_s: wall seconds for which it takes no more.
        """
        ...

    def ban(self) -> None:
        """The venue has banned our address: open the circuit for its ten minutes."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...
