from __future__ import annotations

import pytest

from services.rest_collector.failures import REASONS, reason_of
from undertow.exchange.errors import (
    AccessError,
    BadAnswerError,
    BannedError,
    ClockSkewError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    VenueBusyError,
)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OutcomeUnknownError(0, "not answered"), "timeout"),
        (OutcomeUnknownError(503, "busy"), "server"),
        (RateLimitedError(10006, "too many", 1), "rate_limited"),
        (ClockSkewError(10002, "time"), "clock"),
        (BannedError(403, "banned"), "banned"),
        (BadAnswerError(0, "odd"), "malformed"),
        (BadAnswerError(404, "no such path"), "absent"),
        (BadAnswerError(10017, "route not found"), "absent"),
        (VenueBusyError(0, "not sent"), "unreachable"),
        (AccessError(401, "who"), "access"),
        (OrderRefusedError(10001, "params"), "refused"),
    ],
)
def test_each_failure_has_its_word(error, word):
    assert reason_of(error) == word
    assert word in REASONS
