"""A caller's request as a saga: which attempt counts, and what a refusal tells the caller."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from chassis.errors import AlreadyExists, NotFound, Unavailable
from chassis.saga import Failure, Refusal, Saga, State, Step, StepContext, newest_attempt
from chassis.saga.instance import new_instance

REFUSED = Refusal("LOT_NOT_FOUND", "there is no such lot", {"lot": "L"})


@dataclass(frozen=True)
class Attempt:
    """Where an attempt stands."""

    wanted: str
    refusal: Refusal | None = None


class Sagas:
    """Attempts by id; one that is not there is begun."""

    def __init__(self, *refused: str) -> None:
        self.known = {saga_id: Attempt("leek", REFUSED) for saga_id in refused}

    async def start(self, saga_id: str) -> Attempt:
        return self.known.setdefault(saga_id, Attempt("leek"))

    async def ask(self, wanted: str, most: int = 3) -> tuple[str, Attempt]:
        return await newest_attempt(
            most, lambda number: f"saga-{number}", self.start, lambda found: found.wanted == wanted, "reused"
        )


async def test_a_request_is_begun_once_and_then_found() -> None:
    sagas = Sagas()
    assert await sagas.ask("leek") == await sagas.ask("leek") == ("saga-1", Attempt("leek"))
    assert list(sagas.known) == ["saga-1"]


async def test_one_that_was_refused_is_tried_anew() -> None:
    assert await Sagas("saga-1", "saga-2").ask("leek") == ("saga-3", Attempt("leek"))


async def test_after_the_last_attempt_its_refusal_stands() -> None:
    sagas = Sagas("saga-1", "saga-2")
    assert await sagas.ask("leek", most=2) == ("saga-2", Attempt("leek", REFUSED))
    assert "saga-3" not in sagas.known


@pytest.mark.parametrize("refused", [(), ("saga-1",)])
async def test_a_request_id_of_another_request_is_refused_whatever_came_of_that(
    refused: tuple[str, ...],
) -> None:
    sagas = Sagas(*refused)
    await sagas.ask("leek")
    with pytest.raises(AlreadyExists) as error:
        await sagas.ask("chard")
    assert (error.value.reason, error.value.message) == ("REQUEST_ID_REUSED", "reused")


async def _act(_context: StepContext) -> None:
    return None


@pytest.mark.parametrize("state", State)
def test_only_a_saga_that_was_turned_back_was_refused(state: State) -> None:
    saga = Saga("any", 1, (Step("only", _act),), deadline=timedelta(minutes=5))
    instance = new_instance(saga, "i", {}, {}, datetime(2026, 1, 1, tzinfo=UTC))
    instance.state = state
    assert Refusal.of(instance) is None
    instance.failure = Failure("only", "LOT_NOT_FOUND", "there is no such lot", {"lot": "L"})
    assert Refusal.of(instance) == (REFUSED if state is State.COMPENSATED else None)


def test_a_known_reason_is_told_as_its_kind() -> None:
    error = REFUSED.error({"LOT_NOT_FOUND": NotFound}, "FAILED", "nothing has changed", ("lot", "L"))
    assert isinstance(error, NotFound)
    assert (error.reason, error.metadata, error.resource) == ("LOT_NOT_FOUND", {"lot": "L"}, ("lot", "L"))


def test_any_other_reason_says_that_the_same_may_be_asked_again() -> None:
    error = REFUSED.error({}, "FAILED", "nothing has changed", ("lot", "L"))
    assert isinstance(error, Unavailable)
    assert (error.reason, error.message, error.metadata) == (
        "FAILED",
        "nothing has changed",
        {"cause": "LOT_NOT_FOUND"},
    )
    assert error.retry_after == timedelta(seconds=1)
