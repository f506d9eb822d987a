from __future__ import annotations

from services.ingestor.rejects import A_SECOND, BURST, KEPT_BYTES, Rejects

SECOND_NS = 1_000_000_000


def test_a_frame_is_kept_with_its_reason_its_size_and_its_beginning():
    kept = Rejects().keep("ABCUSDT", "no number", b"x" * (KEPT_BYTES + 1), 7)
    assert (kept.symbol, kept.reason, kept.size, kept.raw) == (
        "ABCUSDT",
        "no number",
        KEPT_BYTES + 1,
        b"x" * KEPT_BYTES,
    )
    assert (kept.ts_event, kept.ts_recv) == (7, 7)


def test_a_flood_is_cut_and_what_trickles_is_kept():
    rejects = Rejects()
    assert sum(rejects.keep("A", "", b"", 7) is not None for _ in range(10 * BURST)) == BURST
    assert sum(rejects.keep("A", "", b"", 7 + SECOND_NS) is not None for _ in range(BURST)) == A_SECOND
    later = [rejects.keep("A", "", b"", second * SECOND_NS) for second in range(2, 20)]
    assert None not in later
