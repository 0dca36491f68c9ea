"""EIP-4361 and EIP-191 by the vectors of others."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.errors import InvalidArgument, Unauthenticated
from chassis.testing.published import needs_published, published
from services.auth.adapters.ethereum import EthereumRecovery, recover
from services.auth.application.wallet_challenges import require_signed
from services.auth.domain.ethereum import checksummed, standard_signature
from services.auth.domain.instants import parse_instant
from services.auth.domain.keccak import keccak256
from services.auth.domain.siwe import SiweMessage, parse, render
from services.auth.domain.wallets import require_in_time

FOLDER = published("siwe")
pytestmark = needs_published


def vectors(name: str) -> Any:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


NAMES = {
    "domain": "domain", "scheme": "scheme", "address": "address", "statement": "statement", "uri": "uri",
    "version": "version", "chainId": "chain_id", "nonce": "nonce", "issuedAt": "issued_at",
    "expirationTime": "expiration_time", "notBefore": "not_before", "requestId": "request_id",
    "resources": "resources",
}  # fmt: skip
POSITIVE, NEGATIVE = vectors("parsing_positive"), vectors("parsing_negative")
VERIFICATION, CONTRACTS = vectors("verification_positive"), vectors("eip1271")
EIP191, SPECIFICATION = vectors("eip191"), vectors("erc4361_spec_examples").get("valid_messages", {})
FAULTS = {
    "domain not RFC4501 authority": "domain",
    "address not EIP-55": "address",
    "statement has line break": "statement",
    "uri is non-RFC 3986": "uri",
    "version not 1": "version",
    "not a valid chainId": "chain_id",
    "nonce with less then 8 chars": "nonce",
    "non-ISO 8601 issuedAt": "issued_at",
    "non-ISO 8601 expirationTime": "expiration_time",
    "non-ISO 8601 notBefore": "not_before",
    "resources not separated by line break": "resources",
    "first resource not-RFC 3986": "resources",
    "second resource is not-RFC3986": "resources",
    "missing domain": "domain",
    "missing address": "address",
    "missing uri": "uri",
    "missing version": "version",
    "missing chainId": "chain_id",
    "missing nonce": "nonce",
    "missing issuedAt": "issued_at",
    "out of order uri": "uri",
    "out of order version": "version",
    "out of order chainId": "chain_id",
    "out of order nonce": "nonce",
    "out of order issuedAt": "issued_at",
    "out of order expirationTime": "end",
    "out of order notBefore": "end",
    "out of order requestId": "resources",
    "out of order resources": "resources",
}


def message_of(fields: dict[str, Any]) -> SiweMessage:
    known = {NAMES[name]: value for name, value in fields.items() if name in NAMES}
    if known.get("resources") is not None:
        known["resources"] = tuple(known["resources"])
    return SiweMessage(**known)


def signature_of(text: str) -> bytes:
    return standard_signature(bytes.fromhex(text.removeprefix("0x")))


@pytest.mark.parametrize("name", POSITIVE)
def test_a_valid_message_is_read_and_written_back(name: str):
    text = POSITIVE[name]["message"]
    assert parse(text) == message_of(POSITIVE[name]["fields"])
    assert render(parse(text)) == text


@pytest.mark.parametrize("number", range(len(SPECIFICATION)))
def test_an_example_of_the_specification_is_read_and_written_back(number: int):
    assert render(parse(SPECIFICATION[number])) == SPECIFICATION[number]


def test_the_table_of_faults_names_every_invalid_message():
    assert set(FAULTS) == set(NEGATIVE)


@pytest.mark.parametrize("name", NEGATIVE)
def test_an_invalid_message_is_refused_for_the_part_that_is_wrong(name: str):
    with pytest.raises(InvalidArgument) as error:
        parse(NEGATIVE[name])
    assert error.value.reason == "WALLET_MESSAGE_MALFORMED"
    assert error.value.metadata == {"part": FAULTS[name]}


@pytest.mark.parametrize("name", VERIFICATION)
def test_a_valid_signature_at_a_valid_time_is_accepted(name: str):
    vector = VERIFICATION[name]
    message = message_of(vector)
    assert parse(render(message)) == message
    assert recover(render(message), signature_of(vector["signature"])) == message.address
    at = parse_instant(vector["time"]) if "time" in vector else datetime(2026, 1, 1, tzinfo=UTC)
    assert at is not None
    require_in_time(message, at, timedelta(0))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("not yet valid", "WALLET_MESSAGE_NOT_YET_VALID"), ("expired message", "WALLET_MESSAGE_EXPIRED")],
)
def test_a_valid_signature_outside_its_time_is_refused(name: str, reason: str):
    with pytest.raises(Unauthenticated) as error:
        require_in_time(
            message_of(VERIFICATION[name]), datetime(2026, 1, 1, tzinfo=UTC), timedelta(minutes=1)
        )
    assert error.value.reason == reason


@pytest.mark.parametrize("name", VERIFICATION)
def test_no_field_of_a_signed_message_can_be_changed(name: str):
    vector = VERIFICATION[name]
    message, signature = message_of(vector), signature_of(vector["signature"])
    for field, value in {
        "domain": "evil.example", "uri": "https://evil.example", "nonce": "anothernonce", "chain_id": 5,
        "statement": "Something else", "issued_at": "2022-01-05T14:27:30.884Z",
    }.items():  # fmt: skip
        altered = SiweMessage(**{n: getattr(message, n) for n in NAMES.values()} | {field: value})
        assert recover(render(altered), signature) != message.address, field


@pytest.mark.parametrize("name", CONTRACTS)
async def test_a_contract_wallets_signature_is_refused_and_the_refusal_says_why(name: str):
    text, signature = CONTRACTS[name]["message"], bytes.fromhex(CONTRACTS[name]["signature"][2:])
    with pytest.raises(Unauthenticated, match="EIP-1271") as error:
        await require_signed(EthereumRecovery(), text, signature, parse(text).address)
    assert error.value.reason == "WALLET_SIGNATURE_INVALID"


@pytest.mark.parametrize("number", range(len(EIP191.get("recover", ()))))
def test_the_signer_of_a_text_is_found(number: int):
    vector = EIP191["recover"][number]
    assert recover(vector["message"], signature_of(vector["signature"])) == vector["address"]


@pytest.mark.parametrize("number", range(len(EIP191.get("hashes", ()))))
def test_the_hash_of_a_prefixed_text_is_keccak(number: int):
    vector = EIP191["hashes"][number]
    hexadecimal = vector["encoding"] == "hex"
    data = bytes.fromhex(vector["message"]) if hexadecimal else vector["message"].encode()
    prefixed = b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data
    assert keccak256(prefixed).hex() == vector["keccak256"]


def test_a_hash_covers_every_length_around_its_block():
    # The empty hash is that of every account without code (EIP-1052).
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert len({keccak256(bytes(length)) for length in range(130, 280)}) == 150


@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_an_address_gets_the_capitals_of_its_checksum(address: str):
    assert checksummed(address.lower()) == checksummed("0x" + address[2:].upper()) == address
