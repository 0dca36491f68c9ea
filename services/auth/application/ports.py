"""What the use cases need of the outside world."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any, Protocol

from services.auth.domain.account import Account, Prepared
from services.auth.domain.events import AuthEvent
from services.auth.domain.keys import SigningKey
from services.auth.domain.logins import Login, RefreshToken
from services.auth.domain.throttle import Failures
from services.auth.domain.wallets import Wallet


class Passwords(Protocol):
    """Slow password hashes, off the event loop."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password; without a hash it takes as long and is not."""
        ...

    def outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than are in force."""
        ...


class OpaqueTokens(Protocol):
    """Random tokens."""

    def new(self) -> str: ...


class Binding(Enum):
    """How a user stands to the credentials of a ticket."""

    NONE = auto()
    DONE = auto()
    EMAIL_TAKEN = auto()
    REVOKED = auto()
    OTHER = auto()
    """The user has credentials of another ticket."""


class Accounts(Protocol):
    """Credentials by user. What is revoked stays known as revoked."""

    async def by_email(self, email: str) -> Account | None: ...

    async def get(self, user_id: str, *, lock: bool = False) -> Account | None: ...

    async def binding(self, user_id: str, ticket_digest: bytes) -> Binding:
        """How the user stands to the ticket now."""
        ...

    async def bind(self, account: Account, ticket_digest: bytes) -> Binding:
        """Give a user credentials, unless something stands against it."""
        ...

    async def add(self, account: Account) -> bool:
        """Store an account that needed no ticket; False when its address is taken."""
        ...

    async def revoke(self, user_id: str) -> None:
        """Take them away, also those that are yet to come."""
        ...

    async def set_password(self, user_id: str, password_hash: str, *, instead_of: str) -> bool:
        """Replace the hash if it still is `instead_of`."""
        ...

    async def set_roles(self, user_id: str, roles: Sequence[str]) -> None: ...


class PreparedCredentials(Protocol):
    """Credentials under tickets."""

    async def add(self, prepared: Prepared) -> None: ...

    async def take(self, ticket_digest: bytes, now: datetime) -> Prepared | None:
        """Remove and give what a ticket names, unless it has expired."""
        ...

    async def purge(self, expired_before: datetime) -> int: ...


class Attempts(Protocol):
    """Failed logins by address, whether or not it is anybody's."""

    async def failures(self, email: str, since: datetime) -> Failures | None: ...

    async def failed(self, email: str, at: datetime, since: datetime) -> None:
        """Count one more; those before `since` are forgotten."""
        ...

    async def clear(self, email: str) -> None: ...

    async def purge(self, before: datetime) -> int: ...


class Logins(Protocol):
    """Logins and their refresh tokens."""

    async def add(self, login: Login) -> None: ...

    async def add_token(self, token: RefreshToken) -> None: ...

    async def find(self, digest: bytes) -> tuple[Login, RefreshToken] | None:
        """A token and its login, which stays locked against others until the transaction ends."""
        ...

    async def used(self, digest: bytes, at: datetime) -> None: ...

    async def revoke(self, family_id: str, at: datetime) -> None: ...

    async def revoke_all(self, user_id: str, at: datetime, *, but: str | None = None) -> None:
        """End a user's logins, except the family `but`."""
        ...

    async def revoke_wallet(self, wallet_id: str, at: datetime) -> None:
        """End the logins that a wallet began."""
        ...

    async def purge(self, expired_before: datetime) -> int: ...


class Wallets(Protocol):
    """Linked wallets; an address is linked once."""

    async def add(self, wallet: Wallet) -> bool:
        """Store it; False when its address is linked already."""
        ...

    async def by_address(self, address: str) -> Wallet | None: ...

    async def of_user(self, user_id: str, after: str | None, limit: int) -> Sequence[Wallet]:
        """Wallets with ids above `after`, in ascending order."""
        ...

    async def count(self, user_id: str) -> int: ...

    async def remove(self, user_id: str, wallet_id: str) -> bool:
        """Remove a wallet of the user; False when there is none."""
        ...

    async def remove_all(self, user_id: str) -> None: ...


class UsedNonces(Protocol):
    """Nonces that no longer count."""

    async def use(self, digest: bytes, expires_at: datetime) -> bool:
        """Use it up; False when it was. A use beside this one is waited for."""
        ...

    async def purge(self, expired_before: datetime) -> int: ...


class SignerRecovery(Protocol):
    """EIP-191 signatures, off the event loop."""

    async def signer(self, text: str, signature: bytes) -> str | None:
        """The address, in EIP-55 capitals, whose key signed a text; None when it is no signature.

        Args:
            signature: r, s and v as 27 or 28.
        """
        ...


class Keys(Protocol):
    """The key ring."""

    async def lock(self) -> None:
        """Let nobody else rotate until the transaction ends."""
        ...

    async def usable(self) -> Sequence[SigningKey]:
        """All keys whose private half this process can read, from the database."""
        ...

    async def generate(self, created_at: datetime, active_from: datetime) -> SigningKey:
        """Make a key and publish it."""
        ...

    async def retire_others(self, kid: str, at: datetime) -> None:
        """Set the end of every other key that has none yet."""
        ...

    async def purge(self, retired_before: datetime) -> int: ...

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT signed by the key that is active."""
        ...


class ServiceSecrets(Protocol):
    """Secrets of the service accounts."""

    def accepts(self, account: str, secret: str) -> bool:
        """Whether it is the account's secret; as slow for an account that does not exist."""
        ...


class Events(Protocol):
    """Tells others, in the running transaction."""

    async def publish(self, event: AuthEvent) -> None: ...
