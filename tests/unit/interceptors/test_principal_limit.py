"""The limit of a person's calls while the live configuration changes it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from chassis.clock import FixedClock
from chassis.errors import ResourceExhausted
from chassis.settings import Rate
from interceptors.call import Method
from interceptors.process import principal_limit


@pytest.mark.parametrize(("given", "at_once"), [(Rate(0, 1), 50), (Rate(10, 10), 50), (Rate(10, 20), 20)])
async def test_a_burst_that_nobody_gave_follows_the_rate(given: Rate, at_once: int) -> None:
    settings: dict[str, Callable[[float], None]] = {}

    def on(name: str, _kind: type, change: Callable[[float], None], _start: float) -> None:
        settings[name] = change

    runtime: Any = SimpleNamespace(
        clock=FixedClock(),
        settings=SimpleNamespace(principal_limit=given),
        configuration=SimpleNamespace(on=on),
    )
    limit = principal_limit(runtime)
    settings["principal-limit.rate"](50)

    async def proceed(_request: Any, _call: Any) -> str:
        return "done"

    enter = limit.around(Method("/greenledger.orders.v1.OrderService/GetOrder"), proceed)
    call: Any = SimpleNamespace(principal=SimpleNamespace(kind="user", subject="ann"))
    for _ in range(at_once):
        assert await enter(None, call) == "done"
    with pytest.raises(ResourceExhausted):
        await enter(None, call)
