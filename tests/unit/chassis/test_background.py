"""A loop goes on after a failure, at once while there is more, and ends when asked."""

import asyncio
from datetime import timedelta

from chassis.background import Every

NEVER = timedelta(days=1)


async def test_a_failure_does_not_end_the_loop():
    seen = asyncio.Event()
    answers = iter([ConnectionError("away"), False])

    async def work() -> bool:
        answer = next(answers, None)
        if isinstance(answer, Exception):
            raise answer
        seen.set()
        return False

    loop = Every("test", work, timedelta(milliseconds=1))
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(5):
        await seen.wait()
        await loop.stop()
        await running


async def test_while_there_is_more_to_do_it_does_not_pause():
    done, finished = [], asyncio.Event()

    async def work() -> bool:
        done.append(1)
        if len(done) < 3:
            return True
        finished.set()
        return False

    loop = Every("test", work, NEVER)
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(5):
        await finished.wait()
        await loop.stop()
        await running
    assert len(done) == 3
