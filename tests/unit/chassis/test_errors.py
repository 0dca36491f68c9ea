"""The kinds of domain error."""

from datetime import timedelta

from chassis import errors
from chassis.errors import KINDS, DomainError, InvalidArgument, ResourceExhausted, Violation


def test_every_subclass_is_listed_as_a_kind() -> None:
    defined = {
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, DomainError) and item is not DomainError
    }
    assert set(KINDS) == defined


def test_an_error_carries_what_a_caller_may_see() -> None:
    error = ResourceExhausted(
        "TOO_MANY_LOTS",
        "Too many lots.",
        metadata={"limit": "5"},
        violations=[Violation("lots", "at most 5")],
        retry_after=timedelta(seconds=3),
        resource=("lot", "lots/1"),
    )
    assert str(error) == "Too many lots."
    assert (error.reason, error.metadata, error.retry_after) == (
        "TOO_MANY_LOTS",
        {"limit": "5"},
        timedelta(seconds=3),
    )
    assert error.violations == (Violation("lots", "at most 5"),)
    assert error.resource == ("lot", "lots/1")


def test_errors_do_not_share_their_metadata() -> None:
    first, second = InvalidArgument("A", "a"), InvalidArgument("B", "b")
    first.metadata["x"] = "y"
    assert second.metadata == {}
