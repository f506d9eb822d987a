"""Looks at vectors that nobody sent, by a core that nobody reads: the first decision of the day is then as quick as the others."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np

from services.model_server.core import Look, ModelServerCore
from undertow.contracts.audit import AuditChain
from undertow.contracts.messages.decision import Features
from undertow.domain.order import Side
from undertow.learning.grid import ARM_COLUMNS
from undertow.learning.policy import ThompsonPolicy
from undertow.learning.scoring import Scorer

NAME: Final = "rehearsal"
TIMES: Final = 20


def rehearse(scorer: Scorer, features: int) -> list[Look | None]:
    """Take some vectors of `features` zeros from schema check to record; give the looks, which are for nobody to publish."""
    core = ModelServerCore(scorer, features + len(ARM_COLUMNS), ThompsonPolicy(), AuditChain(NAME))
    values = np.zeros(features, dtype="<f8").tobytes()
    return [
        core.on_features(
            Features(
                ts_event=number,
                ts_recv=number,
                symbol=NAME,
                schema_hash=scorer.schema_hash,
                trigger=NAME,
                trigger_side=Side.BUY,
                values=values,
                mid=Decimal(1),
                best_bid=Decimal(1),
                best_ask=Decimal(1),
            ),
            NAME,
            number,
        )
        for number in range(TIMES)
    ]
