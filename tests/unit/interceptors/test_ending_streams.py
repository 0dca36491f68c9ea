"""A stream that is ended from outside ends between two writes, never inside one."""

import asyncio
from typing import Any, cast

import pytest

from interceptors.call import Call, Context, Method


class SlowContext:
    """A context whose write waits, as grpc.aio's does for the transport."""

    def __init__(self) -> None:
        self.writing, self.release = asyncio.Event(), asyncio.Event()
        self.cancelled_inside = False

    async def write(self, _message: object) -> None:
        self.writing.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled_inside = True
            raise


async def test_a_stream_that_is_writing_finishes_the_write_and_then_ends() -> None:
    context = SlowContext()
    call = Call(Method("/a.B/C", kind="server_stream"), cast(Context, context), {})
    written: list[Any] = []

    async def serve() -> None:
        await call.write("one")
        written.append("one")

    task = asyncio.create_task(serve())
    await context.writing.wait()
    call.end(task)
    context.release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not context.cancelled_inside
    assert written == []


async def test_a_stream_that_waits_for_news_ends_at_once() -> None:
    call = Call(Method("/a.B/C", kind="server_stream"), cast(Context, SlowContext()), {})
    task = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    call.end(task)
    with pytest.raises(asyncio.CancelledError):
        await task
