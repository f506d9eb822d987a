from __future__ import annotations

from services.ingestor.losses import Loss
from undertow.contracts.messages.market import Gap, GapReason, Resync


def resync(at_ns):
    return Resync(ts_event=at_ns, ts_recv=0, symbol="ABCUSDT")


def test_what_is_lost_at_several_times_is_one_loss_with_the_whole_span_whatever_the_order_of_the_facts():
    first = Loss.of([resync(7), resync(5)])
    assert first == Loss(2, 5, 7)
    assert first.and_also(Loss.of([resync(6)])) == Loss(3, 5, 7)
    assert first.and_also(Loss.of([resync(3), resync(9)])) == Loss(4, 3, 9)


def test_the_gap_says_how_many_facts_are_lost_and_over_which_span():
    assert Loss(4, 1_500_000_000, 3_750_000_000).gap("ABCUSDT", 77) == Gap(
        ts_event=77,
        ts_recv=77,
        symbol="ABCUSDT",
        reason=GapReason.UNPUBLISHED,
        detail="the bus was away for too long: 4 facts of 2.250 s are lost",
        lost_facts=4,
        lost_from_ns=1_500_000_000,
        lost_until_ns=3_750_000_000,
    )
