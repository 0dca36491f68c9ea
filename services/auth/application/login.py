"""From an address and a password to tokens."""

from chassis.transactions import Transactions
from services.auth.application.ports import Accounts, Attempts, Passwords
from services.auth.application.tokens import TokenMaker, TokenPair
from services.auth.application.verify import VerifyPassword, credentials_invalid


class LogIn:
    """Begins a login, and renews a hash that was made with older parameters."""

    def __init__(
        self,
        transactions: Transactions,
        verify: VerifyPassword,
        accounts: Accounts,
        passwords: Passwords,
        attempts: Attempts,
        tokens: TokenMaker,
    ) -> None:
        self._transactions = transactions
        self._verify = verify
        self._accounts = accounts
        self._passwords = passwords
        self._attempts = attempts
        self._tokens = tokens

    async def __call__(self, email: str, password: str) -> TokenPair:
        """New tokens.

        Raises:
            Unauthenticated: CREDENTIALS_INVALID.
            ResourceExhausted: LOGIN_THROTTLED.
        """
        verified = await self._verify(email, password)
        renewed: str | None = None
        if self._passwords.outdated(verified.password_hash):
            renewed = await self._passwords.hash(password)
        async with self._transactions.transaction():
            # Locked: a revocation or another password in between would leave this login behind.
            account = await self._accounts.get(verified.user_id, lock=True)
            if account is None or account.password_hash != verified.password_hash:
                raise credentials_invalid()
            if renewed is not None:
                await self._accounts.set_password(account.user_id, renewed, instead_of=account.password_hash)
            await self._attempts.clear(email)
            return await self._tokens.begin(account)
