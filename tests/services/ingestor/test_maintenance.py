from __future__ import annotations

from services.ingestor.maintenance import HOLDS_NS, Maintenance
from undertow.contracts.messages.reference import VenueStatus


def said(at_ns, *, operational, end_ns=0, title="upgrade"):
    return VenueStatus(ts_event=at_ns, ts_recv=at_ns, operational=operational, maintenance=title, end_ns=end_ns)


def test_without_a_word_the_feed_runs():
    assert Maintenance().reason(0) is None


def test_it_pauses_from_bad_news_to_good_news():
    maintenance = Maintenance()
    maintenance.on_status(said(10, operational=False))
    assert maintenance.reason(11) == "upgrade"
    maintenance.on_status(said(12, operational=True))
    assert maintenance.reason(13) is None


def test_bad_news_without_a_title_is_bad_news():
    maintenance = Maintenance()
    maintenance.on_status(said(10, operational=False, title=""))
    assert maintenance.reason(11) == "maintenance"


def test_old_news_change_nothing():
    maintenance = Maintenance()
    maintenance.on_status(said(12, operational=True))
    maintenance.on_status(said(10, operational=False))
    assert maintenance.reason(13) is None


def test_the_announced_end_ends_the_pause():
    maintenance = Maintenance()
    maintenance.on_status(said(10, operational=False, end_ns=50))
    assert maintenance.reason(49) == "upgrade"
    assert maintenance.reason(50) is None


def test_bad_news_that_nobody_repeats_do_not_hold_for_ever():
    maintenance = Maintenance()
    maintenance.on_status(said(10, operational=False))
    assert maintenance.reason(9 + HOLDS_NS) == "upgrade"
    assert maintenance.reason(10 + HOLDS_NS) is None
    maintenance.on_status(said(20, operational=False))
    assert maintenance.reason(10 + HOLDS_NS) == "upgrade"
