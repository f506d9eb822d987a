from __future__ import annotations

from tests.services.trainer.conftest import SMALL, SYMBOLS


def test_the_job_reports_its_progress(small_job):
    _, steps = small_job
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    assert steps[-1] == ("done", 1.0)


def test_the_card_says_what_it_was_trained_on(small_job):
    card = small_job[0].card
    assert card.demonstration
    assert card.data["market"] == "generated"
    assert card.data["symbols"] == list(SYMBOLS)
    assert card.data["market_seconds"] == SMALL.market_seconds
    assert len(card.data["fingerprint"]) == 64
    assert card.training["trees"]["return"] <= SMALL.trees
    assert "hour_sin" in card.training["ignored_features"]
