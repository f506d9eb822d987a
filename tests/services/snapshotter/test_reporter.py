import pytest

from services.snapshotter.reporter import Reporter
from tests.undertow.storage.rows import commit, store_at, trades
from undertow.storage.errors import StorageError
from undertow.storage.layout import HOUR_NS
from undertow.storage.settings import StoreSettings


def reporter_of(folder):
    return Reporter(store_at(folder), StoreSettings(root=str(folder)))


def test_the_page_of_a_day_is_written_once_when_it_is_over(tmp_path):
    commit(store_at(tmp_path).writer("a"), trades(1))
    reporter = reporter_of(tmp_path)
    assert not reporter.report(23 * HOUR_NS)
    assert not reporter.report(24 * HOUR_NS)  # late rows may come
    assert reporter.report(25 * HOUR_NS)
    assert not reporter.report(26 * HOUR_NS)
    assert not reporter_of(tmp_path).report(26 * HOUR_NS)
    assert "Data quality of 1970-01-01" in (tmp_path / "_quality" / "1970-01-01.html").read_text()


def test_a_day_without_rows_has_no_page(tmp_path):
    assert not reporter_of(tmp_path).report(25 * HOUR_NS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long  # starts a process that loads everything a page needs
def test_a_page_that_cannot_be_made_is_an_error_that_says_how_to_see_why(tmp_path):
    commit(store_at(tmp_path).writer("a"), trades(1))
    next(tmp_path.rglob("*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(StorageError, match="undertow quality 1970-01-01"):
        reporter_of(tmp_path).report(25 * HOUR_NS)
