from __future__ import annotations

from decimal import Decimal

from services.venue.premium_window import WINDOW_NS, PremiumWindow

SECOND = 1_000_000_000
START = 1_786_310_820 * SECOND


def seen(*premiums: tuple[int, str]) -> PremiumWindow:
    window = PremiumWindow()
    for at_s, premium in premiums:
        window.saw(START + at_s * SECOND, Decimal(premium))
    return window


def average(window: PremiumWindow, at_s: float) -> Decimal:
    return window.average(START + int(at_s * SECOND))


def test_a_premium_counts_as_long_as_it_stood_within_the_last_30_seconds() -> None:
    window = seen((0, "30"), (10, "60"), (20, "0"))
    assert average(window, 30) == 30
    assert average(window, 35) == 5 * 30 / 30 + 10 * 60 / 30
    assert average(window, 50) == 0


def test_a_market_that_has_just_begun_is_averaged_over_its_age() -> None:
    window = seen((0, "8"), (1, "2"))
    assert average(seen(), 0) == 0
    assert average(seen((0, "8")), 0) == 8
    assert average(window, 1) == 8
    assert average(window, 2) == 5
    assert average(window, 3) == 4


def test_after_a_silence_longer_than_the_window_what_was_seen_last_still_stands() -> None:
    window = seen((0, "90"), (1, "-7.5"))
    assert average(window, 31) == Decimal("-7.5")
    assert average(window, 3600) == Decimal("-7.5")
    window.saw(START + 3600 * SECOND, Decimal("22.5"))
    assert average(window, 3615) == Decimal("7.5")


def test_it_is_looked_at_once_a_second() -> None:
    window = seen((0, "1"))
    assert not window.wants(START + SECOND - 1)
    assert window.wants(START + SECOND)


def test_a_time_far_ahead_does_not_stop_the_looks_that_follow() -> None:
    window = seen((0, "1"), (100_000, "50"))
    assert window.wants(START + SECOND)
    window.saw(START + SECOND, Decimal(3))
    assert average(window, 2) == 2


def test_what_has_left_the_window_is_forgotten() -> None:
    window = seen(*((at_s, "1") for at_s in range(1000)))
    assert len(window._seen) <= WINDOW_NS // SECOND + 1
