from __future__ import annotations

from pathlib import Path

from services.model_server.rehearsal import TIMES, rehearse
from undertow.contracts.messages.decision import Verdict
from undertow.domain.state import Mode
from undertow.learning.registry import load_serving


def test_a_rehearsal_asks_the_model_and_the_policy(tmp_path: Path):
    entry = load_serving(tmp_path, Mode.PAPER)
    looks = rehearse(entry.scorer(), len(entry.card.features))
    assert len(looks) == TIMES
    assert {look.decision.verdict for look in looks if look} <= {Verdict.SIGNALLED, Verdict.NO_EDGE}
