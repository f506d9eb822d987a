from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from undertow.storage.layout import HOUR_NS, Committed, PartFile, Place, counting, part_file, place_at, replaced

PLACE = Place("trades", date(2026, 11, 25), 7, "BTCUSDT")


def part(first: int, last: int, writer: str = "snapshotter-0", place: Place = PLACE) -> PartFile:
    return PartFile(place, writer, first, last)


def test_a_files_path_tells_its_place_its_writer_and_its_commits():
    path = "topic=trades/date=2026-11-25/hour=07/symbol=BTCUSDT/000000000003-000000000009.snapshotter-0.parquet"
    assert part(3, 9).path == path
    assert part_file(path) == part(3, 9)


def test_what_is_not_ours_is_no_part():
    for path in ("progress.json", "topic=trades/x.parquet", part(1, 1).path + ".part", "_progress/a.json"):
        assert part_file(path) is None


def test_the_place_is_the_hour_of_the_event():
    assert place_at("kline", "X", 25 * HOUR_NS) == Place("kline", date(1970, 1, 2), 1, "X")


def test_files_of_a_commit_count_from_the_moment_that_the_progress_names_it():
    assert counting([part(1, 1), part(2, 2)], {"snapshotter-0": Committed(1)}) == [part(1, 1)]
    assert counting([part(1, 1)], {}) == []


def test_files_of_a_void_number_never_count_and_a_compaction_over_it_does():
    committed = {"snapshotter-0": Committed(4, frozenset({2}))}
    assert counting([part(1, 1), part(2, 2), part(3, 3)], committed) == [part(1, 1), part(3, 3)]
    assert counting([part(1, 1), part(2, 2), part(1, 3)], committed) == [part(1, 3)]
    assert replaced([part(1, 1), part(2, 2), part(1, 3)], committed) == [part(1, 1)]


def test_a_compaction_stands_for_what_it_holds_and_for_nothing_else():
    files = [
        part(1, 1),
        part(2, 2),
        part(1, 3),
        part(4, 4),
        part(2, 2, "import"),
        part(2, 2, place=PLACE.__class__("book", PLACE.date, 7, "BTCUSDT")),
    ]
    committed = {"snapshotter-0": Committed(4), "import": Committed(2)}
    assert set(counting(files, committed)) == set(files) - {part(1, 1), part(2, 2)}
    assert replaced(files, committed) == [part(1, 1), part(2, 2)]


def test_a_compaction_that_the_reader_does_not_know_yet_leaves_the_old_files_to_it():
    assert counting([part(1, 1), part(2, 2), part(1, 2)], {"snapshotter-0": Committed(1)}) == [part(1, 1)]


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.data())
def test_every_commit_is_read_once_whatever_was_compacted(merges, data):
    kept = [part(number, number) for number in range(1, len(merges) + 2)]
    every = list(kept)
    for merge in merges:
        at = data.draw(st.integers(0, len(kept) - 1))
        if merge and at + 1 < len(kept):
            kept[at : at + 2] = [part(kept[at].first, kept[at + 1].last)]
            every.append(kept[at])
    files = data.draw(st.permutations(every))
    assert sorted(counting(files, {"snapshotter-0": Committed(len(merges) + 1)}), key=lambda f: f.first) == kept
