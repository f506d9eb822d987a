from __future__ import annotations

import io

import pytest
from rich.console import Console

from services.trainer import app
from services.trainer.settings import Settings
from tests.services.trainer.conftest import SMALL, SYMBOLS
from undertow.learning.registry import load_entry, read_champion


@pytest.fixture
def settings(monkeypatch, tmp_path):
    for name, value in {
        "SYMBOLS": ",".join(SYMBOLS),
        "MODEL__REGISTRY": str(tmp_path / "models"),
        **{f"TRAINING__{name.upper()}": str(value) for name, value in SMALL.model_dump(exclude={"promote"}).items()},
        "TRAINING__PROMOTE": "true",
    }.items():
        monkeypatch.setenv(f"UNDERTOW_{name}", value)
    return Settings()


def test_the_job_writes_a_sound_entry_makes_it_the_champion_and_prints_its_numbers(settings, monkeypatch, small_job):
    assert settings.training == SMALL.model_copy(update={"promote": True})
    monkeypatch.setattr(app, "train_demonstration", lambda *_: small_job[0])
    screen = io.StringIO()
    name = app.job(settings, Console(file=screen, width=120))
    root = settings.model.registry
    assert read_champion(root) == name
    assert load_entry(root, name).scorer().model_hash == name
    assert name in screen.getvalue()
    assert "net_bps_mean" in screen.getvalue()
    assert "good for PAPER only" in screen.getvalue()


@pytest.mark.parametrize(
    ("variable", "value", "code", "words"),
    [
        ("UNDERTOW_TRAINING__TREES", "0", 4, "UNDERTOW_TRAINING__TREES"),
        ("UNDERTOW_SYMBOLS", "XRPUSDT", 1, "XRPUSDT"),
        ("UNDERTOW_TRAINING__MARKET_SECONDS", "60", 1, "too few triggers"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(settings, monkeypatch, capsys, variable, value, code, words):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as caught:
        app.main()
    error = capsys.readouterr().err
    assert caught.value.code == code
    assert words in error
    assert error.count("\n") == 1
    assert not settings.model.registry.exists()
