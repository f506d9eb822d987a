from __future__ import annotations

import gc
import weakref

import pytest

from undertow.runtime.memory import settle


class Knot:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before():
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_start_up_has_made_is_not_examined_again():
    made = [Knot() for _ in range(100)]
    settle()
    assert gc.get_freeze_count() > 100
    assert not any(each is made[0] for each in gc.get_objects())


def test_garbage_from_before_is_gone_and_later_garbage_is_still_collected():
    early = weakref.ref(Knot())
    settle()
    later = weakref.ref(Knot())
    assert early() is None
    gc.collect()
    assert later() is None
