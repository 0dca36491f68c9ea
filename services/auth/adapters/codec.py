"""Domain to protobuf."""

from google.protobuf.duration_pb2 import Duration

from chassis.protobuf import timestamp_to_proto
from greenledger.auth.v1 import auth_pb2 as pb
from services.auth.adapters.keys import PublicKey
from services.auth.application.credentials import Ticket
from services.auth.application.tokens import ServiceToken, TokenPair
from services.auth.domain.account import Account
from services.auth.domain.challenges import Challenge
from services.auth.domain.keys import SigningKey
from services.auth.domain.roles import Role, permissions_of
from services.auth.domain.wallets import Wallet


def tokens_to_proto(tokens: TokenPair) -> pb.TokenPair:
    """The tokens of a login."""
    life = Duration()
    life.FromTimedelta(tokens.expires_in)
    return pb.TokenPair(
        access_token=tokens.access_token,
        token_type="Bearer",
        expires_in=life,
        refresh_token=tokens.refresh_token,
        refresh_expire_time=timestamp_to_proto(tokens.refresh_expires_at),
        user_id=tokens.user_id,
    )


def service_token_to_proto(token: ServiceToken) -> pb.ServiceToken:
    """A service token."""
    return pb.ServiceToken(access_token=token.value, expire_time=timestamp_to_proto(token.expires_at))


def access_to_proto(account: Account) -> pb.Access:
    """Roles and permissions of an account."""
    permissions = sorted(permissions_of(account.roles))
    return pb.Access(user_id=account.user_id, roles=account.roles, permissions=permissions)


def role_to_proto(role: Role) -> pb.Role:
    """A role."""
    return pb.Role(name=role.name, permissions=sorted(role.permissions), self_service=role.self_service)


def ticket_to_proto(ticket: Ticket) -> pb.PreparedCredentials:
    """A ticket."""
    return pb.PreparedCredentials(ticket=ticket.value, expire_time=timestamp_to_proto(ticket.expires_at))


def signing_key_to_proto(key: SigningKey) -> pb.SigningKey:
    """A signing key without its halves."""
    return pb.SigningKey(kid=key.kid, create_time=timestamp_to_proto(key.created_at))


def public_key_to_proto(key: PublicKey) -> pb.Jwk:
    """A public key."""
    return pb.Jwk(kty="RSA", kid=key.kid, use="sig", alg="RS256", n=key.modulus, e=key.exponent)


def challenge_to_proto(challenge: Challenge) -> pb.WalletChallenge:
    """A challenge for a wallet."""
    return pb.WalletChallenge(
        nonce=challenge.nonce,
        message=challenge.message,
        expire_time=timestamp_to_proto(challenge.expires_at),
    )


def wallet_to_proto(wallet: Wallet) -> pb.Wallet:
    """A linked wallet."""
    return pb.Wallet(
        wallet_id=wallet.wallet_id,
        address=wallet.address,
        chain_id=wallet.chain_id,
        link_time=timestamp_to_proto(wallet.linked_at),
    )


def signature_from_proto(text: str) -> bytes:
    """The bytes behind 0x; validation has seen that they are hexadecimal."""
    return bytes.fromhex(text.removeprefix("0x"))
