"""The request context."""

import asyncio

from chassis.context import RequestContext, current, use


def test_outside_any_request_the_context_is_empty() -> None:
    assert current() == RequestContext()


def test_a_context_is_in_force_within_its_body_only() -> None:
    with use(RequestContext(request_id="outer")):
        with use(RequestContext(request_id="inner")):
            assert current().request_id == "inner"
        assert current().request_id == "outer"
    assert current().request_id == ""


async def test_a_task_started_in_the_body_keeps_the_context() -> None:
    async def seen() -> str:
        return current().request_id

    with use(RequestContext(request_id="parent")):
        task = asyncio.create_task(seen())
    assert await task == "parent"
