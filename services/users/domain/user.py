"""A person's profile and what may become of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from chassis.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound, Violation

T = TypeVar("T")


class State(StrEnum):
    """PENDING -> ACTIVE -> DELETED, or PENDING -> FAILED."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    DELETED = "DELETED"
    FAILED = "FAILED"
    """The registration came to nothing; nobody outside sees it."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person wants to be told, and in which language (BCP 47)."""

    marketing_email: bool = False
    order_updates: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a registration failed: the code and sentence of whoever refused."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class User:
    """A person.

    Args:
        email: empty once deleted or failed, as is the name.
        role: asked for at registration.
        revision: 1 when the registration begins, one more with each change.
        request_id: of the registration.
        request_hash: what the registration asked for, without the password.
        refusal: why the registration failed; None otherwise.
    """

    user_id: str
    email: str
    display_name: str
    role: str
    preferences: Preferences
    state: State
    created_at: datetime
    updated_at: datetime
    request_id: str
    request_hash: str
    revision: int = 1
    refusal: Refusal | None = None

    @property
    def etag(self) -> str:
        """Names this version (AIP-154)."""
        return str(self.revision)

    def require_etag(self, etag: str) -> None:
        """Refuse a change of another version than the caller has seen; an empty etag matches any.

        Raises:
            Aborted: ETAG_MISMATCH.
        """
        if etag and etag != self.etag:
            raise Aborted("ETAG_MISMATCH", "the profile was changed meanwhile; read it again")

    def activated(self, at: datetime) -> "User":
        """The registration is complete."""
        if self.state is State.ACTIVE:
            return self
        if self.state is not State.PENDING:
            raise FailedPrecondition("REGISTRATION_FAILED", f"a {self.state} user cannot become active")
        return replace(self, state=State.ACTIVE, revision=self.revision + 1, updated_at=at)

    def failed(self, refusal: Refusal, at: datetime) -> "User":
        """The registration came to nothing; the address is free again."""
        return self._emptied(at, State.FAILED, refusal)

    def deleted(self, at: datetime) -> "User":
        """The account is closed.

        Raises:
            NotFound: USER_NOT_FOUND, it was closed before.
            FailedPrecondition: REGISTRATION_PENDING.
        """
        if self.state is State.PENDING:
            raise FailedPrecondition("REGISTRATION_PENDING", "the registration is still under way")
        if self.state is not State.ACTIVE:
            raise user_not_found()
        return self._emptied(at, State.DELETED, None)

    def changed(self, change: "Change", at: datetime) -> "User":
        """With a change; the same user when nothing is different.

        Raises:
            InvalidArgument: UPDATE_MASK_INVALID, or VALIDATION_FAILED for a name that cannot be one.
            FailedPrecondition: REGISTRATION_PENDING.
            NotFound: USER_NOT_FOUND, the account is closed.
        """
        if self.state is State.PENDING:
            raise FailedPrecondition("REGISTRATION_PENDING", "the registration is still under way")
        if self.state is not State.ACTIVE:
            raise user_not_found()
        for name, claimed in change.immutable.items():
            if claimed != getattr(self, name):
                raise mask_invalid(name, "cannot be changed")
        name = self.display_name if change.display_name is None else clean_name(change.display_name)
        wanted = change.of(self.preferences)
        if (name, wanted) == (self.display_name, self.preferences):
            return self
        return replace(self, display_name=name, preferences=wanted, revision=self.revision + 1, updated_at=at)

    def _emptied(self, at: datetime, state: State, refusal: Refusal | None) -> "User":
        return replace(
            self,
            revision=self.revision + 1,
            updated_at=at,
            state=state,
            email="",
            display_name="",
            preferences=Preferences(),
            # It was made from the address and the name, which could be guessed from it.
            request_hash="",
            refusal=refusal,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """What an update asks for; None leaves a field as it is.

    Args:
        immutable: fields that cannot change, with the values that the caller gave; default none.
    """

    display_name: str | None = None
    marketing_email: bool | None = None
    order_updates: bool | None = None
    language: str | None = None
    immutable: Mapping[str, str] = field(default_factory=dict)

    def of(self, preferences: Preferences) -> Preferences:
        """The preferences with this change."""
        return Preferences(
            _or(self.marketing_email, preferences.marketing_email),
            _or(self.order_updates, preferences.order_updates),
            _or(self.language, preferences.language),
        )


def clean_name(name: str) -> str:
    """A name without space around it.

    Raises:
        InvalidArgument: VALIDATION_FAILED, it is empty or has control characters, which mail would take for
            more than a name.
    """
    cleaned = name.strip()
    if not cleaned or not cleaned.isprintable():
        wrong = "must have visible characters and none for control"
        raise InvalidArgument(
            "VALIDATION_FAILED", f"display_name {wrong}", violations=(Violation("display_name", wrong),)
        )
    return cleaned


def mask_invalid(field_name: str, wrong: str) -> InvalidArgument:
    """The error for a field that an update cannot name."""
    return InvalidArgument(
        "UPDATE_MASK_INVALID", f"{field_name} {wrong}", violations=(Violation(field_name, wrong),)
    )


def user_not_found() -> NotFound:
    """The error for a person who is not there."""
    return NotFound("USER_NOT_FOUND", "there is no such user")


def _or(wanted: T | None, present: T) -> T:
    return present if wanted is None else wanted
