"""Where the objects of auth meet."""

from chassis.background import Every
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.auth.v1 import auth_pb2_grpc
from services.auth.adapters.db import PostgresAccounts, PostgresAttempts, PostgresLogins, PostgresPrepared
from services.auth.adapters.ethereum import EthereumRecovery
from services.auth.adapters.grpc import AuthServicer, UseCases
from services.auth.adapters.kafka import AuthEvents, user_deleted
from services.auth.adapters.keys import KeyRing
from services.auth.adapters.passwords import Argon2Passwords
from services.auth.adapters.sealing import Seal
from services.auth.adapters.secrets import RandomTokens, ServiceAccountFile, operator_credentials
from services.auth.adapters.settings import AuthSettings
from services.auth.adapters.wallets import PostgresNonces, PostgresWallets
from services.auth.application.access import AccessQueries, SetRoles
from services.auth.application.change_password import ChangePassword
from services.auth.application.credentials import ActivateCredentials, PrepareCredentials, RevokeCredentials
from services.auth.application.housekeeping import KeepHouse
from services.auth.application.keys import RotateSigningKey
from services.auth.application.login import LogIn
from services.auth.application.refresh import LogOut, Refresh
from services.auth.application.seed_operator import SeedOperator
from services.auth.application.service_tokens import IssueServiceToken
from services.auth.application.tokens import TokenMaker
from services.auth.application.verify import VerifyPassword
from services.auth.application.wallet_challenges import IssueChallenge, VerifyProof
from services.auth.application.wallet_sign_in import SignInWithWallet
from services.auth.application.wallets import LinkWallet, UnlinkWallet, WalletQueries
from services.auth.domain.challenges import Nonces
from services.auth.domain.logins import Lifetimes
from services.auth.domain.throttle import Throttle


def wire(runtime: Runtime, settings: AuthSettings | None = None) -> Service:
    """The service on a runtime.

    Args:
        runtime: the process.
        settings: default from the environment.
    """
    settings = settings or AuthSettings.from_environment()
    db, clock, ids = runtime.database, runtime.clock, runtime.ids
    folder = runtime.settings.secrets_dir
    lifetimes = Lifetimes(
        access_token=settings.access_token, refresh_token=settings.refresh_token, login=settings.login
    )
    throttle = Throttle()
    accounts, prepared = PostgresAccounts(db, clock), PostgresPrepared(db)
    logins, attempts = PostgresLogins(db), PostgresAttempts(db)
    events, passwords, random = AuthEvents(db, runtime.outbox), Argon2Passwords(settings), RandomTokens()
    wallets, used = PostgresWallets(db), PostgresNonces(db)
    seal = Seal.from_folder(folder)
    ring = KeyRing(db, seal, clock)
    tokens = TokenMaker(ring, logins, random, clock, ids, lifetimes)
    verify = VerifyPassword(accounts, passwords, attempts, clock, throttle)
    rotate = RotateSigningKey(db, ring, clock, lifetimes, settings.key_lead, settings.key_age)
    revoke = RevokeCredentials(db, accounts, wallets, logins, clock)
    rules, nonces = settings.wallet_rules, Nonces(seal.derive("wallet challenges"))
    proof = VerifyProof(rules, nonces, EthereumRecovery(), clock)
    use = UseCases(
        log_in=LogIn(db, verify, accounts, passwords, attempts, tokens),
        refresh=Refresh(db, accounts, logins, tokens, events, clock),
        log_out=LogOut(db, logins, clock),
        issue_service_token=IssueServiceToken(ServiceAccountFile(folder), tokens),
        change_password=ChangePassword(db, verify, accounts, passwords, attempts, logins, clock),
        access=AccessQueries(accounts),
        set_roles=SetRoles(db, accounts, events),
        rotate=rotate,
        prepare=PrepareCredentials(accounts, prepared, passwords, random, clock, lifetimes),
        activate=ActivateCredentials(db, accounts, prepared, events, clock),
        revoke=revoke,
        issue_challenge=IssueChallenge(rules, nonces, random, clock),
        sign_in_with_wallet=SignInWithWallet(db, proof, accounts, wallets, used, tokens),
        link_wallet=LinkWallet(db, proof, accounts, wallets, used, events, clock, ids),
        unlink_wallet=UnlinkWallet(db, accounts, wallets, logins, events, clock),
        wallets=WalletQueries(wallets),
    )
    seed = SeedOperator(db, accounts, passwords, events, ids)

    async def on_start() -> None:
        await rotate.if_due()
        if (operator := operator_credentials(folder)) is not None:
            await seed(*operator)

    keep_house = KeepHouse(prepared, logins, attempts, used, ring, rotate, clock, throttle)
    return Service(
        servicers=[
            Servicer(
                "greenledger.auth.v1.AuthService",
                auth_pb2_grpc.add_AuthServiceServicer_to_server,
                AuthServicer(use, ring, runtime.page_tokens),
            )
        ],
        subscriptions=[user_deleted(revoke)],
        background=[Every("auth.housekeeping", keep_house)],
        jwks=ring.jwks,
        on_start=on_start,
    )
