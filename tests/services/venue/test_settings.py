from __future__ import annotations

import ssl
import subprocess
import time

import aiohttp
import pytest

from services.venue.market_choice import choose_market
from services.venue.settings import PaperSettings, Settings
from tests.services.venue.little_market import book, running, ticker, trade, write_tape
from tests.support import eventually
from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import load


@pytest.fixture
def tape(tmp_path):
    return write_tape(tmp_path / "t.rawlines", [(0, book()), (1, ticker()), (60_000, trade(60_000))])


def refused(**paper):
    with pytest.raises(ConfigurationError) as caught:
        Settings(paper=PaperSettings(**paper))
    return caught.value.variable


def test_contradictions_name_the_variable(tmp_path):
    assert refused(inject=True) == "UNDERTOW_PAPER__INJECT"
    assert refused(tls_certificate=tmp_path / "c.pem") == "UNDERTOW_PAPER__TLS_KEY"
    assert refused(tls_key=tmp_path / "k.pem") == "UNDERTOW_PAPER__TLS_CERTIFICATE"
    assert refused(tls_port=1) == "UNDERTOW_PAPER__TLS_PORT"
    both = {"tls_certificate": tmp_path / "c.pem", "tls_key": tmp_path / "k.pem", "tls_folder": tmp_path}
    assert refused(**both) == "UNDERTOW_PAPER__TLS_FOLDER"
    assert refused(tape=tmp_path / "t.rawlines", origin="now") == "UNDERTOW_PAPER__ORIGIN"


def test_what_is_of_the_generated_market_is_refused_for_a_tape_or_an_upstream(tmp_path):
    assert refused(market="calibrated", tape=tmp_path / "t") == "UNDERTOW_PAPER__MARKET"
    assert refused(edge_bps=0.0, upstream="ws://127.0.0.1:1/") == "UNDERTOW_PAPER__EDGE_BPS"
    assert refused(frame_rate=20.0, tape=tmp_path / "t") == "UNDERTOW_PAPER__FRAME_RATE"


def test_the_generated_market_shows_its_book_as_often_as_it_is_told(monkeypatch):
    assert choose_market(load(Settings)).source.frame_rate == 10
    monkeypatch.setenv("UNDERTOW_PAPER__FRAME_RATE", "25")
    assert choose_market(load(Settings)).source.frame_rate == 25


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "generated, demonstration (seed 7, cascades each 11 s, planted edge 25 bp)"),
        ({"EDGE_BPS": "0"}, "generated, demonstration (seed 7, cascades each 11 s, no planted edge)"),
        ({"MARKET": "calibrated", "SEED": "3"}, "generated, calibrated (seed 3, no planted edge)"),
        ({"MARKET": "calibrated", "EDGE_BPS": "12.5"}, "generated, calibrated (seed 7, planted edge 12.5 bp)"),
    ],
)
def test_the_generated_market_is_what_the_settings_say_and_its_label_says_it(monkeypatch, environment, words):
    for name, value in environment.items():
        monkeypatch.setenv(f"UNDERTOW_PAPER__{name}", value)
    assert choose_market(load(Settings)).source.label == words


def test_the_venue_exists_in_paper_only():
    with pytest.raises(ConfigurationError) as caught:
        Settings(mode=Mode.DEMO)
    assert caught.value.variable == "UNDERTOW_MODE"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE", "0"),
        ("RATE", "fast"),
        ("START", "later"),
        ("OPENING_BALANCE", "-1"),
        ("RATE_LIMITS", '{"order/realtime": 100}'),
        ("RATE_LIMITS", '{"order/create": 0}'),
        ("RATE_LIMITS", "lots"),
        ("MARKET", "real"),
        ("EDGE_BPS", "-1"),
        ("FRAME_RATE", "0.5"),
        ("FRAME_RATE", "101"),
        ("ORIGIN", "yesterday"),
        ("UPSTREAM", "stream.example"),
        ("NOPE", "1"),
    ],
)
def test_a_malformed_setting_is_named(monkeypatch, name, value):
    monkeypatch.setenv(f"UNDERTOW_PAPER__{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        load(Settings)
    assert caught.value.variable.startswith("UNDERTOW_PAPER")


def test_settings_are_read_from_the_environment(monkeypatch, tape):
    monkeypatch.setenv("UNDERTOW_PAPER__TAPE", str(tape))
    monkeypatch.setenv("UNDERTOW_PAPER__RATE_LIMITS", '{"order/create": 400}')
    monkeypatch.setenv("UNDERTOW_PAPER__OPENING_BALANCE", "250.5")
    paper = load(Settings).paper
    assert (paper.tape, paper.rate_limits, str(paper.opening_balance)) == (tape, {"order/create": 400}, "250.5")


def test_an_empty_tape_setting_means_the_generated_market(monkeypatch):
    monkeypatch.setenv("UNDERTOW_PAPER__TAPE", "")
    assert choose_market(load(Settings)).frames_total is None


async def test_market_time_can_be_the_wall_time_so_that_a_client_signs_without_asking_for_it(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)
    async with running(origin="now", start="on_command") as client:
        before = client.venue.clock.reading.origin_ns
        assert abs(time.time_ns() - before) < 60 * 10**9
        await client.start()
        reading = client.venue.clock.reading
        assert reading.origin_ns == reading.wall_origin_ns >= before
        await eventually(lambda: client.has_sent(10))
        stamp = time.time_ns() // 10**6
        assert (await client.get("/v5/account/info", "", timestamp=stamp))["retCode"] == 0


def test_a_symbol_without_filters_is_refused():
    with pytest.raises(ConfigurationError, match="NOPEUSDT are not known"):
        choose_market(Settings(symbols=("NOPEUSDT",)))


def test_a_tape_of_unknown_symbols_is_refused(tmp_path):
    frame = book()
    frame["topic"] = "orderbook.200.NOPEUSDT"
    path = write_tape(tmp_path / "t.rawlines", [(0, frame)])
    with pytest.raises(ConfigurationError) as caught:
        choose_market(Settings(paper=PaperSettings(tape=path)))
    assert caught.value.variable == "UNDERTOW_PAPER__TAPE"


def test_symbols_asked_for_must_be_on_the_tape(tape):
    with pytest.raises(ConfigurationError, match=r"holds no ETHUSDT, only BTCUSDT"):
        choose_market(Settings(symbols=("BTCUSDT", "ETHUSDT"), paper=PaperSettings(tape=tape)))
    assert choose_market(Settings(paper=PaperSettings(tape=tape))).frames_total == 3


def certificate(folder):
    paths = folder / "c.pem", folder / "k.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-out", str(paths[0]), "-keyout", str(paths[1])),
        ],
        check=True,
        capture_output=True,
    )
    return paths


async def test_tls_is_spoken_on_a_port_of_its_own(tmp_path, tape):
    cert, key = certificate(tmp_path)
    async with running(tape=tape, tls_certificate=cert, tls_key=key) as client:
        port = await eventually(lambda: client.venue.tls_port)
        trusting = ssl.create_default_context(cafile=str(cert))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"https://127.0.0.1:{port}/v5/market/time", ssl=trusting) as answer:
                assert (await answer.json())["retCode"] == 0
            async with session.ws_connect(f"wss://127.0.0.1:{port}/v5/public/linear", ssl=trusting) as wire:
                await wire.send_json({"op": "ping"})
                assert (await wire.receive_json())["ret_msg"] == "pong"
        assert (await client.page("/v5/market/time"))["retCode"] == 0


async def test_a_certificate_that_is_none_is_refused(tmp_path, tape):
    (tmp_path / "c.pem").write_text("no")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        async with running(tape=tape, tls_certificate=tmp_path / "c.pem", tls_key=tmp_path / "c.pem"):
            pass
