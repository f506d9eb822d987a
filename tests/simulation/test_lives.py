from __future__ import annotations

import asyncio
import contextlib
import signal

import pytest

from tests.simulation.lives import Life, LivingLoop, bury


@pytest.fixture
def loop():
    loop = LivingLoop(1)
    yield loop
    loop.close()


def test_who_is_killed_does_nothing_more_not_even_to_end(loop):
    said, life = [], Life("a", 1)

    async def live():
        try:
            while True:
                said.append(loop.time())
                await asyncio.sleep(1)
        finally:
            said.append("farewell")

    async def main():
        loop.begin(life, live)
        await asyncio.sleep(2.5)
        loop.kill(life)
        await asyncio.sleep(10)

    loop.run_until_complete(main())
    assert said == [0, 1, 2]
    bury([life])


def test_what_others_do_for_who_is_killed_still_happens_and_reaches_nobody(loop):
    said, life = [], Life("a", 1)

    async def main():
        answer = loop.create_future()

        async def live():
            said.append(await answer)

        loop.begin(life, live)
        await asyncio.sleep(1)
        loop.kill(life)
        answer.set_result("late")
        await asyncio.sleep(1)

    loop.run_until_complete(main())
    assert said == []
    bury([life])


def test_who_is_stopped_goes_on_with_all_that_came_due(loop):
    said, life = [], Life("a", 1)

    async def live():
        for _ in range(3):
            await asyncio.sleep(1)
            said.append(loop.time())

    async def main():
        loop.begin(life, live)
        await asyncio.sleep(1.5)
        loop.stop_life(life)
        await asyncio.sleep(8.5)
        loop.resume_life(life)
        await asyncio.sleep(5)

    loop.run_until_complete(main())
    assert said == [1, 10, 11]


def test_a_thread_takes_its_time_and_dies_with_its_process(loop):
    said, alive, dead = [], Life("a", 1), Life("b", 1)

    async def live(name):
        with contextlib.suppress(asyncio.CancelledError):
            said.append(await asyncio.to_thread(lambda: (said.append(f"{name} works"), name)[1]))

    async def main():
        loop.begin(alive, lambda: live("a"))
        loop.begin(dead, lambda: live("b"))
        await asyncio.sleep(0)
        loop.kill(dead)
        await asyncio.sleep(1)

    loop.run_until_complete(main())
    assert said == ["a works", "a"]
    bury([dead])


def test_a_signal_reaches_the_process_that_handles_it(loop):
    said, life = [], Life("a", 1)

    async def live():
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, said.append, "heard")
        await asyncio.sleep(5)

    async def main():
        loop.begin(life, live)
        await asyncio.sleep(1)
        loop.signal(life, signal.SIGUSR1)
        await asyncio.sleep(1)

    loop.run_until_complete(main())
    assert said == ["heard"]
    bury([life])
