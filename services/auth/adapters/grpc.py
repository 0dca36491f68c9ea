"""AuthService: decode, call the use case, encode."""

from dataclasses import dataclass
from typing import Any

import grpc.aio
from google.protobuf.empty_pb2 import Empty

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from greenledger.auth.v1 import auth_pb2 as pb
from greenledger.auth.v1 import auth_pb2_grpc
from services.auth.adapters.codec import (
    access_to_proto,
    challenge_to_proto,
    public_key_to_proto,
    role_to_proto,
    service_token_to_proto,
    signature_from_proto,
    signing_key_to_proto,
    ticket_to_proto,
    tokens_to_proto,
    wallet_to_proto,
)
from services.auth.adapters.keys import KeyRing
from services.auth.application.access import AccessQueries, SetRoles
from services.auth.application.change_password import ChangePassword
from services.auth.application.credentials import ActivateCredentials, PrepareCredentials, RevokeCredentials
from services.auth.application.keys import RotateSigningKey
from services.auth.application.login import LogIn
from services.auth.application.refresh import LogOut, Refresh
from services.auth.application.service_tokens import IssueServiceToken
from services.auth.application.wallet_challenges import IssueChallenge
from services.auth.application.wallet_sign_in import SignInWithWallet
from services.auth.application.wallets import LinkWallet, UnlinkWallet, WalletQueries, user_of
from services.auth.domain.challenges import Purpose

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the RPCs call."""

    log_in: LogIn
    refresh: Refresh
    log_out: LogOut
    issue_service_token: IssueServiceToken
    change_password: ChangePassword
    access: AccessQueries
    set_roles: SetRoles
    rotate: RotateSigningKey
    prepare: PrepareCredentials
    activate: ActivateCredentials
    revoke: RevokeCredentials
    issue_challenge: IssueChallenge
    sign_in_with_wallet: SignInWithWallet
    link_wallet: LinkWallet
    unlink_wallet: UnlinkWallet
    wallets: WalletQueries


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):
    """The RPCs of auth."""

    def __init__(self, use: UseCases, keys: KeyRing, page_tokens: PageTokens) -> None:
        self._use = use
        self._keys = keys
        self._page_tokens = page_tokens

    async def Login(self, request: pb.LoginRequest, context: Context) -> pb.TokenPair:
        return tokens_to_proto(await self._use.log_in(request.email, request.password))

    async def RefreshToken(self, request: pb.RefreshTokenRequest, context: Context) -> pb.TokenPair:
        return tokens_to_proto(await self._use.refresh(request.refresh_token))

    async def Logout(self, request: pb.LogoutRequest, context: Context) -> Empty:
        await self._use.log_out(request.refresh_token)
        return Empty()

    async def GetJwks(self, request: pb.GetJwksRequest, context: Context) -> pb.Jwks:
        return pb.Jwks(keys=map(public_key_to_proto, await self._keys.public_keys()))

    async def IssueServiceToken(
        self, request: pb.IssueServiceTokenRequest, context: Context
    ) -> pb.ServiceToken:
        return service_token_to_proto(await self._use.issue_service_token(request.account, request.secret))

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: Context) -> Empty:
        await self._use.change_password(
            caller(), request.current_password, request.new_password, request.refresh_token
        )
        return Empty()

    async def GetAccess(self, request: pb.GetAccessRequest, context: Context) -> pb.Access:
        return access_to_proto(await self._use.access.get(request.user_id.lower(), caller()))

    async def SetRoles(self, request: pb.SetRolesRequest, context: Context) -> pb.Access:
        return access_to_proto(await self._use.set_roles(request.user_id.lower(), request.roles))

    async def ListRoles(self, request: pb.ListRolesRequest, context: Context) -> pb.ListRolesResponse:
        size, query = page_size(request.page_size), {"method": "ListRoles"}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = self._use.access.roles(cursor["after"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.name}, query)
        return pb.ListRolesResponse(roles=map(role_to_proto, page), next_page_token=token)

    async def RotateSigningKey(self, request: pb.RotateSigningKeyRequest, context: Context) -> pb.SigningKey:
        return signing_key_to_proto(await self._use.rotate())

    async def PrepareCredentials(
        self, request: pb.PrepareCredentialsRequest, context: Context
    ) -> pb.PreparedCredentials:
        return ticket_to_proto(await self._use.prepare(request.email, request.password, request.role))

    async def ActivateCredentials(
        self, request: pb.ActivateCredentialsRequest, context: Context
    ) -> pb.Access:
        return access_to_proto(await self._use.activate(request.user_id.lower(), request.ticket))

    async def RevokeCredentials(self, request: pb.RevokeCredentialsRequest, context: Context) -> Empty:
        await self._use.revoke(request.user_id.lower())
        return Empty()

    async def IssueWalletChallenge(
        self, request: pb.IssueWalletChallengeRequest, context: Context
    ) -> pb.WalletChallenge:
        return challenge_to_proto(
            self._use.issue_challenge(
                Purpose.SIGN_IN, request.address, origin=request.origin, chain_id=request.chain_id
            )
        )

    async def IssueWalletLinkChallenge(
        self, request: pb.IssueWalletLinkChallengeRequest, context: Context
    ) -> pb.WalletChallenge:
        return challenge_to_proto(
            self._use.issue_challenge(
                Purpose.LINK,
                request.address,
                user_id=user_of(caller()),
                origin=request.origin,
                chain_id=request.chain_id,
            )
        )

    async def SignInWithWallet(self, request: pb.SignInWithWalletRequest, context: Context) -> pb.TokenPair:
        signature = signature_from_proto(request.signature)
        return tokens_to_proto(await self._use.sign_in_with_wallet(request.message, signature))

    async def LinkWallet(self, request: pb.LinkWalletRequest, context: Context) -> pb.Wallet:
        signature = signature_from_proto(request.signature)
        return wallet_to_proto(await self._use.link_wallet(caller(), request.message, signature))

    async def ListWallets(self, request: pb.ListWalletsRequest, context: Context) -> pb.ListWalletsResponse:
        actor, size = caller(), page_size(request.page_size)
        query = {"method": "ListWallets", "user": actor.subject}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._use.wallets.list(actor, cursor["after"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.wallet_id}, query)
        return pb.ListWalletsResponse(wallets=map(wallet_to_proto, page), next_page_token=token)

    async def UnlinkWallet(self, request: pb.UnlinkWalletRequest, context: Context) -> Empty:
        await self._use.unlink_wallet(caller(), request.wallet_id.lower())
        return Empty()
