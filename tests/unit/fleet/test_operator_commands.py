"""Asking several services when not all of them answer."""

from typing import Any, cast

import pytest

from fleet.commands.operate import of_each
from fleet.errors import FleetError


class Services:
    services = ("auth", "orders")


OPERATIONS = cast(Any, Services())


async def answer(name: str) -> str:
    if name == "orders":
        raise FleetError("orders does not answer.")
    return name.upper()


async def test_who_answers_is_shown_and_who_does_not_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert await of_each(OPERATIONS, None, answer) == {"auth": "AUTH"}
    shown = capsys.readouterr()
    assert (shown.out, shown.err.strip()) == ("", "orders does not answer.")


async def test_the_only_one_asked_must_answer() -> None:
    assert await of_each(OPERATIONS, "auth", answer) == {"auth": "AUTH"}
    with pytest.raises(FleetError, match="orders does not answer"):
        await of_each(OPERATIONS, "orders", answer)


async def test_that_nobody_answers_is_a_failure() -> None:
    async def refuse(name: str) -> str:
        raise FleetError(f"{name} does not answer.")

    with pytest.raises(FleetError, match="auth does not answer"):
        await of_each(OPERATIONS, None, refuse)
