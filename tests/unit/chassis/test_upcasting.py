"""Upcasting of old events."""

from typing import Any

import pytest

from chassis.eventstore import UnknownSchemaVersionError, Upcasters


def split_name(data: dict[str, Any]) -> dict[str, Any]:
    first, _, last = data["name"].partition(" ")
    return {"first": first, "last": last}


def add_country(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "country": "unknown"}


@pytest.fixture
def upcasters() -> Upcasters:
    upcasters = Upcasters()
    upcasters.register("user.registered", 2, add_country)
    upcasters.register("user.registered", 1, split_name)
    return upcasters


def test_an_old_event_takes_every_step_it_lacks_in_order(upcasters: Upcasters) -> None:
    assert upcasters.upcast("user.registered", 1, {"name": "Ada Lovelace"}) == (
        3,
        {"first": "Ada", "last": "Lovelace", "country": "unknown"},
    )


def test_an_event_takes_only_the_steps_it_lacks(upcasters: Upcasters) -> None:
    data = {"first": "Ada", "last": "Lovelace"}
    assert upcasters.upcast("user.registered", 2, data) == (3, {**data, "country": "unknown"})


def test_an_event_of_today_stays_as_it_is(upcasters: Upcasters) -> None:
    assert upcasters.upcast("user.registered", 3, {"x": 1}) == (3, {"x": 1})


def test_a_type_without_steps_stays_as_it_is(upcasters: Upcasters) -> None:
    assert upcasters.upcast("user.deleted", 7, {"x": 1}) == (7, {"x": 1})
    assert upcasters.newest("user.deleted") is None


def test_an_event_from_the_future_is_an_error(upcasters: Upcasters) -> None:
    with pytest.raises(UnknownSchemaVersionError, match="version 4"):
        upcasters.upcast("user.registered", 4, {})


def test_a_missing_step_is_an_error() -> None:
    upcasters = Upcasters()
    upcasters.register("lot.minted", 3, add_country)
    with pytest.raises(UnknownSchemaVersionError, match="version 1"):
        upcasters.upcast("lot.minted", 1, {})


def test_a_step_is_registered_once(upcasters: Upcasters) -> None:
    with pytest.raises(ValueError, match="twice"):
        upcasters.register("user.registered", 1, add_country)


def test_the_newest_version_is_the_one_that_reads_yield(upcasters: Upcasters) -> None:
    assert upcasters.newest("user.registered") == 3
