"""The first operator, who can make others."""

from chassis.ids import IdSource
from chassis.logging import get_logger
from chassis.transactions import Transactions
from services.auth.application.ports import Accounts, Events, Passwords
from services.auth.domain.account import Account
from services.auth.domain.events import RolesAssigned
from services.auth.domain.roles import OPERATOR

_log = get_logger(__name__)


class SeedOperator:
    """Gives the fleet's operator an account at the first start."""

    def __init__(
        self,
        transactions: Transactions,
        accounts: Accounts,
        passwords: Passwords,
        events: Events,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._accounts = accounts
        self._passwords = passwords
        self._events = events
        self._ids = ids

    async def __call__(self, email: str, password: str) -> None:
        """Add the account unless the address has one; that one is left as it is, whatever its roles."""
        known = await self._accounts.by_email(email)
        if known is not None:
            if OPERATOR not in known.roles:
                _log.warning("auth.operator_address_taken", user_id=known.user_id)
            return
        account = Account(self._ids.uuid7(), email, await self._passwords.hash(password), (OPERATOR,))
        async with self._transactions.transaction():
            if await self._accounts.add(account):
                await self._events.publish(RolesAssigned(account.user_id, account.roles))
                _log.info("auth.operator_seeded", user_id=account.user_id)
