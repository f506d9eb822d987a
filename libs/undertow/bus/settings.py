"""Declared limits of readers and publishers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """Limits of a reader.

    Attributes:
        block_ms: how long one read waits for something new.
        claim_idle_s: an entry that another consumer has held this long is taken from it.
        claim_every_s: how often that is looked for.
        poison_limit: undecodable entries after which the reader stops.
    """

    block_ms: int = 1000
    claim_idle_s: float = 60.0
    claim_every_s: float = 5.0
    poison_limit: int = 100


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """Limits of a publisher.

    Attributes:
        unconfirmed_limit: messages kept while Redis is away.
        republish_window_s: messages this young are sent again after a connection was lost, because `appendfsync everysec` may have lost
            them although Redis had confirmed them.
        answer_timeout_s: without an answer for this long the connection is given up.
        outage_s: the outage budget: messages this old may be removed although somebody has not read them.
        outage_bytes: the same by size, shared by the keys of this publisher; no stream falls below its declared length.
    """

    unconfirmed_limit: int = 100_000
    republish_window_s: float = 3.0
    answer_timeout_s: float = 5.0
    outage_s: float = 1800.0
    outage_bytes: int = 2_000_000_000


class Unwatched:
    """A `Watch` that tells nobody."""

    def delivered(self, stream: str, seconds: float) -> None:
        """Tell nobody."""

    def dead_letter(self, stream: str) -> None:
        """Tell nobody."""
