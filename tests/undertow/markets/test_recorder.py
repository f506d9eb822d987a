"""Parts of a recording: each plays by itself, together they are everything once."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from undertow.markets.notes import Answer, Back, End, Head, Lost, decode_note
from undertow.markets.recorder import ASK_AGAIN_NS, Recorder
from undertow.markets.tape import TapeSource

TOPICS = ("orderbook.200.BTCUSDT", "orderbook.200.ETHUSDT", "tickers.BTCUSDT", "publicTrade.BTCUSDT")
STIRRED = ["orderbook.200.BTCUSDT", "orderbook.200.ETHUSDT", "tickers.BTCUSDT"]
HEAD = Head(source="ws://here", mode="live", clock="wall", symbols=("BTCUSDT", "ETHUSDT"), topics=TOPICS)
ANSWER = Answer(path="/v5/market/instruments-info", symbol="BTCUSDT", result={"list": []})


def frame(topic: str, kind: str = "delta", n: int = 0) -> bytes:
    return json.dumps({"topic": topic, "type": kind, "n": n}, separators=(",", ":")).encode()


class Files:
    """What a shell would have on disk."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.content: dict[str, list[tuple[int, bytes]]] = {}
        self.done: list[str] = []

    def sync(self) -> None:
        for part in self.recorder.take():
            assert part.name not in self.done
            lines = [line.rstrip(b"\n").split(b" ", 1) for line in part.lines]
            self.content.setdefault(part.name, []).extend((int(stamp), raw) for stamp, raw in lines)
            if part.is_done:
                self.done.append(part.name)

    def frames(self, name: str) -> list[bytes]:
        return [raw for _, raw in self.content[name] if b'"topic":' in raw[:9]]

    def notes(self, name: str) -> list[object]:
        return [note for _, raw in self.content[name] if (note := decode_note(raw))]


def test_a_frame_that_is_no_json_is_left_out_and_counted_and_one_of_several_lines_is_one_line():
    files = Files(recorder := Recorder(HEAD))
    recorder.begin("a", [], 1)
    recorder.on_frames([(frame(TOPICS[0], "snapshot"), 2)])
    files.sync()
    assert recorder.begin("b", [], 3) == STIRRED  # from here on it looks at each frame's topic
    pretty = json.dumps({"topic": TOPICS[3], "type": "snapshot"}, indent=1).encode()
    recorder.on_frames([(b'{"topic"', 4), (b"<html>", 5), (b"[" * 100_000, 6), (pretty, 7)])
    recorder.end("enough", 8)
    files.sync()
    assert (recorder.frames, recorder.garbled) == (2, 3)
    assert [json.loads(raw)["topic"] for at, raw in files.content["b"] if at == 7] == [TOPICS[3]]


def test_a_recording_begins_with_head_and_contracts_and_ends_with_a_last_line():
    files = Files(recorder := Recorder(HEAD))
    assert recorder.begin("a", [ANSWER], 5) == []
    recorder.on_frames([(frame(TOPICS[0], "snapshot"), 6), (frame(TOPICS[3]), 7)])
    recorder.end("enough", 8)
    files.sync()
    assert files.content["a"][1:-1] == [
        (5, files.content["a"][1][1]),
        (6, frame(TOPICS[0], "snapshot")),
        (7, frame(TOPICS[3])),
    ]
    assert files.notes("a") == [HEAD, ANSWER, End(reason="enough")]
    assert files.done == ["a"]
    assert recorder.take() == []


def test_a_clock_that_is_set_back_does_not_disorder_the_lines():
    files = Files(recorder := Recorder(HEAD))
    recorder.begin("a", [], 5)
    recorder.on_frames([(frame(TOPICS[3], n=1), 9), (frame(TOPICS[3], n=2), 7), (frame(TOPICS[3], n=3), 10)])
    files.sync()
    assert [stamp for stamp, _ in files.content["a"]] == [5, 9, 9, 10]


def test_at_a_change_of_parts_a_topic_stays_in_the_old_one_until_its_snapshot_comes():
    files = Files(recorder := Recorder(HEAD))
    recorder.begin("a", [], 1)
    recorder.on_frames([(frame(topic, "snapshot"), 2) for topic in TOPICS])
    assert recorder.begin("b", [ANSWER], 3) == STIRRED
    assert recorder.is_changing
    recorder.on_frames([(frame(TOPICS[0], n=1), 4), (frame(TOPICS[3], n=2), 4), (frame(TOPICS[0], "snapshot", 3), 5)])
    recorder.on_frames([(frame(TOPICS[0], n=4), 6), (frame(TOPICS[1], n=5), 6)])
    recorder.on_frames([(frame(TOPICS[1], "snapshot", 6), 7), (frame(TOPICS[2], "snapshot", 7), 8)])
    assert not recorder.is_changing
    recorder.on_frames([(frame(TOPICS[1], n=8), 9)])
    recorder.end("enough", 10)
    files.sync()
    assert [json.loads(raw)["n"] for raw in files.frames("a")[4:]] == [1, 5]
    assert [json.loads(raw)["n"] for raw in files.frames("b")] == [2, 3, 4, 6, 7, 8]
    assert files.notes("a")[-1] == End(reason="continued", continued="b")
    assert files.notes("b")[0] == Head(**{**_fields(HEAD), "continues": "a"})
    assert files.done == ["a", "b"]


def _fields(head: Head) -> dict:
    return {name: getattr(head, name) for name in head.__struct_fields__}


def test_without_topics_that_have_snapshots_parts_change_at_once():
    head = Head(source="", mode="live", clock="wall", symbols=("BTCUSDT",), topics=(TOPICS[3],))
    files = Files(recorder := Recorder(head))
    for number in range(3):
        assert recorder.begin(f"part-{number}", [], number) == []
        recorder.on_frames([(frame(TOPICS[3], n=number), number)])
    files.sync()
    assert [len(files.frames(f"part-{number}")) for number in range(3)] == [1, 1, 1]
    assert files.done == ["part-0", "part-1"]


def test_a_snapshot_that_does_not_come_is_asked_for_again():
    recorder = Recorder(HEAD)
    recorder.begin("a", [], 1)
    recorder.on_frames([(frame(TOPICS[0], "snapshot"), 2)])
    recorder.begin("b", [], 3)
    recorder.on_frames([(frame(TOPICS[0], "snapshot"), 4)])
    assert recorder.on_time(3 + ASK_AGAIN_NS - 1) == []
    assert recorder.on_time(3 + ASK_AGAIN_NS) == STIRRED[1:]
    assert recorder.on_time(4 + ASK_AGAIN_NS) == []


def test_a_lost_connection_is_noted_once_with_its_length_and_ends_a_change():
    files = Files(recorder := Recorder(HEAD))
    recorder.begin("a", [], 1)
    recorder.on_disconnected("nobody there yet", 1)
    recorder.on_connected(2)
    recorder.on_frames([(frame(TOPICS[0], "snapshot"), 2)])
    recorder.begin("b", [], 3)
    recorder.on_disconnected("cut", 4)
    recorder.on_disconnected("still cut", 5)
    recorder.on_connected(9)
    recorder.on_frames([(frame(TOPICS[0], "snapshot"), 10)])
    files.sync()
    assert files.notes("b")[1:] == [Lost(reason="cut"), Back(after_ns=5)]
    assert files.done == ["a"]
    assert recorder.lost == 1


def book(symbol: str, kind: str, u: int) -> bytes:
    data = {"s": symbol, "b": [["10.0000", "1"]], "a": [["11.0000", "1"]], "u": u, "seq": u}
    return json.dumps({"topic": f"orderbook.200.{symbol}", "type": kind, "ts": 1, "data": data}).encode()


@given(st.lists(st.sampled_from(("AAAUSDT", "BBBUSDT", "turn", "answer")), max_size=60), st.integers(0, 5))
def test_parts_play_alone_and_together_as_what_came(tmp_path_factory, steps, lag):
    """Two books change, parts change at any moment, and snapshots come some frames after they were asked for."""
    folder: Path = tmp_path_factory.mktemp("parts")
    symbols = ("AAAUSDT", "BBBUSDT")
    head = Head(
        source="", mode="live", clock="wall", symbols=symbols, topics=tuple(f"orderbook.200.{s}" for s in symbols)
    )
    files = Files(recorder := Recorder(head))
    recorder.begin("part-0", [], 1)
    came, asked, parts, now = [], [], 1, 1

    def comes(raw: bytes) -> None:
        nonlocal now
        now += 1
        came.append(raw)
        recorder.on_frames([(raw, now)])

    for number, symbol in enumerate(symbols):
        comes(book(symbol, "snapshot", number + 2))
    for step in [*steps, *["answer"] * (lag + 3)]:
        if step == "turn" and not recorder.is_changing:
            asked += [(topic, lag) for topic in recorder.begin(f"part-{parts}", [], now)]
            parts += 1
        elif step in symbols:
            comes(book(step, "delta", now))
        elif asked:
            (topic, left), *asked = asked
            asked = [*asked, (topic, left - 1)] if left > 0 else asked
            if left <= 0:
                comes(book(topic.rpartition(".")[2], "snapshot", now))
    recorder.end("enough", now)
    files.sync()
    paths = []
    for name, lines in files.content.items():
        paths.append(folder / name)
        paths[-1].write_bytes(b"".join(b"%d %s\n" % line for line in lines))
    assert [frame.raw for frame in TapeSource(*reversed(paths)).frames()] == came
    whole = [path for path in paths if files.frames(path.name)]
    assert sum(TapeSource(path).frame_count for path in whole) == len(came)
