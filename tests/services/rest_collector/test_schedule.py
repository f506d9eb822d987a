from __future__ import annotations

import pytest

from services.rest_collector.kinds import Kind, Task, tasks_of
from services.rest_collector.schedule import LONGEST_REST_NS, SECOND_NS, Schedule

INTEREST, RATIO, CLOCK = Task(Kind.OPEN_INTEREST, "A"), Task(Kind.LONG_SHORT_RATIO, "A"), Task(Kind.CLOCK)
BEGAN = 1_000 * SECOND_NS
MINUTE = 60 * SECOND_NS


@pytest.fixture
def schedule():
    return Schedule([INTEREST, RATIO, CLOCK], dict.fromkeys(Kind, MINUTE), BEGAN)


def all_due(schedule, now_ns, wall_ns=0):
    found = []
    while (task := schedule.next(now_ns, wall_ns)) is not None:
        schedule.begin(task, now_ns)
        found.append(task)
    return found


def test_everything_is_due_at_once_the_most_wanted_first(schedule):
    assert all_due(schedule, BEGAN) == [INTEREST, RATIO, CLOCK]
    assert all_due(schedule, BEGAN) == []  # all are under way


def test_a_task_keeps_its_beat_however_late_the_answers_are(schedule):
    for late_ns, beat in ((MINUTE // 2, 1), (MINUTE - 1, 2), (0, 3)):
        all_due(schedule, BEGAN + (beat - 1) * MINUTE)
        schedule.answered(INTEREST, BEGAN + (beat - 1) * MINUTE + late_ns)
        assert schedule.next(BEGAN + beat * MINUTE - 1, 0) is None
        assert schedule.next(BEGAN + beat * MINUTE, 0) == INTEREST


def test_beats_that_were_missed_are_left_out(schedule):
    all_due(schedule, BEGAN)
    schedule.answered(INTEREST, BEGAN + 5 * MINUTE + 1)
    assert schedule.next(BEGAN + 6 * MINUTE - 1, 0) is None
    assert schedule.next(BEGAN + 6 * MINUTE, 0) == INTEREST


def test_who_has_waited_longest_is_next(schedule):
    all_due(schedule, BEGAN)
    schedule.answered(RATIO, BEGAN + 3 * MINUTE)
    schedule.answered(INTEREST, BEGAN + 6 * MINUTE)
    assert all_due(schedule, BEGAN + 9 * MINUTE) == [RATIO, INTEREST]


def test_a_failure_rests_for_wall_time_and_twice_as_long_each_time(schedule):
    rests, wall_ns = [], 0
    for _ in range(9):
        all_due(schedule, BEGAN, wall_ns)
        schedule.failed(INTEREST, wall_ns)
        before = wall_ns
        while schedule.next(BEGAN, wall_ns) != INTEREST:  # the market stands still
            wall_ns += SECOND_NS
        rests.append((wall_ns - before) // SECOND_NS)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert LONGEST_REST_NS == 60 * SECOND_NS
    all_due(schedule, BEGAN, wall_ns)
    schedule.answered(INTEREST, BEGAN)
    all_due(schedule, BEGAN + MINUTE, wall_ns)
    schedule.failed(INTEREST, wall_ns)
    assert schedule.next(BEGAN + MINUTE, wall_ns + SECOND_NS) == INTEREST  # good answers are forgiven all


def test_a_kind_that_the_venue_wants_no_more_of_rests_for_all_symbols(schedule):
    schedule = Schedule([INTEREST, Task(Kind.OPEN_INTEREST, "B"), CLOCK], dict.fromkeys(Kind, MINUTE), BEGAN)
    schedule.rest(Kind.OPEN_INTEREST, 5 * SECOND_NS)
    assert all_due(schedule, BEGAN, 5 * SECOND_NS - 1) == [CLOCK]
    assert len(all_due(schedule, BEGAN, 5 * SECOND_NS)) == 2


def test_the_clock_can_be_asked_for_out_of_turn(schedule):
    all_due(schedule, BEGAN)
    schedule.answered(CLOCK, BEGAN)
    schedule.hasten(CLOCK, BEGAN + 1)
    assert schedule.next(BEGAN + 1, 0) == CLOCK
    schedule.hasten(Task(Kind.STATUS), BEGAN)  # another process asks for that
    assert schedule.next(BEGAN + 1, 0) == CLOCK


def test_the_age_of_a_kind_is_that_of_the_symbol_that_has_waited_longest():
    other = Task(Kind.OPEN_INTEREST, "B")
    schedule = Schedule([INTEREST, other], dict.fromkeys(Kind, MINUTE), BEGAN)
    for task in (INTEREST, other):
        schedule.begin(task, BEGAN)
    schedule.answered(INTEREST, BEGAN + MINUTE)
    assert schedule.age_ns(Kind.OPEN_INTEREST, BEGAN + 2 * MINUTE) == 2 * MINUTE
    schedule.answered(other, BEGAN + 2 * MINUTE)
    assert schedule.age_ns(Kind.OPEN_INTEREST, BEGAN + 2 * MINUTE) == MINUTE
    assert schedule.age_ns(Kind.CLOCK, BEGAN + 2 * MINUTE) == 0


def test_a_page_that_the_venue_has_not_is_asked_for_again_after_an_hour_and_has_no_age(schedule):
    all_due(schedule, BEGAN)
    schedule.absent(INTEREST, 0)
    assert schedule.age_ns(Kind.OPEN_INTEREST, BEGAN + 9 * MINUTE) == 0
    assert schedule.next(BEGAN + 9 * MINUTE, 3_599 * SECOND_NS) is None
    assert all_due(schedule, BEGAN + 9 * MINUTE, 3_600 * SECOND_NS) == [INTEREST]
    schedule.answered(INTEREST, BEGAN + 9 * MINUTE)
    assert schedule.age_ns(Kind.OPEN_INTEREST, BEGAN + 10 * MINUTE) == MINUTE


def test_one_process_of_a_fleet_asks_for_what_concerns_the_venue():
    kinds = [{task.kind for task in tasks_of(("A", "B"), asks_for_venue=asks)} for asks in (True, False)]
    assert kinds == [set(Kind), set(Kind) - {Kind.STATUS, Kind.CLOCK}]
    assert tasks_of(("A",), asks_for_venue=True)[0] == Task(Kind.INSTRUMENT)
