"""The hash chain of decisions: each record carries the hash of the one before, so that none can be altered or left out unnoticed. Pure.

A record's hash is SHA-256 over the MessagePack array of `previous` and its other fields but `hash`, in the order of `SEALED`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from undertow.contracts.messages.decision import Decision, Verdict

GENESIS: Final = "0" * 64
SEALED: Final = ("ts_event", "ts_recv", "cause", "service", "symbol", "verdict", "subject", "detail")


def chain(previous: str, *fields: Any) -> str:
    """Give the hash of a record, hex.

    Args:
        previous: hash of the record before it in the chain, or `GENESIS`.
        fields: the record's other fields in the order of `SEALED`.
    """
    return hashlib.sha256(msgspec.msgpack.encode((previous, *fields))).hexdigest()


class AuditChain:
    """Makes the records of one service.

    Args:
        service: whose chain it is.
        head: hash of the chain's last record, to go on after a restart.

    Attributes:
        head: hash of the last record made.
    """

    def __init__(self, service: str, head: str = GENESIS) -> None:
        self.head = head
        self._service = service

    def record(
        self,
        verdict: Verdict,
        *,
        ts_event: int,
        ts_recv: int,
        cause: tuple[str, ...] = (),
        symbol: str = "",
        subject: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Make the next record; the arguments are fields of `Decision`, `detail` before it becomes JSON text."""
        previous = self.head
        text = msgspec.json.encode(detail or {}).decode()
        self.head = chain(previous, ts_event, ts_recv, cause, self._service, symbol, verdict, subject, text)
        return Decision(
            ts_event=ts_event,
            ts_recv=ts_recv,
            cause=cause,
            service=self._service,
            symbol=symbol,
            verdict=verdict,
            subject=subject,
            detail=text,
            previous=previous,
            hash=self.head,
        )


def verify(records: Iterable[Decision], previous: str | None = None) -> int | None:
    """Give the index of the first record that was altered, or that does not follow on the one before; None when all is well.

    Args:
        records: of one chain, oldest first.
        previous: hash that the first record must follow on; None where the beginning has been trimmed.
    """
    for index, record in enumerate(records):
        if previous is not None and record.previous != previous:
            return index
        if record.hash != chain(record.previous, *(getattr(record, name) for name in SEALED)):
            return index
        previous = record.hash
    return None
