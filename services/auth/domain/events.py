"""Facts about access that others hear of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RolesAssigned:
    """A user's roles were set."""

    user_id: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenReuseDetected:
    """A refresh token came a second time."""

    user_id: str
    family_id: str


@dataclass(frozen=True, slots=True)
class WalletLinked:
    """An account got a wallet."""

    user_id: str
    wallet_id: str


@dataclass(frozen=True, slots=True)
class WalletUnlinked:
    """An account gave a wallet up."""

    user_id: str
    wallet_id: str


AuthEvent = RolesAssigned | TokenReuseDetected | WalletLinked | WalletUnlinked
