"""Our own recordings of Bybit as rows: what the ingestor would have published of the frames, with the times of their receipt.

Times of receipt are the recorder's. A stretch without a connection is a `Gap` of each symbol, and the snapshots after it are a `Resync`.
"""

from __future__ import annotations

from collections.abc import Iterator

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import Gap, GapReason
from undertow.exchange.bybit.facts import FrameDecoder, book_fact
from undertow.exchange.bybit.frames import BadFrameError, BookFrame, Control, decode_frame
from undertow.history.archive import Archive, ArchiveError
from undertow.history.bybit_books import BookWatch, watch_of
from undertow.markets.binance_wire import is_binance
from undertow.markets.notes import START, Lost, decode_note
from undertow.markets.rawlines import TapeError, read_lines


def read_recording(archive: Archive) -> Iterator[Message]:
    """Yield the facts of a recording in its order.

    Raises:
        ArchiveError: it is damaged, or holds something else than frames of Bybit.
    """
    decoder = FrameDecoder()
    watches: dict[str, BookWatch] = {}
    try:
        for number, received_ns, raw in read_lines(archive.path):
            archive.row = number
            if raw.startswith(START):
                if isinstance(note := decode_note(raw), Lost):
                    decoder.forget()
                    yield from _blind(watches, note.reason, received_ns)
                continue
            if is_binance(raw):
                raise archive.fault("is a frame of Binance, and history is kept of Bybit alone", "leave it out")
            frame = decode_frame(raw)
            if isinstance(frame, BookFrame):
                yield from watch_of(archive, frame, watches).messages(book_fact(frame, received_ns))
            elif not isinstance(frame, Control):
                yield from decoder.facts(frame, received_ns)
    except TapeError as error:
        raise ArchiveError(error.path, error.line, error.rule, error.remedy) from None
    except BadFrameError as error:
        raise archive.fault(f"is no frame of Bybit: {error.reason}", "leave it out") from None
    except ValueError as error:
        raise archive.fault(str(error), "leave it out") from None


def _blind(watches: dict[str, BookWatch], reason: str, now_ns: int) -> Iterator[Message]:
    symbols = {topic.rpartition(".")[2] for topic in watches}
    watches.clear()
    for symbol in sorted(symbols):
        yield Gap(ts_event=now_ns, ts_recv=now_ns, symbol=symbol, reason=GapReason.DISCONNECTED, detail=reason)
