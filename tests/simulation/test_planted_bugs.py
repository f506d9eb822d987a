"""Whether the simulation would notice: six bugs, planted here and nowhere else, each caught within 200 seeds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from services.order_router.app import OrderRouter
from services.order_router.hands import Hands
from services.position_manager.core import Effect, PositionManagerCore, VenueView
from tests.simulation.bus import SimulatedReader
from tests.simulation.one_seed import play
from undertow.trading import effects as fx
from undertow.trading.desk import Desk
from undertow.trading.keeper import Answer, Keeper, Unknown
from undertow.trading.ledger import Ledger
from undertow.trading.records import EntrySubmitted, ExitSubmitted
from undertow.trading.trade import Trade

pytestmark = [pytest.mark.compiled, pytest.mark.unmeasured]

SEEDS = 200
Patch = pytest.MonkeyPatch


def resends_under_a_new_id(patch: Patch) -> None:
    """An order without an answer is sent again at once, under an id that the venue does not know yet."""

    class Impatient(Hands):
        async def _answer(self, effect: fx.Send) -> Answer:
            answer = await super()._answer(effect)
            if isinstance(answer, Unknown):
                again = replace(effect.request, order_id=effect.request.order_id[:-1] + "+")
                return await super()._answer(replace(effect, request=again))
            return answer

    patch.setattr("services.order_router.app.Hands", Impatient)


def counts_executions_twice(patch: Patch) -> None:
    """Whoever hears of an execution books it, known or not."""
    patch.setattr(Desk, "knows_execution", lambda _desk, _exec_id: False)
    book = Ledger.book

    def booked(ledger: Ledger, fill: object) -> bool:
        ledger._executions.clear()
        return book(ledger, fill)

    patch.setattr(Ledger, "book", booked)


def writes_behind(patch: Patch) -> None:
    """An order leaves first; its record follows when there is time."""

    class Hasty(OrderRouter):
        def perform(self, effects: list[fx.Effect]) -> None:
            late = [each for each in effects if _submits(each)]
            super().perform([each for each in effects if not _submits(each)])
            if late:
                asyncio.get_running_loop().call_later(0.02, super().perform, late)

    patch.setattr("tests.simulation.fleet.OrderRouter", Hasty)


def acknowledges_before_the_effect(patch: Patch) -> None:
    """What was delivered counts as done."""

    class Eager(SimulatedReader):
        async def batches(self) -> AsyncIterator[list[object]]:
            self._taken = self._done_when_taken  # type: ignore[method-assign]
            async for batch in super().batches():
                yield batch

        def _done_when_taken(self, found: object, *, fresh: bool) -> list[object]:
            batch = SimulatedReader._taken(self, found, fresh=fresh)
            self._untold += batch
            self._tell_acks()
            return batch

    patch.setattr("tests.simulation.bus.SimulatedReader", Eager)


def lets_an_old_snapshot_win(patch: Patch) -> None:
    """The books believe what the venue said before they knew of a fill, and at once."""
    on_view = PositionManagerCore.on_view

    def believed(core: PositionManagerCore, view: VenueView, now_ns: int) -> list[Effect]:
        fresh = core._ledger.residuals({each.symbol: each.qty for each in view.positions}, view.wallet.wallet)
        core._last = fresh
        return on_view(core, replace(view, revision=core.revision), now_ns)

    patch.setattr(PositionManagerCore, "on_view", believed)


def loses_an_exit(patch: Patch) -> None:
    """An exit that was sent will have closed the position."""
    begin_ns = Keeper._exit_begin_ns

    def begun_once(keeper: Keeper, trade: Trade) -> int | None:
        return None if trade.exits else begin_ns(keeper, trade)

    patch.setattr(Keeper, "_exit_begin_ns", begun_once)


def _submits(effect: fx.Effect) -> bool:
    return isinstance(effect, fx.Journal) and isinstance(effect.record, EntrySubmitted | ExitSubmitted)


BUGS = [
    (resends_under_a_new_id, "has no owner"),
    (counts_executions_twice, r"REDUCING|has no owner|order_router/\d+ ended|only \d+ trades|residual"),
    (writes_behind, "before the disk has its record"),
    (acknowledges_before_the_effect, "commands not taken"),
    (lets_an_old_snapshot_win, "REDUCING|residual"),
    (loses_an_exit, "still there"),
]


@pytest.mark.parametrize(("plant", "noticed"), BUGS, ids=[plant.__name__ for plant, _ in BUGS])
def test_a_planted_bug_is_caught(plant: Callable[[Patch], None], noticed: str) -> None:
    assert any(is_caught(seed, plant, noticed) for seed in range(1, SEEDS + 1))


def is_caught(seed: int, plant: Callable[[Patch], None], noticed: str) -> bool:
    """Whether a seed fails in this way with the bug and not without it."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        fails = re.search(noticed, play(seed).problem)
    return bool(fails) and not re.search(noticed, play(seed).problem)
