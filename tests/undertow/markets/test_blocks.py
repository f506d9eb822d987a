import gzip
import resource
import subprocess
from pathlib import Path

import pytest
import zstandard

from undertow.markets.blocks import BlockFile
from undertow.markets.notes import End, Head, encode_note
from undertow.markets.rawlines import TapeError, read_lines

HEAD = Head(source="ws://here", mode="paper", clock="market", symbols=("BTCUSDT",), topics=("tickers.BTCUSDT",))
LINES = [
    [b"%d %s\n" % (number, b'{"topic":"tickers.BTCUSDT","n":%d}' % number) for number in range(begin, begin + 100)]
    for begin in (100, 200, 300)
]


def written(path: Path) -> list[int]:
    """A recording of three blocks; gives where each ends."""
    file, ends = BlockFile(path), []
    for number, block in enumerate(LINES):
        first = [b"1 %s\n" % encode_note(HEAD)] if number == 0 else []
        file.write(b"".join(first + block))
        ends.append(file.size)
    file.close()
    return ends


def times(path: Path) -> list[int]:
    return [received_ns for _, received_ns, _ in read_lines(path)][1:]


def test_what_is_written_block_by_block_is_read_as_lines(tmp_path):
    path = tmp_path / "a.zst"
    ends = written(path)
    assert path.stat().st_size == ends[-1]
    assert times(path) == list(range(100, 400))


def test_the_tool_of_zstd_reads_it_too(tmp_path):
    path = tmp_path / "a.zst"
    written(path)
    whole = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True).read()
    assert whole == b"1 %s\n" % encode_note(HEAD) + b"".join(line for block in LINES for line in block)


def test_a_file_cut_anywhere_reads_up_to_its_last_block_at_least(tmp_path):
    path = tmp_path / "a.zst"
    ends = written(path)
    whole = path.read_bytes()
    for size in range(ends[0], len(whole)):
        path.write_bytes(whole[:size])
        found = times(path)
        blocks = sum(size >= end for end in ends)
        assert found == list(range(100, 100 + len(found)))
        assert len(found) >= 100 * blocks, size


def test_a_file_that_grows_reads_as_far_as_it_goes(tmp_path):
    path = tmp_path / "a.zst"
    file = BlockFile(path)
    file.write(b"1 %s\n" % encode_note(HEAD) + LINES[0][0])
    assert times(path) == [100]
    file.write(LINES[0][1])
    assert times(path) == [100, 101]
    file.close()


def test_a_flipped_bit_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.zst"
    ends = written(path)
    damaged = bytearray(path.read_bytes())
    damaged[ends[0] + (ends[1] - ends[0]) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(TapeError, match=r"a\.zst, line \d+: the zstd stream is damaged"):
        times(path)


def test_a_foreign_file_that_is_cut_is_refused(tmp_path):
    path = tmp_path / "foreign.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(b"".join(LINES[0]))[:-9])
    with pytest.raises(TapeError, match="the zstd stream is cut short"):
        times(path)


def test_gzip_plain_and_zstd_read_alike(tmp_path):
    content = b"".join(LINES[0])
    for name, data in (
        ("a.gz", gzip.compress(content)),
        ("a.rawlines", content),
        ("a.zst", zstandard.ZstdCompressor().compress(content)),
    ):
        (tmp_path / name).write_bytes(data)
        assert [raw for _, _, raw in read_lines(tmp_path / name)] == [
            line.rstrip().partition(b" ")[2] for line in LINES[0]
        ]


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    path = tmp_path / "a.zst"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        BlockFile(path)
    assert path.read_bytes() == b"precious"


@pytest.fixture
def little_room():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_block_that_finds_no_room_leaves_the_blocks_before_it(tmp_path, little_room):
    path = tmp_path / "a.zst"
    file = BlockFile(path)
    file.write(b"1 %s\n" % encode_note(HEAD) + b"".join(LINES[0]))
    whole = file.size
    little_room(whole + 5)  # the system writes what fits, then refuses
    with pytest.raises(OSError, match=r"a\.zst"):
        file.write(b"".join(LINES[1]))
    assert path.stat().st_size == whole
    little_room(whole + 10_000)
    file.write(b"900 %s\n" % encode_note(End(reason="full")))
    file.close()
    assert times(path) == [*range(100, 200), 900]


def test_the_command_line_tool_agrees_where_there_is_one(tmp_path):
    path = tmp_path / "a.zst"
    written(path)
    try:
        done = subprocess.run(["zstdcat", str(path)], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("zstdcat is not installed")
    assert done.stdout.count(b"\n") == 301
