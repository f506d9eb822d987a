from services.snapshotter.reporter import Reporter
from tests.undertow.storage.rows import commit, store_at, trades
from undertow.storage.layout import HOUR_NS


def test_the_page_of_a_day_is_written_once_when_it_is_over(tmp_path):
    store = store_at(tmp_path)
    commit(store.writer("a"), trades(1))
    reporter = Reporter(store)
    assert not reporter.report(23 * HOUR_NS)
    assert not reporter.report(24 * HOUR_NS)  # late rows may come
    assert reporter.report(25 * HOUR_NS)
    assert not reporter.report(26 * HOUR_NS)
    assert not Reporter(store).report(26 * HOUR_NS)
    assert b"Data quality of 1970-01-01" in store.files.read("_quality/1970-01-01.html")


def test_a_day_without_rows_has_no_page(tmp_path):
    assert not Reporter(store_at(tmp_path)).report(25 * HOUR_NS)
    assert list(tmp_path.iterdir()) == []
