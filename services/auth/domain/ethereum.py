"""Addresses and signatures of Ethereum accounts, as far as they can be judged without a chain."""

import re
from typing import Final

from chassis.errors import InvalidArgument, Unauthenticated, Violation
from services.auth.domain.keccak import keccak256

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
SIGNATURE_BYTES: Final = 65
ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Number of points of secp256k1 (SEC 2 section 2.4.1)."""


def checksummed(address: str) -> str:
    """An address with the capitals of its checksum (EIP-55), whatever capitals it has."""
    digits = address[2:].lower()
    marks = keccak256(digits.encode()).hex()
    pairs = zip(digits, marks, strict=False)
    return "0x" + "".join(digit.upper() if mark >= "8" else digit for digit, mark in pairs)


def wallet_address(given: str) -> str:
    """The checksummed form of an address that somebody typed; digits of one case carry no checksum.

    Raises:
        InvalidArgument: WALLET_ADDRESS_INVALID.
    """
    if not ADDRESS.fullmatch(given):
        raise _address_invalid("is not 0x and 40 hexadecimal digits")
    address = checksummed(given)
    if given != address and given[2:] not in (given[2:].lower(), given[2:].upper()):
        raise _address_invalid("has other capitals than its EIP-55 checksum")
    return address


def standard_signature(signature: bytes) -> bytes:
    """The one form of an ECDSA signature that is accepted: r, s in the lower half, v as 27 or 28.

    Without the rule on s anyone could make a second valid signature out of a first (EIP-2).

    Raises:
        Unauthenticated: WALLET_SIGNATURE_INVALID.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise signature_invalid(f"has {len(signature)} bytes instead of {SIGNATURE_BYTES}")
    r, s, v = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]
    if v not in (0, 1, 27, 28):
        raise signature_invalid("has a recovery byte other than 0, 1, 27 and 28")
    if not 0 < r < ORDER or not 0 < s < ORDER:
        raise signature_invalid("is outside the curve's order")
    if s > ORDER // 2:
        raise signature_invalid("is malleable: its s is in the upper half")
    return signature[:64] + bytes([v % 27 + 27])


def signature_invalid(fault: str) -> Unauthenticated:
    """A signature that proves nothing.

    Args:
        fault: goes on from "the signature".
    """
    return Unauthenticated(
        "WALLET_SIGNATURE_INVALID",
        f"the signature {fault}; contract wallets (EIP-1271) cannot be checked without a chain node",
    )


def _address_invalid(fault: str) -> InvalidArgument:
    return InvalidArgument(
        "WALLET_ADDRESS_INVALID", f"the address {fault}", violations=(Violation("address", fault),)
    )
