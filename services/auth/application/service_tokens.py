"""From a service account's secret to a token."""

from services.auth.application.ports import ServiceSecrets
from services.auth.application.tokens import ServiceToken, TokenMaker
from services.auth.application.verify import credentials_invalid


class IssueServiceToken:
    """For services that call services."""

    def __init__(self, secrets: ServiceSecrets, tokens: TokenMaker) -> None:
        self._secrets = secrets
        self._tokens = tokens

    async def __call__(self, account: str, secret: str) -> ServiceToken:
        """A token with the account's permissions.

        Raises:
            Unauthenticated: CREDENTIALS_INVALID.
        """
        if not self._secrets.accepts(account, secret):
            raise credentials_invalid()
        return await self._tokens.for_service(account)
