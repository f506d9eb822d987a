from __future__ import annotations

from pathlib import Path

from undertow.trading.limits import CHANGEABLE
from undertow.trading.risk import CHECKS

PAGE = (Path(__file__).parents[3] / "docs" / "risk.md").read_text(encoding="utf-8")


def test_the_page_has_a_line_for_each_check_with_its_own_words_in_their_order():
    rows = [f"| `{check.__name__}` | {(check.__doc__ or '').splitlines()[0]} |" for check in CHECKS]
    assert "\n".join(rows) in PAGE


def test_the_page_has_each_limit_that_can_be_changed_with_its_range():
    rows = [f"| `{name}` | {bound.least} | {bound.most} | {bound.unit} |" for name, bound in CHANGEABLE.items()]
    assert "\n".join(rows) in PAGE
