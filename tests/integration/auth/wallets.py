"""A person's wallet, as the auth tests use it."""

from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct

from chassis.context import Principal, RequestContext, use
from greenledger.auth.v1 import auth_pb2 as pb
from services.auth.adapters.settings import AuthSettings
from services.auth.domain.ethereum import ORDER
from tests.integration.auth.conftest import CONTEXT, Auth

ORIGIN = AuthSettings().wallet_origins[0]


@dataclass(frozen=True)
class Wallet:
    """A key; equal numbers give equal keys."""

    number: int

    @property
    def _account(self) -> Any:
        return Account.from_key(self.number.to_bytes(32))

    @property
    def address(self) -> str:
        """In EIP-55 capitals."""
        return str(self._account.address)

    def sign(self, message: str) -> str:
        """What `personal_sign` gives."""
        return "0x" + self._account.sign_message(encode_defunct(text=message)).signature.hex()


def malleated(signature: str) -> str:
    """The other signature that the same key could have made, which anybody can compute."""
    raw = bytes.fromhex(signature[2:])
    s = ORDER - int.from_bytes(raw[32:64])
    return "0x" + (raw[:32] + s.to_bytes(32) + bytes([55 - raw[64]])).hex()


def as_user(user_id: str) -> Any:
    """The context of a call by a person."""
    return use(RequestContext(principal=Principal(user_id, "user")))


async def challenge(auth: Auth, wallet: Wallet, user_id: str = "", **wishes: Any) -> pb.WalletChallenge:
    """For a sign-in, or for a link by a user."""
    if not user_id:
        request = pb.IssueWalletChallengeRequest(address=wallet.address, **wishes)
        return await auth.rpc.IssueWalletChallenge(request, CONTEXT)
    with as_user(user_id):
        asked = pb.IssueWalletLinkChallengeRequest(address=wallet.address, **wishes)
        return await auth.rpc.IssueWalletLinkChallenge(asked, CONTEXT)


async def present(auth: Auth, message: str, signature: str) -> pb.TokenPair:
    """Sign in with a signed message."""
    request = pb.SignInWithWalletRequest(message=message, signature=signature)
    return await auth.rpc.SignInWithWallet(request, CONTEXT)


async def sign_in(auth: Auth, wallet: Wallet) -> pb.TokenPair:
    """Ask, sign, sign in."""
    message = (await challenge(auth, wallet)).message
    return await present(auth, message, wallet.sign(message))


async def present_link(auth: Auth, user_id: str, message: str, signature: str) -> pb.Wallet:
    """Link with a signed message."""
    with as_user(user_id):
        request = pb.LinkWalletRequest(message=message, signature=signature)
        return await auth.rpc.LinkWallet(request, CONTEXT)


async def link(auth: Auth, user_id: str, wallet: Wallet) -> pb.Wallet:
    """Ask, sign, link."""
    message = (await challenge(auth, wallet, user_id)).message
    return await present_link(auth, user_id, message, wallet.sign(message))


async def wallets_of(auth: Auth, user_id: str, **page: Any) -> pb.ListWalletsResponse:
    """A page of the list."""
    with as_user(user_id):
        return await auth.rpc.ListWallets(pb.ListWalletsRequest(**page), CONTEXT)


async def unlink(auth: Auth, user_id: str, wallet_id: str) -> None:
    """Give a wallet up."""
    with as_user(user_id):
        await auth.rpc.UnlinkWallet(pb.UnlinkWalletRequest(wallet_id=wallet_id), CONTEXT)
