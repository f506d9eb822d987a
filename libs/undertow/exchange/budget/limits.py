"""What Bybit allows and how much of it is ours (§2.5 of the protocol). Times are market seconds: the paper venue counts in its own."""

from __future__ import annotations

from typing import Final

from undertow.exchange.budget.bucket import Allowance

ADDRESS: Final = Allowance(most=600, window_s=5.0)
"""HTTP requests of one address over all of the venue's hosts."""
ENDPOINT_WINDOW_S: Final = 1.0
"""Over which an account's requests to one endpoint are counted."""
FORBIDDEN: Final = 403
"""The HTTP status with which a banned address is answered."""
BAN_S: Final = 600.0
"""How long an address stays banned after a 403."""
SHARE: Final = 0.7
"""The fleet's part of both; the rest is the guardian's, which asks nobody."""
ALONE_SHARE: Final = 0.05
"""One process' part of the address's limit while it cannot ask the others: with six of them, and all that the fleet had sent just before,
the address stays within its limit."""
ALONE_ENDPOINT_SHARE: Final = 0.35
"""One process' part of an endpoint's limit meanwhile: two of ours sign requests."""
