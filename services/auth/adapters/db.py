"""Credentials, logins and failed attempts in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

import asyncpg

from chassis.clock import Clock
from chassis.database import Database
from services.auth.application.ports import Binding
from services.auth.domain.account import Account, Prepared
from services.auth.domain.logins import Login, RefreshToken
from services.auth.domain.throttle import Failures


class PostgresAccounts:
    """Implements `Accounts`; a revoked account is a row without address, password and roles."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def by_email(self, email: str) -> Account | None:
        row = await self._database.fetchrow("SELECT * FROM account WHERE lower(email) = lower($1)", email)
        return _account(row) if row else None

    async def get(self, user_id: str, *, lock: bool = False) -> Account | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(
            f"SELECT * FROM account WHERE user_id = $1 AND state = 'ACTIVE'{suffix}", user_id
        )
        return _account(row) if row else None

    async def binding(self, user_id: str, ticket_digest: bytes) -> Binding:
        row = await self._database.fetchrow(
            "SELECT state, ticket_digest FROM account WHERE user_id = $1", user_id
        )
        if row is None:
            return Binding.NONE
        if row["state"] == "REVOKED":
            return Binding.REVOKED
        return Binding.DONE if row["ticket_digest"] == ticket_digest else Binding.OTHER

    async def bind(self, account: Account, ticket_digest: bytes) -> Binding:
        if await self._insert(account, ticket_digest):
            return Binding.DONE
        standing = await self.binding(account.user_id, ticket_digest)
        return Binding.EMAIL_TAKEN if standing is Binding.NONE else standing

    async def add(self, account: Account) -> bool:
        return await self._insert(account, None)

    async def revoke(self, user_id: str) -> None:
        await self._database.execute(
            """
            INSERT INTO account (user_id, state, roles, created_at, updated_at)
            VALUES ($1, 'REVOKED', '{}', $2, $2)
            ON CONFLICT (user_id) DO UPDATE SET state = 'REVOKED', email = NULL, password_hash = NULL,
                ticket_digest = NULL, roles = '{}', updated_at = $2
            """,
            user_id,
            self._clock.now(),
        )

    async def set_password(self, user_id: str, password_hash: str, *, instead_of: str) -> bool:
        changed = await self._database.fetchval(
            """
            UPDATE account SET password_hash = $2, updated_at = $4
            WHERE user_id = $1 AND password_hash = $3 RETURNING true
            """,
            user_id,
            password_hash,
            instead_of,
            self._clock.now(),
        )
        return bool(changed)

    async def set_roles(self, user_id: str, roles: Sequence[str]) -> None:
        await self._database.execute(
            "UPDATE account SET roles = $2, updated_at = $3 WHERE user_id = $1 AND state = 'ACTIVE'",
            user_id,
            list(roles),
            self._clock.now(),
        )

    async def _insert(self, account: Account, ticket_digest: bytes | None) -> bool:
        # Without a target the clause covers the user's own row and the address of anybody.
        inserted = await self._database.fetchval(
            """
            INSERT INTO account (user_id, state, email, password_hash, roles, ticket_digest,
                                 created_at, updated_at)
            VALUES ($1, 'ACTIVE', $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING RETURNING true
            """,
            account.user_id,
            account.email,
            account.password_hash,
            list(account.roles),
            ticket_digest,
            self._clock.now(),
        )
        return bool(inserted)


class PostgresPrepared:
    """Implements `PreparedCredentials`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, prepared: Prepared) -> None:
        await self._database.execute(
            "INSERT INTO prepared_credentials VALUES ($1, $2, $3, $4, $5)",
            prepared.ticket_digest,
            prepared.email,
            prepared.password_hash,
            prepared.role,
            prepared.expires_at,
        )

    async def take(self, ticket_digest: bytes, now: datetime) -> Prepared | None:
        row = await self._database.fetchrow(
            "DELETE FROM prepared_credentials WHERE ticket_digest = $1 AND expires_at > $2 RETURNING *",
            ticket_digest,
            now,
        )
        return Prepared(**row) if row else None

    async def purge(self, expired_before: datetime) -> int:
        tag = await self._database.execute(
            "DELETE FROM prepared_credentials WHERE expires_at <= $1", expired_before
        )
        return _count(tag)


class PostgresLogins:
    """Implements `Logins`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, login: Login) -> None:
        await self._database.execute(
            """
            INSERT INTO login (family_id, user_id, created_at, expires_at, wallet_id)
            VALUES ($1, $2, $3, $4, $5)
            """,
            login.family_id,
            login.user_id,
            login.created_at,
            login.expires_at,
            login.wallet_id,
        )

    async def add_token(self, token: RefreshToken) -> None:
        await self._database.execute(
            "INSERT INTO refresh_token (digest, family_id, expires_at) VALUES ($1, $2, $3)",
            token.digest,
            token.family_id,
            token.expires_at,
        )

    async def find(self, digest: bytes) -> tuple[Login, RefreshToken] | None:
        login = await self._database.fetchrow(
            """
            SELECT * FROM login
            WHERE family_id = (SELECT family_id FROM refresh_token WHERE digest = $1) FOR UPDATE
            """,
            digest,
        )
        # Read once the family is locked: whoever had the lock before may have used the token.
        token = await self._database.fetchrow("SELECT * FROM refresh_token WHERE digest = $1", digest)
        if login is None or token is None:
            return None
        return (
            Login(
                str(login["family_id"]),
                str(login["user_id"]),
                login["created_at"],
                login["expires_at"],
                login["revoked_at"],
            ),
            RefreshToken(token["digest"], str(token["family_id"]), token["expires_at"], token["used_at"]),
        )

    async def used(self, digest: bytes, at: datetime) -> None:
        await self._database.execute("UPDATE refresh_token SET used_at = $2 WHERE digest = $1", digest, at)

    async def revoke(self, family_id: str, at: datetime) -> None:
        await self._database.execute(
            "UPDATE login SET revoked_at = $2 WHERE family_id = $1 AND revoked_at IS NULL", family_id, at
        )

    async def revoke_all(self, user_id: str, at: datetime, *, but: str | None = None) -> None:
        await self._database.execute(
            """
            UPDATE login SET revoked_at = $2
            WHERE user_id = $1 AND revoked_at IS NULL AND family_id IS DISTINCT FROM $3::uuid
            """,
            user_id,
            at,
            but,
        )

    async def revoke_wallet(self, wallet_id: str, at: datetime) -> None:
        await self._database.execute(
            "UPDATE login SET revoked_at = $2 WHERE wallet_id = $1 AND revoked_at IS NULL", wallet_id, at
        )

    async def purge(self, expired_before: datetime) -> int:
        await self._database.execute("DELETE FROM refresh_token WHERE expires_at <= $1", expired_before)
        return _count(
            await self._database.execute("DELETE FROM login WHERE expires_at <= $1", expired_before)
        )


class PostgresAttempts:
    """Implements `Attempts`; keeps digests, since many addresses tried are nobody's business here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def failures(self, email: str, since: datetime) -> Failures | None:
        row = await self._database.fetchrow(
            "SELECT failures, last_at FROM failed_login WHERE address_digest = $1 AND last_at > $2",
            _address(email),
            since,
        )
        return Failures(row["failures"], row["last_at"]) if row else None

    async def failed(self, email: str, at: datetime, since: datetime) -> None:
        await self._database.execute(
            """
            INSERT INTO failed_login VALUES ($1, 1, $2)
            ON CONFLICT (address_digest) DO UPDATE SET last_at = $2,
                failures = CASE WHEN failed_login.last_at > $3 THEN failed_login.failures + 1 ELSE 1 END
            """,
            _address(email),
            at,
            since,
        )

    async def clear(self, email: str) -> None:
        await self._database.execute("DELETE FROM failed_login WHERE address_digest = $1", _address(email))

    async def purge(self, before: datetime) -> int:
        return _count(await self._database.execute("DELETE FROM failed_login WHERE last_at <= $1", before))


def _address(email: str) -> bytes:
    return sha256(email.lower().encode()).digest()


def _account(row: asyncpg.Record) -> Account:
    return Account(str(row["user_id"]), row["email"], row["password_hash"], tuple(row["roles"]))


def _count(tag: str) -> int:
    return int(tag.rsplit(" ", 1)[1])
