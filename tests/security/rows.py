"""The table: for every RPC a sound request, what breaks it field by field, and who is refused why.

Names in braces are things of the tests' world; `{request}` and `{nobody}` are a fresh id each time. A value
of `ABSENT` takes the field away.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.security.control_rows import CONTROL
from tests.security.table import ABSENT, IDS, LONG, PAGE, Entry, Refused

REQUEST_IDS = [ABSENT, "", *IDS]
AMOUNTS = ["-1", "1e3", "NaN", "0.1234567", "1" * 16, "", "01"]

_QUANTITY = {"quantity": [ABSENT], "quantity.amount": AMOUNTS, "quantity.unit_code": ["", "kg", "TOOLONG"]}
_PRICE = {"currencyCode": "USD", "units": "5", "nanos": 0}
_NO_MONEY = [
    {"currencyCode": "usd", "units": "5"},
    {"currencyCode": "USD", "units": "-5"},
    {"currencyCode": "USD", "units": "0"},
    {"currencyCode": "USD", "units": "5", "nanos": -1},
    {"units": "5"},
    {"currencyCode": "USD", "units": "9223372036854775807"},
]
_ORIGIN = {"farmName": "Farm", "countryCode": "US"}
_RESERVATION = {"requestId": "{request}", "orderId": "{nobody}"}
_SAGA = {"sagaId": "{nobody}", "why": "a test"}
_PARKED = {"consumer": "nobody", "topic": "crop.minted", "key": "k", "why": "a test"}
_PROJECTION = {"projection": "nobody", "why": "a test"}
_WHY = ["", ABSENT, "x" * 501]
_OCCASION = {
    "occasion.utc_offset": ["-7:00", "+15:00", "Z", LONG],
    "occasion.read_point": [LONG],
    "occasion.documents": [[{"type": 1, "documentId": "d"}] * 21],
    "occasion.documents[0].type": [ABSENT, 0, 99],
    "occasion.documents[0].document_id": ["", LONG],
}
_SSCC = "https://id.gs1.org/00/106141412345678908"
_HAPPENED = {"utcOffset": "-07:00", "documents": [{"type": 5, "documentId": "BOL-7"}]}
_WALLET = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
_CHALLENGE = Entry(
    {"address": _WALLET},
    {
        "address": ["", ABSENT, LONG, _WALLET[2:], _WALLET[:-1], _WALLET + "0", "0X" + _WALLET[2:]],
        "origin": [LONG],
        "chain_id": [-1],
    },
    [
        Refused("user", "INVALID_ARGUMENT", "WALLET_ADDRESS_INVALID", {"address": _WALLET[:-1] + "3"}),
        Refused("user", "INVALID_ARGUMENT", "WALLET_ORIGIN_NOT_ALLOWED", {"origin": "https://evil.example"}),
        Refused("user", "INVALID_ARGUMENT", "WALLET_ORIGIN_NOT_ALLOWED", {"origin": "//"}),
        Refused("user", "INVALID_ARGUMENT", "WALLET_CHAIN_NOT_ALLOWED", {"chain_id": "9223372036854775807"}),
    ],
)
_SIGNED = {
    "message": (
        f"evil.example wants you to sign in with your Ethereum account:\n{_WALLET}\n\n\n"
        "URI: https://evil.example\nVersion: 1\nChain ID: 1\nNonce: 32891756\nIssued At: 2021-09-30T16:25:24Z"
    ),
    "signature": "0x" + "11" * 64 + "1b",
}
_NOT_SIGNED = {
    "message": ["", ABSENT, "x" * 4097],
    "signature": ["", ABSENT, "0x", "0x1", "0x1g", "11" * 65, "0x" + "11" * 2049],
}
_UNSIGNED_TEXTS = [
    _SIGNED["message"] + "\n",
    _SIGNED["message"].replace("\n", "\r\n"),
    _SIGNED["message"].replace("Version: 1", "Version: 2"),
    "hello",
    "\u0000",
]
_WRONGLY_SIGNED = [
    Refused("user", "UNAUTHENTICATED", "WALLET_NONCE_INVALID"),
    *(
        Refused("user", "INVALID_ARGUMENT", "WALLET_MESSAGE_MALFORMED", {"message": text})
        for text in _UNSIGNED_TEXTS
    ),
]

AUTH = {
    "AuthService/Login": Entry(
        {"email": "{email}", "password": "not the password"},
        {"email": ["", "nobody", LONG, ABSENT], "password": ["", "x" * 257]},
        [Refused("none", "UNAUTHENTICATED", "CREDENTIALS_INVALID")],
    ),
    "AuthService/RefreshToken": Entry(
        {"refreshToken": "made up"},
        {"refresh_token": ["", ABSENT, LONG]},
        [Refused("none", "UNAUTHENTICATED", "REFRESH_TOKEN_INVALID")],
    ),
    "AuthService/Logout": Entry({"refreshToken": "made up"}, {"refresh_token": ["", ABSENT, LONG]}),
    "AuthService/GetJwks": Entry(),
    "AuthService/IssueServiceToken": Entry(
        {"account": "orders", "secret": "made up"},
        {"account": ["", "A", "1a", LONG], "secret": ["", ABSENT, "x" * 257]},
        [Refused("none", "UNAUTHENTICATED", "CREDENTIALS_INVALID")],
    ),
    "AuthService/ChangePassword": Entry(
        {"currentPassword": "not the password", "newPassword": "a new long password"},
        {
            "current_password": ["", ABSENT, "x" * 257],
            "new_password": ["", "short", "x" * 257],
            "refresh_token": ["x" * 513],
        },
        [Refused("stranger", "UNAUTHENTICATED", "CREDENTIALS_INVALID")],
    ),
    "AuthService/GetAccess": Entry(
        {"userId": "{guest_id}"},
        {"user_id": ["", *IDS]},
        [
            Refused("stranger", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("operator", "NOT_FOUND", "USER_UNKNOWN", {"user_id": "{nobody}"}),
        ],
    ),
    "AuthService/SetRoles": Entry(
        {"userId": "{stranger_id}", "roles": ["guest"]},
        {"user_id": ["", *IDS], "roles": [[], ABSENT, ["guest", "guest"]], "roles[0]": ["", "Guest", LONG]},
        [
            Refused("operator", "NOT_FOUND", "USER_UNKNOWN", {"user_id": "{nobody}"}),
            Refused("operator", "INVALID_ARGUMENT", "ROLE_UNKNOWN", {"roles": ["emperor"]}),
        ],
    ),
    "AuthService/ListRoles": Entry({}, PAGE),
    "AuthService/RotateSigningKey": Entry(),
    "AuthService/PrepareCredentials": Entry(
        {"email": "someone@example.com", "password": "a long password", "role": "guest"},
        {"email": ["", "nobody", LONG], "password": ["", "short", "x" * 257], "role": ["", "Guest", LONG]},
        [
            Refused("anyone", "ALREADY_EXISTS", "EMAIL_TAKEN", {"email": "{email}"}),
            Refused("anyone", "FAILED_PRECONDITION", "ROLE_NOT_SELF_SERVICE", {"role": "operator"}),
        ],
    ),
    "AuthService/ActivateCredentials": Entry(
        {"requestId": "{request}", "userId": "{nobody}", "ticket": "made up"},
        {"request_id": REQUEST_IDS, "user_id": ["", *IDS], "ticket": ["", "x" * 201]},
        [Refused("anyone", "FAILED_PRECONDITION", "TICKET_INVALID")],
    ),
    "AuthService/RevokeCredentials": Entry(
        {"requestId": "{request}", "userId": "{nobody}"}, {"request_id": REQUEST_IDS, "user_id": ["", *IDS]}
    ),
}
AUTH |= {
    "AuthService/IssueWalletChallenge": _CHALLENGE,
    "AuthService/IssueWalletLinkChallenge": _CHALLENGE,
    "AuthService/SignInWithWallet": Entry(_SIGNED, _NOT_SIGNED, _WRONGLY_SIGNED),
    "AuthService/LinkWallet": Entry(
        {"requestId": "{request}", **_SIGNED}, {"request_id": REQUEST_IDS, **_NOT_SIGNED}, _WRONGLY_SIGNED
    ),
    "AuthService/ListWallets": Entry({}, PAGE),
    "AuthService/UnlinkWallet": Entry(
        {"walletId": "{nobody}"},
        {"wallet_id": ["", *IDS]},
        [
            Refused("guest", "NOT_FOUND", "WALLET_NOT_LINKED"),
            Refused("anyone", "NOT_FOUND", "USER_UNKNOWN"),
        ],
    ),
}
USERS = {
    "UserService/CreateUser": Entry(
        {
            "requestId": "{request}",
            "email": "{code}@example.com",
            "password": "a long enough password",
            "displayName": "Someone",
            "role": "guest",
        },
        {
            "request_id": REQUEST_IDS,
            "email": ["", "nobody", "a@b@c.de", LONG, ABSENT],
            "password": ["", "short", "x" * 257],
            "display_name": ["", "x" * 201],
            "role": ["", "operator", "auditor"],
            "preferences.language": ["?", LONG],
        },
        [Refused("none", "ALREADY_EXISTS", "EMAIL_TAKEN", {"email": "{email}"})],
    ),
    "UserService/GetUser": Entry(
        {"userId": "{guest_id}"},
        {"user_id": ["", *IDS]},
        [
            Refused("stranger", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("anyone", "NOT_FOUND", "USER_NOT_FOUND", {"user_id": "{nobody}"}),
        ],
    ),
    "UserService/GetMe": Entry({}, {}, [Refused("anyone", "NOT_FOUND", "USER_NOT_FOUND")]),
    "UserService/ListUsers": Entry({}, {**PAGE, "role": ["x" * 41]}),
    "UserService/UpdateUser": Entry(
        {"user": {"userId": "{guest_id}", "displayName": "Someone"}, "updateMask": "displayName"},
        {"user.display_name": ["x" * 201], "user.preferences.language": ["?"], "user": [ABSENT]},
        [
            Refused("stranger", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("guest", "INVALID_ARGUMENT", "UPDATE_MASK_INVALID", {"update_mask": "role"}),
            Refused("guest", "ABORTED", "ETAG_MISMATCH", {"user.etag": "no such version"}),
        ],
    ),
    "UserService/DeleteUser": Entry(
        {"userId": "{guest_id}"},
        {"user_id": ["", *IDS], "etag": ["x" * 65]},
        [
            Refused("stranger", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("guest", "ABORTED", "ETAG_MISMATCH", {"etag": "no such version"}),
            Refused("operator", "NOT_FOUND", "USER_NOT_FOUND", {"user_id": "{nobody}"}),
        ],
    ),
}
CROPS = {
    "CropCommandService/MintLot": Entry(
        {
            "requestId": "{request}",
            "lotCode": "L-{code}",
            "productCode": "cucumber",
            "quantity": {"amount": "10", "unitCode": "KGM"},
            "origin": _ORIGIN,
            "harvestTime": "2026-01-01T00:00:00Z",
            "expireTime": "2099-01-01T00:00:00Z",
        },
        {
            **_QUANTITY,
            "request_id": REQUEST_IDS,
            "lot_code": ["", "x" * 81],
            "product_code": ["", "Upper", "a--b", "x" * 81],
            "description": ["x" * 501],
            "variety": ["x" * 101],
            "origin": [ABSENT],
            "origin.farm_name": ["", "x" * 201],
            "origin.country_code": ["", "us", "USA"],
            "origin.gln": ["123", "12345678901234"],
            "harvest_time": [ABSENT],
            "expire_time": [ABSENT],
            "harvest_utc_offset": ["7", "+7:00", "+15:00", "Z"],
            "grower_id": IDS,
        },
        [
            Refused("grower", "PERMISSION_DENIED", "NOT_OWNER", {"grower_id": "{other_grower_id}"}),
            Refused("grower", "INVALID_ARGUMENT", "TIMES_INVALID", {"expire_time": "2025-01-01T00:00:00Z"}),
            Refused("grower", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"quantity.unit_code": "ZZZ"}),
            Refused("grower", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
        ],
    ),
    "CropCommandService/TransferLot": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "newOwnerId": "{other_manager_id}"},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "new_owner_id": ["", ABSENT, *IDS],
            "reference_document": ["x" * 101],
        },
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused(
                "grower",
                "FAILED_PRECONDITION",
                "NEW_OWNER_UNKNOWN",
                {"lot_id": "{free_lot}", "new_owner_id": "{nobody}"},
            ),
            Refused("manager", "FAILED_PRECONDITION", "QUANTITY_COMMITTED"),
            Refused("manager", "INVALID_ARGUMENT", "TRANSFER_TO_SELF", {"new_owner_id": "{manager_id}"}),
        ],
    ),
    "CropCommandService/SplitLot": Entry(
        {
            "requestId": "{request}",
            "lotId": "{lot}",
            "parts": [{"lotCode": "P-{code}", "quantity": {"amount": "1", "unitCode": "GRM"}}],
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "parts": [[], ABSENT],
            "parts[0].lot_code": ["", "x" * 81],
            "parts[0].quantity": [ABSENT],
            "parts[0].quantity.amount": AMOUNTS,
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused(
                "manager",
                "FAILED_PRECONDITION",
                "QUANTITY_EXCEEDED",
                {"parts[0].quantity.amount": "999999999"},
            ),
            Refused("manager", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"parts[0].quantity.unit_code": "LTR"}),
        ],
    ),
    "CropCommandService/MergeLots": Entry(
        {
            "requestId": "{request}",
            "inputs": [{"lotId": "{lot}"}, {"lotId": "{free_lot}"}],
            "lotCode": "M-{code}",
        },
        {
            "request_id": REQUEST_IDS,
            "inputs": [[], ABSENT, [{"lotId": "00000000-0000-7000-8000-000000000001"}]],
            "inputs[0].lot_id": ["", ABSENT, *IDS],
            "lot_code": ["", ABSENT, "x" * 81],
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"inputs[0].lot_id": "{nobody}"}),
            Refused("grower", "INVALID_ARGUMENT", "INPUT_REPEATED", {"inputs[0].lot_id": "{free_lot}"}),
        ],
    ),
    "CropCommandService/TransformLots": Entry(
        {
            "requestId": "{request}",
            "inputs": [{"lotId": "{lot}", "quantity": {"amount": "1", "unitCode": "GRM"}}],
            "outputs": [
                {
                    "lotCode": "T-{code}",
                    "productCode": "salad",
                    "quantity": {"amount": "1", "unitCode": "GRM"},
                    "expireTime": "2099-01-01T00:00:00Z",
                }
            ],
            "step": 3,
        },
        {
            "request_id": REQUEST_IDS,
            "inputs": [[], ABSENT],
            "inputs[0].lot_id": ["", ABSENT, *IDS],
            "inputs[0].quantity.amount": AMOUNTS,
            "outputs": [[], ABSENT],
            "outputs[0].lot_code": ["", ABSENT, "x" * 81],
            "outputs[0].product_code": ["", ABSENT, "Salad", "x" * 81],
            "outputs[0].quantity": [ABSENT],
            "outputs[0].quantity.amount": AMOUNTS,
            "outputs[0].expire_time": [ABSENT],
            "step": [ABSENT, 0, 1, 99],
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"inputs[0].lot_id": "{nobody}"}),
            Refused(
                "manager",
                "FAILED_PRECONDITION",
                "QUANTITY_EXCEEDED",
                {"inputs[0].quantity.amount": "999999999"},
            ),
            Refused(
                "grower",
                "INVALID_ARGUMENT",
                "QUANTITY_NOT_CONSERVED",
                {"inputs[0].lot_id": "{free_lot}", "outputs[0].quantity.amount": "2"},
            ),
            Refused(
                "grower",
                "INVALID_ARGUMENT",
                "TIMES_INVALID",
                {"inputs[0].lot_id": "{free_lot}", "outputs[0].expire_time": "2001-01-01T00:00:00Z"},
            ),
        ],
    ),
    "CropCommandService/RecallLot": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "reason": "a test", "recallClass": 1},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "reason": ["", ABSENT, "x" * 501],
            "recall_class": [ABSENT, 0, 99],
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
        ],
    ),
    "CropCommandService/ReleaseRecall": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "reason": "a test"},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "reason": ["", ABSENT, "x" * 501],
        },
        [
            Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("operator", "FAILED_PRECONDITION", "LOT_NOT_RECALLED", {"lot_id": "{free_lot}"}),
        ],
    ),
    "CropCommandService/HoldLot": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "reason": "a test"},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "reason": ["", ABSENT, "x" * 501],
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
        ],
    ),
    "CropCommandService/ReleaseHold": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "reason": "a test"},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "reason": ["", ABSENT, "x" * 501],
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("operator", "FAILED_PRECONDITION", "LOT_NOT_HELD", {"lot_id": "{free_lot}"}),
        ],
    ),
    "CropCommandService/DestroyLot": Entry(
        {
            "requestId": "{request}",
            "lotId": "{lot}",
            "reason": "a test",
            "quantity": {"amount": "1", "unitCode": "GRM"},
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "reason": ["", ABSENT, "x" * 501],
            "quantity.amount": AMOUNTS,
            "owner_id": IDS,
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER", {"owner_id": "{manager_id}"}),
            Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "FAILED_PRECONDITION", "QUANTITY_EXCEEDED", {"quantity.amount": "999999999"}),
            Refused("manager", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
        ],
    ),
    "CropCommandService/SellLot": Entry(
        {
            "requestId": "{request}",
            "lotId": "{free_lot}",
            "quantity": {"amount": "1", "unitCode": "GRM"},
            "referenceDocument": "a till",
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            **_QUANTITY,
            "reference_document": ["x" * 101],
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("grower", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("grower", "FAILED_PRECONDITION", "QUANTITY_EXCEEDED", {"quantity.amount": "999999999"}),
            Refused("grower", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
        ],
    ),
    "CropCommandService/OfferLot": Entry(
        {
            "requestId": "{request}",
            "lotId": "{free_lot}",
            "toId": "{manager_id}",
            "kind": 3,
            "expireTime": "2001-01-01T00:00:00Z",
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "to_id": ["", ABSENT, *IDS],
            "kind": [ABSENT, 0, 99],
            "expire_time": [ABSENT],
            "reference_document": ["x" * 101],
        },
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
        ],
    ),
    "CropCommandService/AcceptOffer": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "offerId": "{nobody}"},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "offer_id": ["", ABSENT, *IDS],
        },
        [
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "NOT_FOUND", "OFFER_NOT_FOUND"),
        ],
    ),
    "CropCommandService/RejectOffer": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "offerId": "{nobody}"},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "offer_id": ["", ABSENT, *IDS],
        },
        [
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "NOT_FOUND", "OFFER_NOT_FOUND"),
        ],
    ),
    "CropCommandService/WithdrawOffer": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "offerId": "{nobody}"},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "offer_id": ["", ABSENT, *IDS],
        },
        [
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "NOT_FOUND", "OFFER_NOT_FOUND"),
        ],
    ),
    "CropCommandService/ShipLot": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "toId": "{manager_id}", "occasion": _HAPPENED},
        {"request_id": REQUEST_IDS, "lot_id": ["", *IDS], "to_id": ["", ABSENT, *IDS], **_OCCASION},
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_CUSTODIAN"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused(
                "grower",
                "INVALID_ARGUMENT",
                "TIMES_INVALID",
                {"lot_id": "{free_lot}", "occasion.event_time": "9000-01-01T00:00:00Z"},
            ),
            Refused(
                "grower",
                "INVALID_ARGUMENT",
                "IDENTIFIER_INVALID",
                {"lot_id": "{free_lot}", "occasion.read_point": "0614141000006"},
            ),
        ],
    ),
    "CropCommandService/VoidShipment": Entry(
        {
            "requestId": "{request}",
            "lotId": "{lot}",
            "shipmentId": "{nobody}",
            "reason": "a test",
            "occasion": _HAPPENED,
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "shipment_id": ["", ABSENT, *IDS],
            "reason": _WHY,
            **_OCCASION,
        },
        [
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "FAILED_PRECONDITION", "SHIPMENT_NOT_UNDER_WAY"),
        ],
    ),
    "CropCommandService/ReceiveLot": Entry(
        {
            "requestId": "{request}",
            "lotId": "{lot}",
            "shipmentId": "{nobody}",
            "quantity": {"amount": "1", "unitCode": "GRM"},
            "occasion": _HAPPENED,
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "shipment_id": IDS,
            "quantity.amount": AMOUNTS,
            "quantity.unit_code": ["", "kg"],
            **_OCCASION,
        },
        [
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "FAILED_PRECONDITION", "SHIPMENT_NOT_UNDER_WAY"),
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER", {"shipment_id": ABSENT}),
        ],
    ),
    "CropCommandService/RecordTransport": Entry(
        {
            "requestId": "{request}",
            "lotId": "{lot}",
            "shipmentId": "{nobody}",
            "stage": 2,
            "occasion": _HAPPENED,
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "shipment_id": ["", ABSENT, *IDS],
            "stage": [ABSENT, 0, 99],
            **_OCCASION,
        },
        [
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "FAILED_PRECONDITION", "SHIPMENT_NOT_UNDER_WAY"),
        ],
    ),
    "CropCommandService/ObserveLot": Entry(
        {
            "requestId": "{request}",
            "lotId": "{lot}",
            "readings": [{"type": 1, "unitCode": "CEL", "time": "2026-01-01T00:00:00Z", "value": "3.5"}],
            "occasion": _HAPPENED,
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "readings[0].type": [ABSENT, 0, 99],
            "readings[0].unit_code": ["", ABSENT, "CELSIUS"],
            "readings[0].value": ["NaN", "1e3", "0.1234567", "1" * 11, "--1"],
            "readings[0].device_id": [LONG],
            **_OCCASION,
        },
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_CUSTODIAN"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "INVALID_ARGUMENT", "SENSOR_READING_INVALID", {"readings[0].unit_code": "P1"}),
            Refused("manager", "INVALID_ARGUMENT", "SENSOR_READING_INVALID", {"readings": []}),
        ],
    ),
    "CropCommandService/PackUnit": Entry(
        {"requestId": "{request}", "unitId": _SSCC, "lotIds": ["{lot}"], "occasion": _HAPPENED},
        {
            "request_id": REQUEST_IDS,
            "unit_id": ["", ABSENT, LONG],
            "lot_ids": [[], ABSENT, ["00000000-0000-7000-8000-000000000001"] * 2],
            "lot_ids[0]": ["", *IDS],
            **_OCCASION,
        },
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_CUSTODIAN"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_ids": ["{nobody}"]}),
            Refused("manager", "INVALID_ARGUMENT", "IDENTIFIER_INVALID", {"unit_id": "pallet 7"}),
            Refused("manager", "INVALID_ARGUMENT", "IDENTIFIER_INVALID", {"unit_id": _SSCC[:-1] + "7"}),
        ],
    ),
    "CropCommandService/UnpackUnit": Entry(
        {"requestId": "{request}", "unitId": _SSCC, "lotIds": ["{lot}"], "occasion": _HAPPENED},
        {
            "request_id": REQUEST_IDS,
            "unit_id": ["", ABSENT, LONG],
            "lot_ids": [["00000000-0000-7000-8000-000000000001"] * 2],
            "lot_ids[0]": ["", *IDS],
            **_OCCASION,
        },
        [
            Refused("manager", "FAILED_PRECONDITION", "UNIT_EMPTY"),
            Refused("manager", "INVALID_ARGUMENT", "IDENTIFIER_INVALID", {"unit_id": "pallet 7"}),
        ],
    ),
    "CropCommandService/ShipUnit": Entry(
        {"requestId": "{request}", "unitId": _SSCC, "toId": "{manager_id}", "occasion": _HAPPENED},
        {
            "request_id": REQUEST_IDS,
            "unit_id": ["", ABSENT, LONG],
            "to_id": ["", ABSENT, *IDS],
            **_OCCASION,
        },
        [
            Refused("manager", "FAILED_PRECONDITION", "UNIT_EMPTY"),
            Refused("manager", "INVALID_ARGUMENT", "IDENTIFIER_INVALID", {"unit_id": "pallet 7"}),
        ],
    ),
    "CropCommandService/ReceiveUnit": Entry(
        {
            "requestId": "{request}",
            "unitId": _SSCC,
            "shipmentId": "{nobody}",
            "counts": [{"lotId": "{lot}", "quantity": {"amount": "1", "unitCode": "GRM"}}],
            "occasion": _HAPPENED,
        },
        {
            "request_id": REQUEST_IDS,
            "unit_id": ["", ABSENT, LONG],
            "shipment_id": ["", ABSENT, *IDS],
            "counts[0].lot_id": ["", ABSENT, *IDS],
            "counts[0].quantity": [ABSENT],
            "counts[0].quantity.amount": AMOUNTS,
            **_OCCASION,
        },
        [
            Refused("manager", "FAILED_PRECONDITION", "UNIT_EMPTY"),
            Refused("manager", "INVALID_ARGUMENT", "IDENTIFIER_INVALID", {"unit_id": "pallet 7"}),
        ],
    ),
    "CropCommandService/CorrectLotEvent": Entry(
        {
            "requestId": "{request}",
            "lotId": "{lot}",
            "eventId": "{nobody}",
            "reason": "a test",
            "correctiveEventIds": ["{nobody}"],
            "quantity": {"amount": "1", "unitCode": "GRM"},
        },
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", *IDS],
            "event_id": ["", ABSENT, *IDS],
            "reason": _WHY,
            "corrective_event_ids": [["00000000-0000-7000-8000-000000000001"] * 2],
            "corrective_event_ids[0]": ["", *IDS],
            "quantity.amount": AMOUNTS,
            "etag": ["x" * 65],
        },
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "NOT_FOUND", "LOT_EVENT_NOT_FOUND"),
        ],
    ),
    "CropCommandService/CommitLotQuantity": Entry(
        {
            "requestId": "{request}",
            "lotId": "{lot}",
            "ownerId": "{manager_id}",
            "quantity": {"amount": "1", "unitCode": "GRM"},
            "purpose": 1,
            "venueId": "{venue}",
        },
        {
            **_QUANTITY,
            "request_id": REQUEST_IDS,
            "lot_id": ["", ABSENT, *IDS],
            "owner_id": ["", ABSENT, *IDS],
            "purpose": [ABSENT, 0, 99],
            # Of a receipt, as the sound request is, it is needed.
            "venue_id": ["", ABSENT, *IDS],
        },
        [
            Refused("anyone", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("anyone", "PERMISSION_DENIED", "NOT_OWNER", {"owner_id": "{nobody}"}),
            Refused("anyone", "FAILED_PRECONDITION", "QUANTITY_EXCEEDED"),
            Refused("anyone", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
            Refused("anyone", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"quantity.unit_code": "LTR"}),
            Refused("anyone", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"quantity.unit_code": "ZZZ"}),
            Refused("anyone", "INVALID_ARGUMENT", "VALIDATION_FAILED", {"purpose": 2}),
        ],
    ),
    "CropCommandService/DeliverCommitted": Entry(
        {
            "requestId": "{request}",
            "lotId": "{free_lot}",
            "commitmentId": "{nobody}",
            "quantity": {"amount": "1", "unitCode": "GRM"},
            "newOwnerId": "{manager_id}",
            "lotCode": "PART-1",
        },
        {
            **_QUANTITY,
            "request_id": REQUEST_IDS,
            "lot_id": ["", ABSENT, *IDS],
            "commitment_id": ["", ABSENT, *IDS],
            "new_owner_id": ["", ABSENT, *IDS],
            "lot_code": ["", ABSENT, "x" * 81],
        },
        [
            Refused("anyone", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("anyone", "NOT_FOUND", "COMMITMENT_NOT_FOUND"),
            Refused("anyone", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"quantity.unit_code": "LTR"}),
            Refused("anyone", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"quantity.unit_code": "ZZZ"}),
        ],
    ),
    "CropCommandService/ReleaseLotQuantity": Entry(
        {"requestId": "{request}", "lotId": "{lot}", "commitmentId": "{nobody}"},
        {
            "request_id": REQUEST_IDS,
            "lot_id": ["", ABSENT, *IDS],
            "commitment_id": ["", ABSENT, *IDS],
        },
        [
            Refused("anyone", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
        ],
    ),
    "CropQueryService/GetLot": Entry(
        {"lotId": "{lot}"},
        {"lot_id": ["", *IDS], "version": [-1, 0]},
        [
            Refused("guest", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("guest", "NOT_FOUND", "LOT_STATE_NOT_FOUND", {"version": 1000000}),
            Refused("guest", "NOT_FOUND", "LOT_STATE_NOT_FOUND", {"read_time": "2001-01-01T00:00:00Z"}),
        ],
    ),
    "CropQueryService/ListLots": Entry(
        {},
        {
            **PAGE,
            "owner_id": IDS,
            "grower_id": IDS,
            "product_code": ["x" * 81],
            "lot_code": ["x" * 81],
            "unit_id": ["x" * 201],
            "state": [99],
        },
    ),
    "CropQueryService/ListLotEvents": Entry(
        {"lotId": "{lot}"},
        {**PAGE, "lot_id": ["", *IDS]},
        [Refused("guest", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"})],
    ),
    "CropQueryService/ListCustody": Entry(
        {"lotId": "{lot}"},
        {**PAGE, "lot_id": ["", *IDS]},
        [Refused("guest", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"})],
    ),
    "CropQueryService/WatchLot": Entry(
        {"lotId": "{lot}"},
        {"lot_id": ["", *IDS], "resume_token": ["x" * 201]},
        [
            Refused("guest", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("guest", "INVALID_ARGUMENT", "RESUME_TOKEN_INVALID", {"resume_token": "made up"}),
        ],
    ),
    "CropQueryService/ListOwnership": Entry(
        {"lotId": "{lot}"},
        {**PAGE, "lot_id": ["", *IDS]},
        [Refused("guest", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"})],
    ),
    "EpcisService/CaptureEvent": Entry(
        {"requestId": "{request}", "document": "[]"},
        {"request_id": REQUEST_IDS, "document": ["", ABSENT]},
        [
            Refused("grower", "INVALID_ARGUMENT", "EPCIS_INVALID"),
            Refused("grower", "INVALID_ARGUMENT", "EPCIS_INVALID", {"document": "hello"}),
            Refused("grower", "INVALID_ARGUMENT", "EPCIS_INVALID", {"document": "[" * 5000}),
        ],
    ),
    "EpcisService/CaptureDocument": Entry(
        {"requestId": "{request}", "chunk": "aGVsbG8="},
        {"request_id": REQUEST_IDS, "chunk": ["A" * 1_500_000]},
    ),
    "EpcisService/CreateCaptureJob": Entry(
        {"requestId": "{request}", "document": "[]"}, {"request_id": REQUEST_IDS}
    ),
    "EpcisService/AddCapturePart": Entry(
        {"jobId": "{nobody}", "index": 0, "chunk": "aGVsbG8="},
        {"job_id": ["", *IDS], "index": [-1, 4096], "chunk": ["", ABSENT]},
        [Refused("grower", "NOT_FOUND", "CAPTURE_JOB_NOT_FOUND")],
    ),
    "EpcisService/FinishCaptureJob": Entry(
        {"jobId": "{nobody}", "parts": 1},
        {"job_id": ["", *IDS], "parts": [0, -1, ABSENT, 4097]},
        [Refused("grower", "NOT_FOUND", "CAPTURE_JOB_NOT_FOUND")],
    ),
    "EpcisService/GetCaptureJob": Entry(
        {"jobId": "{nobody}"},
        {"job_id": ["", *IDS]},
        [Refused("grower", "NOT_FOUND", "CAPTURE_JOB_NOT_FOUND")],
    ),
    "EpcisService/ListCaptureErrors": Entry({"jobId": "{nobody}"}, {**PAGE, "job_id": ["", *IDS]}),
    "EpcisService/GetEvent": Entry(
        {"eventId": "urn:uuid:{nobody}"},
        {"event_id": ["", ABSENT]},
        [Refused("grower", "NOT_FOUND", "EPCIS_EVENT_NOT_FOUND")],
    ),
    "EpcisService/QueryEvents": Entry({}, PAGE),
    "EpcisService/ListFindings": Entry({}, {**PAGE, "code": ["x" * 81], "severity": [99]}),
    "EpcisService/ExportLotEvents": Entry(
        {"lotId": "{lot}"},
        {"lot_id": ["", *IDS]},
        [Refused("guest", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"})],
    ),
    "LedgerService/GetCheckpoint": Entry(
        {},
        {"size": [-1]},
        [Refused("none", "NOT_FOUND", "LEDGER_CHECKPOINT_NOT_FOUND", {"size": "9000000000000"})],
    ),
    "LedgerService/GetLogKeys": Entry(),
    "LedgerService/RotateLogKey": Entry(
        {"requestId": "{request}", "why": "drill"},
        {"request_id": REQUEST_IDS, "why": ["", ABSENT, "x" * 501]},
    ),
    "LedgerService/GetInclusionProof": Entry(
        {"leafIndex": "0"},
        {"leaf_index": [-1], "tree_size": [-1]},
        [
            Refused("none", "INVALID_ARGUMENT", "LEDGER_RANGE_INVALID", {"leaf_index": "9000000000000"}),
            Refused("none", "INVALID_ARGUMENT", "LEDGER_RANGE_INVALID", {"tree_size": "9000000000000"}),
        ],
    ),
    "LedgerService/GetConsistencyProof": Entry(
        {"firstSize": "1"},
        {"first_size": [ABSENT, 0, -1], "second_size": [-1]},
        [
            Refused("none", "NOT_FOUND", "LEDGER_CHECKPOINT_NOT_FOUND", {"first_size": "9000000000000"}),
        ],
    ),
    "LedgerService/GetReceipt": Entry(
        {"eventId": "{nobody}"},
        {"event_id": ["", *IDS]},
        [Refused("guest", "NOT_FOUND", "LEDGER_EVENT_NOT_FOUND")],
    ),
    "LedgerService/ExportLog": Entry({}, {"tree_size": [-1], "begin_index": [-1]}),
    "LedgerService/AuditLog": Entry(),
}
CATALOG = {
    "CatalogService/CreateVenue": Entry(
        {
            "requestId": "{request}",
            "name": "Venue",
            "address": {"city": "Denver", "countryCode": "US"},
        },
        {
            "request_id": REQUEST_IDS,
            "name": ["", ABSENT, "x" * 201],
            "address": [ABSENT],
            "address.city": ["", "x" * 101],
            "address.country_code": ["", "us", "USA"],
            "address.street": ["x" * 201],
        },
    ),
    "CatalogService/GetVenue": Entry(
        {"venueId": "{venue}"},
        {"venue_id": ["", *IDS]},
        [Refused("none", "NOT_FOUND", "VENUE_NOT_FOUND", {"venue_id": "{nobody}"})],
    ),
    "CatalogService/ListVenues": Entry({}, {**PAGE, "owner_id": IDS}),
    "CatalogService/CreateMenuItem": Entry(
        {
            "requestId": "{request}",
            "venueId": "{venue}",
            "name": "Dish",
            "price": _PRICE,
            "ingredients": [{"productCode": "cucumber", "quantity": {"amount": "1", "unitCode": "GRM"}}],
        },
        {
            "request_id": REQUEST_IDS,
            "venue_id": ["", ABSENT, *IDS],
            "name": ["", "x" * 201],
            "description": ["x" * 1001],
            "price": [ABSENT, *_NO_MONEY],
            "ingredients": [[], ABSENT],
            "ingredients[0].product_code": ["Upper", "x" * 81],
            "ingredients[0].quantity": [ABSENT],
            "ingredients[0].quantity.amount": AMOUNTS,
        },
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "VENUE_NOT_FOUND", {"venue_id": "{nobody}"}),
            Refused(
                "manager", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"ingredients[0].quantity.unit_code": "ZZZ"}
            ),
            Refused("manager", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"ingredients[0].quantity.amount": "0"}),
            Refused("manager", "INVALID_ARGUMENT", "PRICE_INVALID", {"price.nanos": 1}),
        ],
    ),
    "CatalogService/GetMenuItem": Entry(
        {"menuItemId": "{item}"},
        {"menu_item_id": ["", *IDS]},
        [Refused("none", "NOT_FOUND", "MENU_ITEM_NOT_FOUND", {"menu_item_id": "{nobody}"})],
    ),
    "CatalogService/ListMenuItems": Entry({}, {**PAGE, "venue_id": IDS}),
    "CatalogService/BatchGetMenuItems": Entry(
        {"menuItemIds": ["{item}"]},
        {"menu_item_ids": [[], ABSENT, ["{nobody}"] * 101], "menu_item_ids[0]": ["", *IDS]},
        [Refused("none", "NOT_FOUND", "MENU_ITEM_NOT_FOUND", {"menu_item_ids": ["{nobody}"]})],
    ),
    "CatalogService/UpdateMenuItem": Entry(
        {"menuItem": {"menuItemId": "{item}", "name": "Dish"}, "updateMask": "name"},
        {"menu_item": [ABSENT], "menu_item.name": ["x" * 201], "menu_item.description": ["x" * 1001]},
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "MENU_ITEM_NOT_FOUND", {"menu_item.menu_item_id": "{nobody}"}),
            Refused("manager", "INVALID_ARGUMENT", "UPDATE_MASK_INVALID", {"update_mask": "venueId"}),
            Refused("manager", "ABORTED", "ETAG_MISMATCH", {"menu_item.etag": "no such version"}),
        ],
    ),
    "CatalogService/ListPrices": Entry(
        {"menuItemId": "{item}"},
        {**PAGE, "menu_item_id": ["", *IDS]},
        [Refused("none", "NOT_FOUND", "MENU_ITEM_NOT_FOUND", {"menu_item_id": "{nobody}"})],
    ),
}
INVENTORY = {
    "InventoryService/ReceiveStock": Entry(
        {
            "requestId": "{request}",
            "venueId": "{venue}",
            "lotId": "{lot}",
            "quantity": {"amount": "1", "unitCode": "GRM"},
        },
        {
            **_QUANTITY,
            "request_id": REQUEST_IDS,
            "venue_id": ["", ABSENT, *IDS],
            "lot_id": ["", ABSENT, *IDS],
        },
        [
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("manager", "NOT_FOUND", "VENUE_NOT_FOUND", {"venue_id": "{nobody}"}),
            Refused("manager", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("manager", "PERMISSION_DENIED", "NOT_OWNER", {"lot_id": "{free_lot}"}),
            Refused("manager", "FAILED_PRECONDITION", "QUANTITY_EXCEEDED"),
            Refused("manager", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
            Refused("manager", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"quantity.unit_code": "LTR"}),
            Refused("manager", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"quantity.unit_code": "ZZZ"}),
        ],
    ),
    "InventoryService/GetStockItem": Entry(
        {"stockItemId": "{stock}"},
        {"stock_item_id": ["", *IDS]},
        [
            Refused("manager", "NOT_FOUND", "STOCK_ITEM_NOT_FOUND", {"stock_item_id": "{nobody}"}),
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER"),
        ],
    ),
    "InventoryService/ListStock": Entry(
        {"venueId": "{venue}"},
        {**PAGE, "venue_id": ["", ABSENT, *IDS], "product_code": ["x" * 81], "lot_id": IDS},
        [Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER")],
    ),
    "InventoryService/ReserveStock": Entry(
        {
            **_RESERVATION,
            "venueId": "{venue}",
            "lines": [
                {
                    "menuItemId": "{item}",
                    "productCode": "cucumber",
                    "quantity": {"amount": "999999999", "unitCode": "GRM"},
                }
            ],
        },
        {
            "request_id": REQUEST_IDS,
            "order_id": ["", *IDS],
            "venue_id": ["", *IDS],
            "lines": [[], ABSENT],
            "lines[0].menu_item_id": IDS,
            "lines[0].quantity.amount": AMOUNTS,
            "hold": ["0s", "-1s", "86401s"],
        },
        [Refused("anyone", "FAILED_PRECONDITION", "OUT_OF_STOCK")],
    ),
    "InventoryService/ReleaseReservation": Entry(
        _RESERVATION, {"request_id": REQUEST_IDS, "order_id": ["", *IDS]}
    ),
    "InventoryService/ConfirmReservation": Entry(
        _RESERVATION,
        {"request_id": REQUEST_IDS, "order_id": ["", *IDS]},
        [Refused("anyone", "NOT_FOUND", "RESERVATION_NOT_FOUND")],
    ),
    "InventoryService/ConsumeReservation": Entry(
        _RESERVATION,
        {"request_id": REQUEST_IDS, "order_id": ["", *IDS]},
        [Refused("anyone", "NOT_FOUND", "RESERVATION_NOT_FOUND")],
    ),
    "InventoryService/QuarantineLots": Entry(
        {"requestId": "{request}", "recallId": "{nobody}", "lotIds": ["{nobody}"], "reason": "a test"},
        {
            "request_id": REQUEST_IDS,
            "recall_id": ["", ABSENT, *IDS],
            "lot_ids": [[], ABSENT],
            "lot_ids[0]": IDS,
            "reason": ["", ABSENT, "x" * 501],
        },
    ),
    "InventoryService/GetReservation": Entry(
        {"orderId": "{nobody}"},
        {"order_id": ["", *IDS]},
        [
            Refused("anyone", "NOT_FOUND", "RESERVATION_NOT_FOUND"),
            Refused("other_manager", "PERMISSION_DENIED", "NOT_OWNER", {"order_id": "{order}"}),
        ],
    ),
}
ORDERS = {
    "OrderService/GetCart": Entry(),
    "OrderService/SetCartItem": Entry(
        {"menuItemId": "{item}", "quantity": 1},
        {"menu_item_id": ["", *IDS], "quantity": [-1, 1001, 2147483647]},
        [Refused("stranger", "NOT_FOUND", "MENU_ITEM_NOT_FOUND", {"menu_item_id": "{nobody}"})],
    ),
    "OrderService/ClearCart": Entry(),
    "OrderService/Checkout": Entry(
        {
            "requestId": "{request}",
            "paymentMethod": "pm_card",
            "items": [{"menuItemId": "{item}", "quantity": 1}],
        },
        {
            "request_id": REQUEST_IDS,
            "payment_method": ["", ABSENT, "x" * 101],
            "items": [[{"menuItemId": "{item}", "quantity": 1}] * 101],
            "items[0].menu_item_id": ["", *IDS],
            "items[0].quantity": [0, -1, 1001],
        },
        [
            Refused("other_manager", "FAILED_PRECONDITION", "CART_EMPTY", {"items": []}),
            Refused("guest", "NOT_FOUND", "MENU_ITEM_NOT_FOUND", {"items[0].menu_item_id": "{nobody}"}),
            Refused("guest", "FAILED_PRECONDITION", "OUT_OF_STOCK", {"items[0].quantity": 1000}),
            Refused(
                "guest",
                "FAILED_PRECONDITION",
                "PAYMENT_DECLINED",
                {"payment_method": "pm_declined", "items[0].menu_item_id": "{good_item}"},
            ),
        ],
    ),
    "OrderService/GetOrder": Entry(
        {"orderId": "{order}"},
        {"order_id": ["", *IDS]},
        [
            Refused("stranger", "NOT_FOUND", "ORDER_NOT_FOUND"),
            Refused("other_manager", "NOT_FOUND", "ORDER_NOT_FOUND"),
            Refused("guest", "NOT_FOUND", "ORDER_NOT_FOUND", {"order_id": "{nobody}"}),
        ],
    ),
    "OrderService/ListOrders": Entry({}, {**PAGE, "state": [99], "venue_id": IDS}),
    "OrderService/WatchOrder": Entry(
        {"orderId": "{order}"},
        {"order_id": ["", *IDS], "resume_token": ["x" * 201]},
        [
            Refused("stranger", "NOT_FOUND", "ORDER_NOT_FOUND"),
            Refused("guest", "NOT_FOUND", "ORDER_NOT_FOUND", {"order_id": "{nobody}"}),
            Refused("guest", "INVALID_ARGUMENT", "RESUME_TOKEN_INVALID", {"resume_token": "made up"}),
        ],
    ),
}
_MONEY_FIELDS = [ABSENT, *_NO_MONEY]
PAYMENTS = {
    "PaymentService/ValidatePayment": Entry(
        {"amount": _PRICE, "paymentMethod": "pm_card"},
        {"amount": [ABSENT], "payment_method": ["", "x" * 101]},
    ),
    "PaymentService/AuthorizePayment": Entry(
        {**_RESERVATION, "payerId": "{guest_id}", "amount": _PRICE, "paymentMethod": "no_such_method"},
        {
            "request_id": REQUEST_IDS,
            "order_id": ["", *IDS],
            "payer_id": ["", *IDS],
            "amount": _MONEY_FIELDS,
            "payment_method": ["", "x" * 101],
        },
        [Refused("anyone", "INVALID_ARGUMENT", "PAYMENT_METHOD_INVALID")],
    ),
    "PaymentService/CapturePayment": Entry(
        _RESERVATION,
        {"request_id": REQUEST_IDS, "order_id": ["", *IDS]},
        [Refused("anyone", "NOT_FOUND", "PAYMENT_NOT_FOUND")],
    ),
    "PaymentService/RefundPayment": Entry(
        {**_RESERVATION, "amount": _PRICE, "reason": "a test"},
        {
            "request_id": REQUEST_IDS,
            "order_id": ["", *IDS],
            "amount": _NO_MONEY,
            "reason": ["x" * 501],
        },
        [
            Refused("operator", "NOT_FOUND", "PAYMENT_NOT_FOUND"),
            Refused(
                "operator",
                "FAILED_PRECONDITION",
                "REFUND_EXCEEDS_CAPTURE",
                {"order_id": "{order}", "amount.units": "1000000"},
            ),
            Refused(
                "operator",
                "INVALID_ARGUMENT",
                "CURRENCY_MISMATCH",
                {"order_id": "{order}", "amount.currency_code": "EUR"},
            ),
        ],
    ),
    "PaymentService/VoidPayment": Entry(
        {**_RESERVATION, "orderId": "{order}"},
        {"request_id": REQUEST_IDS, "order_id": ["", *IDS]},
        [Refused("anyone", "FAILED_PRECONDITION", "PAYMENT_CAPTURED")],
    ),
    "PaymentService/GetPayment": Entry(
        {"orderId": "{order}"},
        {"order_id": ["", *IDS]},
        [
            Refused("stranger", "NOT_FOUND", "PAYMENT_NOT_FOUND"),
            Refused("operator", "NOT_FOUND", "PAYMENT_NOT_FOUND", {"order_id": "{nobody}"}),
        ],
    ),
    "PaymentService/ListPayments": Entry({}, {**PAGE, "state": [99]}),
}
NOTIFICATIONS = {
    "NotificationService/SendNotification": Entry(
        {"requestId": "{request}", "userId": "{guest_id}", "template": "no-such-template"},
        {
            "request_id": REQUEST_IDS,
            "user_id": ["", *IDS],
            "template": ["", "Welcome", LONG],
            "parameters": [{f"key{number}": "v" for number in range(51)}],
        },
        [
            Refused("anyone", "INVALID_ARGUMENT", "TEMPLATE_UNKNOWN"),
            Refused("anyone", "INVALID_ARGUMENT", "PARAMETER_MISSING", {"template": "lot-transferred"}),
        ],
    ),
    "NotificationService/GetNotification": Entry(
        {"notificationId": "{notification}"},
        {"notification_id": ["", *IDS]},
        [
            Refused("stranger", "NOT_FOUND", "NOTIFICATION_NOT_FOUND"),
            Refused("operator", "NOT_FOUND", "NOTIFICATION_NOT_FOUND", {"notification_id": "{nobody}"}),
        ],
    ),
    "NotificationService/ListNotifications": Entry(
        {},
        {**PAGE, "user_id": IDS, "state": [99]},
    ),
    "MailboxService/ListMessages": Entry({}, {**PAGE, "recipient": [LONG]}),
    "MailboxService/GetMessage": Entry(
        {"messageId": "no-such-message"},
        {"message_id": ["", LONG]},
        [
            Refused("operator", "NOT_FOUND", "MESSAGE_NOT_FOUND"),
            # The edge takes no path with an escaped slash, so only gRPC can say it.
            Refused(
                "operator",
                "NOT_FOUND",
                "MESSAGE_NOT_FOUND",
                {"message_id": "../secrets/operator.json"},
                over_json=False,
            ),
        ],
    ),
}
TRACE = {
    "TraceService/GetRecallScope": Entry(
        {"lotId": "{nobody}"}, {"lot_id": ["", *IDS]}, [Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND")]
    ),
    "TraceService/ListRecallScopeEntries": Entry(
        {"lotId": "{nobody}"},
        {**PAGE, "lot_id": ["", *IDS], "kind": [99], "position": [-1]},
        [
            Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND"),
            Refused("operator", "INVALID_ARGUMENT", "POSITION_UNKNOWN", {"position": 10**15}),
            Refused("operator", "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", {"page_token": "made up"}),
        ],
    ),
    "TraceService/TraceOrder": Entry(
        {"orderId": "{nobody}"},
        {"order_id": ["", *IDS]},
        [Refused("operator", "NOT_FOUND", "ORDER_NOT_FOUND")],
    ),
    "TraceService/TraceLot": Entry(
        {"lotId": "{nobody}"}, {"lot_id": ["", *IDS]}, [Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND")]
    ),
    "RecallService/GetRecall": Entry(
        {"recallId": "{nobody}"},
        {"recall_id": ["", *IDS]},
        [Refused("operator", "NOT_FOUND", "RECALL_NOT_FOUND")],
    ),
    "RecallService/ListRecalls": Entry(
        {},
        {**PAGE, "root_lot_id": IDS},
        [Refused("operator", "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", {"page_token": "made up"})],
    ),
    "RecallService/ListRecallEntries": Entry(
        {"recallId": "{nobody}"},
        {**PAGE, "recall_id": ["", *IDS], "kind": [99]},
        [
            Refused("operator", "NOT_FOUND", "RECALL_NOT_FOUND"),
            Refused("operator", "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", {"page_token": "made up"}),
        ],
    ),
    "RecallService/WatchRecall": Entry(
        {"recallId": "{nobody}"},
        {"recall_id": ["", *IDS], "resume_token": [LONG]},
        [
            Refused("operator", "NOT_FOUND", "RECALL_NOT_FOUND"),
            Refused("operator", "INVALID_ARGUMENT", "RESUME_TOKEN_INVALID", {"resume_token": "made up"}),
        ],
    ),
    "RecallService/DrillRecall": Entry(
        {"lotId": "{nobody}"}, {"lot_id": ["", *IDS]}, [Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND")]
    ),
    "TraceService/GetMassBalance": Entry(
        {"lotId": "{nobody}"},
        {**PAGE, "lot_id": IDS, "holder_id": IDS, "tolerance_percent": [-1, 101]},
        [
            Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND"),
            Refused("operator", "INVALID_ARGUMENT", "SUBJECT_INVALID", {"holder_id": "{nobody}"}),
        ],
    ),
    "TraceService/ListColdChainBreaches": Entry(
        {"lotId": "{nobody}"},
        {
            **PAGE,
            "lot_id": ["", *IDS],
            "max_celsius": [-274, 1001],
            "min_duration": ["-1s"],
            "hysteresis_kelvin": [-1, 101],
        },
        [Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND")],
    ),
    "TraceService/ListGaps": Entry(
        {"lotId": "{nobody}"},
        {**PAGE, "lot_id": ["", *IDS], "unreceived_after": ["-1s"]},
        [Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND")],
    ),
    "TraceService/ExportTraceability": Entry(
        {"lotIds": ["{nobody}"]},
        {"lot_ids[0]": ["", *IDS], "format": [99]},
        [
            Refused("operator", "NOT_FOUND", "LOT_NOT_FOUND"),
            Refused("operator", "INVALID_ARGUMENT", "RANGE_INVALID", {"lot_ids": ABSENT}),
            Refused(
                "operator",
                "INVALID_ARGUMENT",
                "RANGE_INVALID",
                {"start_time": "2026-06-02T00:00:00Z", "end_time": "2026-06-01T00:00:00Z"},
            ),
        ],
    ),
}
OPERATIONS = {
    "OperationsService/GetStatus": Entry(),
    "OperationsService/ListSagas": Entry({}, {**PAGE, "state": [99], "name": ["x" * 101]}),
    "OperationsService/GetSaga": Entry(
        {"sagaId": "{nobody}"},
        {"saga_id": ["", *IDS]},
        [
            Refused("anyone", "NOT_FOUND", "SAGA_NOT_FOUND"),
            Refused("anyone", "FAILED_PRECONDITION", "NO_SAGAS", service="trace"),
        ],
    ),
    "OperationsService/RetrySaga": Entry(
        _SAGA, {"saga_id": ["", *IDS], "why": _WHY}, [Refused("anyone", "NOT_FOUND", "SAGA_NOT_FOUND")]
    ),
    "OperationsService/SkipSagaStep": Entry(
        {**_SAGA, "step": "reserve"},
        {"saga_id": ["", *IDS], "why": _WHY, "step": ["", "x" * 101]},
        [Refused("anyone", "NOT_FOUND", "SAGA_NOT_FOUND")],
    ),
    "OperationsService/ForceCompensateSaga": Entry(
        _SAGA, {"saga_id": ["", *IDS], "why": _WHY}, [Refused("anyone", "NOT_FOUND", "SAGA_NOT_FOUND")]
    ),
    "OperationsService/ListParkedEvents": Entry({}, PAGE),
    "OperationsService/ReplayParkedKey": Entry(
        _PARKED,
        {name: ["", "x" * 201] for name in ("consumer", "topic", "key")} | {"why": _WHY},
        [
            Refused("anyone", "NOT_FOUND", "CONSUMER_NOT_FOUND"),
            Refused("anyone", "NOT_FOUND", "PARKED_KEY_NOT_FOUND", {"consumer": "trace"}, service="trace"),
        ],
    ),
    "OperationsService/DiscardParkedEvent": Entry(
        {**_PARKED, "eventId": "{nobody}"},
        {name: ["", "x" * 201] for name in ("consumer", "topic", "key")}
        | {"why": _WHY, "event_id": ["", *IDS]},
        [Refused("anyone", "NOT_FOUND", "CONSUMER_NOT_FOUND")],
    ),
    "OperationsService/GetParkedKey": Entry(
        {"consumer": "nobody", "topic": "crop.minted", "key": "k"},
        {name: ["", "x" * 201] for name in ("consumer", "topic", "key")},
        [
            Refused("anyone", "NOT_FOUND", "CONSUMER_NOT_FOUND"),
            Refused("anyone", "NOT_FOUND", "PARKED_KEY_NOT_FOUND", {"consumer": "trace"}, service="trace"),
        ],
    ),
    "OperationsService/SkipToEvent": Entry(
        {**_PARKED, "sequence": "2"},
        {name: ["", "x" * 201] for name in ("consumer", "topic", "key")}
        | {"why": _WHY, "source": ["x" * 201], "sequence": ["1", "0", "-1", ABSENT]},
        [
            Refused("anyone", "NOT_FOUND", "CONSUMER_NOT_FOUND"),
            Refused("anyone", "NOT_FOUND", "PARKED_KEY_NOT_FOUND", {"consumer": "trace"}, service="trace"),
            Refused(
                "anyone",
                "FAILED_PRECONDITION",
                "TOPIC_NOT_SUBSCRIBED",
                {"consumer": "trace", "topic": "no.such"},
                service="trace",
            ),
        ],
    ),
    "OperationsService/GetOutbox": Entry(),
    "OperationsService/ResendOutbox": Entry(
        {"topic": "no.such", "why": "a test"},
        {"topic": ["x" * 201], "why": _WHY},
        [Refused("anyone", "FAILED_PRECONDITION", "NOTHING_TO_RESEND")],
    ),
    "OperationsService/CancelOutboxResend": Entry(
        {"why": "a test"},
        {"why": _WHY},
        [Refused("anyone", "FAILED_PRECONDITION", "RESEND_NOT_RUNNING")],
    ),
    "OperationsService/ListProjections": Entry({}, PAGE),
    "OperationsService/GetProjection": Entry(
        {"projection": "nobody"},
        {"projection": ["", "x" * 101]},
        [Refused("anyone", "NOT_FOUND", "PROJECTION_NOT_FOUND")],
    ),
    "OperationsService/RebuildProjection": Entry(
        _PROJECTION,
        {"projection": ["", "x" * 101], "why": _WHY},
        [Refused("anyone", "NOT_FOUND", "PROJECTION_NOT_FOUND")],
    ),
    "OperationsService/CancelProjectionRebuild": Entry(
        _PROJECTION,
        {"projection": ["", "x" * 101], "why": _WHY},
        [
            Refused("anyone", "NOT_FOUND", "PROJECTION_NOT_FOUND"),
            Refused(
                "anyone",
                "FAILED_PRECONDITION",
                "REBUILD_NOT_RUNNING",
                {"projection": "lots"},
                service="crops",
            ),
        ],
    ),
    "OperationsService/SwapProjection": Entry(
        _PROJECTION,
        {"projection": ["", "x" * 101], "why": _WHY},
        [
            Refused("anyone", "NOT_FOUND", "PROJECTION_NOT_FOUND"),
            Refused(
                "anyone",
                "FAILED_PRECONDITION",
                "REBUILD_NOT_RUNNING",
                {"projection": "lots"},
                service="crops",
            ),
        ],
    ),
    "OperationsService/ListOperatorActions": Entry({}, {**PAGE, "subject": ["x" * 701]}),
}

MARKET = {
    "MarketService/CreateCollection": Entry(
        {"requestId": "{request}", "name": "Autumn", "lotIds": ["{sale_lot}"]},
        {
            "request_id": REQUEST_IDS,
            "name": ["", ABSENT, "x" * 201],
            "description": ["x" * 2001],
            "lot_ids": [["{lot}", "{lot}"]],
            "lot_ids[0]": IDS,
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("grower", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_ids[0]": "{nobody}"}),
        ],
    ),
    "MarketService/AddLots": Entry(
        {"collectionId": "{collection}", "lotIds": ["{sale_lot}"]},
        {
            "collection_id": ["", ABSENT, *IDS],
            "lot_ids": [ABSENT, [], ["{lot}", "{lot}"]],
            "lot_ids[0]": IDS,
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("grower", "NOT_FOUND", "COLLECTION_NOT_FOUND", {"collection_id": "{nobody}"}),
            Refused("grower", "PERMISSION_DENIED", "NOT_OWNER", {"lot_ids[0]": "{lot}"}),
            Refused("grower", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_ids[0]": "{nobody}"}),
        ],
    ),
    "MarketService/RemoveLots": Entry(
        {"collectionId": "{collection}", "lotIds": ["{nobody}"]},
        {
            "collection_id": ["", ABSENT, *IDS],
            "lot_ids": [ABSENT, [], ["{lot}", "{lot}"]],
            "lot_ids[0]": IDS,
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("grower", "NOT_FOUND", "COLLECTION_NOT_FOUND", {"collection_id": "{nobody}"}),
        ],
    ),
    "MarketService/GetCollection": Entry(
        {"collectionId": "{collection}"},
        {"collection_id": ["", *IDS]},
        [Refused("guest", "NOT_FOUND", "COLLECTION_NOT_FOUND", {"collection_id": "{nobody}"})],
    ),
    "MarketService/ListCollections": Entry({}, {**PAGE, "owner_id": IDS}),
    "MarketService/CreateListing": Entry(
        {
            "requestId": "{request}",
            "lotId": "{sale_lot}",
            "quantity": {"amount": "1", "unitCode": "GRM"},
            "unitPrice": _PRICE,
        },
        {
            **_QUANTITY,
            "request_id": REQUEST_IDS,
            "lot_id": ["", ABSENT, *IDS],
            "unit_price": [ABSENT, *_NO_MONEY],
        },
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("grower", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("grower", "FAILED_PRECONDITION", "QUANTITY_EXCEEDED", {"quantity.amount": "999999999"}),
            Refused("grower", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
            Refused("grower", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"quantity.unit_code": "LTR"}),
            Refused("grower", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"quantity.unit_code": "ZZZ"}),
            Refused("grower", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"unit_price.nanos": 1}),
        ],
    ),
    "MarketService/CancelListing": Entry(
        {"requestId": "{request}", "listingId": "{listing}"},
        {"request_id": REQUEST_IDS, "listing_id": ["", ABSENT, *IDS]},
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("grower", "NOT_FOUND", "LISTING_NOT_FOUND", {"listing_id": "{nobody}"}),
        ],
    ),
    "MarketService/GetListing": Entry(
        {"listingId": "{listing}"},
        {"listing_id": ["", *IDS]},
        [Refused("guest", "NOT_FOUND", "LISTING_NOT_FOUND", {"listing_id": "{nobody}"})],
    ),
    "MarketService/ListListings": Entry(
        {},
        {
            **PAGE,
            "product_code": ["x" * 81],
            "lot_id": IDS,
            "seller_id": IDS,
            "collection_id": IDS,
            "state": [99],
        },
    ),
    "MarketService/BuyFromListing": Entry(
        {
            "requestId": "{request}",
            "listingId": "{listing}",
            "quantity": {"amount": "1", "unitCode": "KGM"},
            "paymentMethod": "pm_card",
        },
        {
            **_QUANTITY,
            "request_id": REQUEST_IDS,
            "listing_id": ["", ABSENT, *IDS],
            "payment_method": ["", ABSENT, "x" * 101],
        },
        [
            Refused("grower", "FAILED_PRECONDITION", "BUYER_IS_SELLER"),
            Refused("manager", "NOT_FOUND", "LISTING_NOT_FOUND", {"listing_id": "{nobody}"}),
            Refused("manager", "FAILED_PRECONDITION", "QUANTITY_EXCEEDED", {"quantity.amount": "99999999"}),
            Refused("manager", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
            Refused("manager", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"quantity.unit_code": "LTR"}),
            Refused("manager", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"quantity.unit_code": "ZZZ"}),
            Refused("manager", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"quantity.amount": "0.000001"}),
            Refused("manager", "FAILED_PRECONDITION", "PAYMENT_DECLINED", {"payment_method": "pm_declined"}),
            Refused("manager", "INVALID_ARGUMENT", "PAYMENT_METHOD_INVALID", {"payment_method": "cash"}),
        ],
    ),
    "MarketService/GetPurchase": Entry(
        {"purchaseId": "{purchase}"},
        {"purchase_id": ["", *IDS]},
        [
            Refused("manager", "NOT_FOUND", "PURCHASE_NOT_FOUND", {"purchase_id": "{nobody}"}),
            Refused("stranger", "NOT_FOUND", "PURCHASE_NOT_FOUND"),
        ],
    ),
    "MarketService/ListPurchases": Entry({}, {**PAGE, "role": [99], "listing_id": IDS}),
    "MarketService/ListPrices": Entry(
        {"productCode": "cucumber"}, {**PAGE, "product_code": ["", ABSENT, "x" * 81]}
    ),
}

_POOL = {"poolId": "{pool}"}
_NO_POOL = Refused("anyone", "NOT_FOUND", "POOL_NOT_FOUND", {"pool_id": "{nobody}"})
_POUNDS = {"amount": "1", "unitCode": "LBR"}
_GOODS: Mapping[str, Sequence[Any]] = {
    "goods.amount": AMOUNTS,
    "goods.unit_code": ["", "kg", "TOOLONG"],
}
_HUGE = "999999999999999"

POOLS = {
    "PoolService/CreatePool": Entry(
        {
            "requestId": "{request}",
            "productCode": "cucumber",
            "unitCode": "LBR",
            "currencyCode": "USD",
            "feeBasisPoints": 30,
        },
        {
            "request_id": REQUEST_IDS,
            "product_code": ["", ABSENT, "Two Words", "x" * 81],
            "unit_code": ["", ABSENT, "kg", "LONG"],
            "currency_code": ["", ABSENT, "usd", "DOLLARS"],
            "fee_basis_points": [-1, 1001],
        },
        [
            Refused("grower", "ALREADY_EXISTS", "POOL_EXISTS"),
            Refused("grower", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"unit_code": "ZZZ"}),
        ],
    ),
    "PoolService/GetPool": Entry(_POOL, {"pool_id": ["", *IDS]}, [_NO_POOL]),
    "PoolService/ListPools": Entry({}, {**PAGE, "product_code": ["x" * 81]}),
    "PoolService/ListSwaps": Entry(_POOL, {**PAGE, "pool_id": ["", *IDS]}, [_NO_POOL]),
    "PoolService/QuoteSwap": Entry(
        {**_POOL, "side": "SWAP_SIDE_BUY", "goods": _POUNDS},
        {"pool_id": ["", *IDS], "side": [ABSENT, 0, 99], **_GOODS},
        [
            _NO_POOL,
            Refused("guest", "FAILED_PRECONDITION", "LIQUIDITY_EXCEEDED", {"goods.amount": "1000000"}),
            Refused("guest", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"goods.amount": "0"}),
            Refused("guest", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"goods.amount": _HUGE}),
            Refused("guest", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"goods.unit_code": "KGM"}),
        ],
    ),
    "PoolService/SwapGoods": Entry(
        {
            "requestId": "{request}",
            **_POOL,
            "side": "SWAP_SIDE_BUY",
            "goods": _POUNDS,
            "limitMoney": {**_PRICE, "units": "1000"},
        },
        {"request_id": REQUEST_IDS, "pool_id": ["", *IDS], "side": [ABSENT, 0, 99], **_GOODS},
        [
            _NO_POOL,
            Refused("manager", "FAILED_PRECONDITION", "BALANCE_EXCEEDED"),
            Refused("manager", "FAILED_PRECONDITION", "SLIPPAGE_EXCEEDED", {"limit_money.units": "1"}),
            Refused("manager", "FAILED_PRECONDITION", "LIQUIDITY_EXCEEDED", {"goods.amount": "1000000"}),
            Refused("manager", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"goods.amount": "0"}),
            Refused("manager", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"goods.amount": _HUGE}),
            Refused("manager", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"limit_money.units": "-1"}),
            Refused("manager", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"goods.unit_code": "KGM"}),
            Refused("manager", "INVALID_ARGUMENT", "CURRENCY_MISMATCH", {"limit_money.currencyCode": "EUR"}),
        ],
    ),
    "PoolService/AddLiquidity": Entry(
        {"requestId": "{request}", **_POOL, "maxGoods": _POUNDS, "maxMoney": _PRICE},
        {
            "request_id": REQUEST_IDS,
            "pool_id": ["", *IDS],
            "max_goods": [ABSENT],
            "max_goods.amount": AMOUNTS,
            "max_money": [ABSENT],
            "min_shares": [-1],
        },
        [
            _NO_POOL,
            Refused("manager", "FAILED_PRECONDITION", "BALANCE_EXCEEDED"),
            Refused("manager", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"max_goods.amount": "0"}),
            Refused("manager", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"max_money.units": "0"}),
        ],
    ),
    "PoolService/RemoveLiquidity": Entry(
        {"requestId": "{request}", **_POOL, "shares": "1000"},
        {"request_id": REQUEST_IDS, "pool_id": ["", *IDS], "shares": [ABSENT, 0, -1]},
        [
            _NO_POOL,
            Refused("manager", "FAILED_PRECONDITION", "BALANCE_EXCEEDED"),
            Refused("grower", "FAILED_PRECONDITION", "SHARES_EXCEEDED", {"shares": "9223372036854775807"}),
        ],
    ),
    "PoolService/GetBalances": Entry(),
    "PoolService/DepositGoods": Entry(
        {"requestId": "{request}", "lotId": "{sale_lot}", "quantity": _POUNDS},
        {**_QUANTITY, "request_id": REQUEST_IDS, "lot_id": ["", ABSENT, *IDS]},
        [
            Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
            Refused("grower", "NOT_FOUND", "LOT_NOT_FOUND", {"lot_id": "{nobody}"}),
            Refused("grower", "FAILED_PRECONDITION", "QUANTITY_EXCEEDED", {"quantity.amount": "999999999"}),
            Refused("grower", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
            Refused("grower", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"quantity.unit_code": "LTR"}),
            Refused("grower", "INVALID_ARGUMENT", "UNIT_UNKNOWN", {"quantity.unit_code": "ZZZ"}),
        ],
    ),
    "PoolService/WithdrawGoods": Entry(
        {"requestId": "{request}", "productCode": "cucumber", "quantity": _POUNDS},
        {**_QUANTITY, "request_id": REQUEST_IDS, "product_code": ["", ABSENT, "x" * 81]},
        [
            Refused("manager", "FAILED_PRECONDITION", "BALANCE_EXCEEDED"),
            Refused("manager", "INVALID_ARGUMENT", "QUANTITY_ZERO", {"quantity.amount": "0"}),
            Refused("manager", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"quantity.amount": _HUGE}),
        ],
    ),
    "PoolService/DepositMoney": Entry(
        {"requestId": "{request}", "amount": _PRICE, "paymentMethod": "pm_card"},
        {
            "request_id": REQUEST_IDS,
            "amount": [ABSENT, *_NO_MONEY],
            "payment_method": ["", ABSENT, "x" * 101],
        },
        [
            Refused("manager", "FAILED_PRECONDITION", "PAYMENT_DECLINED", {"payment_method": "pm_declined"}),
            Refused("manager", "INVALID_ARGUMENT", "PAYMENT_METHOD_INVALID", {"payment_method": "cash"}),
            Refused("manager", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"amount.nanos": 1}),
        ],
    ),
    "PoolService/WithdrawMoney": Entry(
        {"requestId": "{request}", "depositId": "{deposit}", "amount": _PRICE},
        {
            "request_id": REQUEST_IDS,
            "deposit_id": ["", ABSENT, *IDS],
            "amount": [ABSENT, *_NO_MONEY],
        },
        [
            Refused("other_grower", "FAILED_PRECONDITION", "BALANCE_EXCEEDED"),
            Refused("grower", "NOT_FOUND", "DEPOSIT_NOT_FOUND", {"deposit_id": "{nobody}"}),
            Refused("grower", "FAILED_PRECONDITION", "BALANCE_EXCEEDED", {"amount.units": "1000000"}),
        ],
    ),
}

_TITLES = ["", ABSENT, "x" * 121]
_MESSAGES = ["", ABSENT, "x" * 2001]
_TOPICS: Mapping[str, Sequence[Any]] = {"product_code": ["", "Two Words", "x" * 81], "grower_id": IDS}
_CAMPAIGN = Entry(
    {"campaignId": "{campaign}"},
    {"campaign_id": ["", *IDS]},
    [
        Refused("other_grower", "PERMISSION_DENIED", "NOT_OWNER"),
        Refused("grower", "NOT_FOUND", "CAMPAIGN_NOT_FOUND", {"campaign_id": "{nobody}"}),
    ],
)

CAMPAIGNS = {
    # Who grows is not asked: one may wait for somebody who is not there yet.
    "CampaignService/Subscribe": Entry(
        {"productCode": "cucumber"},
        _TOPICS,
        [Refused("guest", "INVALID_ARGUMENT", "VALIDATION_FAILED", {"grower_id": "{nobody}"})],
    ),
    "CampaignService/Unsubscribe": Entry(
        {"productCode": "kale"},
        _TOPICS,
        [Refused("guest", "INVALID_ARGUMENT", "VALIDATION_FAILED", {"grower_id": "{nobody}"})],
    ),
    "CampaignService/ListSubscriptions": Entry({}, PAGE),
    "CampaignService/CreateCampaign": Entry(
        {"requestId": "{request}", "productCode": "cucumber", "title": "New", "message": "Come."},
        {
            "request_id": REQUEST_IDS,
            "product_code": ["", ABSENT, "Two Words", "x" * 81],
            "title": _TITLES,
            "message": _MESSAGES,
        },
        [Refused("grower", "PERMISSION_DENIED", "NOT_OWNER", {"product_code": "caviar"})],
    ),
    "CampaignService/ActivateCampaign": _CAMPAIGN,
    "CampaignService/DeactivateCampaign": _CAMPAIGN,
    "CampaignService/GetCampaign": _CAMPAIGN,
    "CampaignService/ListCampaigns": Entry({}, PAGE),
    "LaunchService/LaunchProduct": Entry(
        {
            "requestId": "{request}",
            "lot": {
                "lotCode": "L-{code}",
                "productCode": "chicory",
                "quantity": {"amount": "10", "unitCode": "LBR"},
                "farmName": "Farm",
                "countryCode": "US",
                "harvestTime": "2026-01-01T00:00:00Z",
                "expireTime": "2036-01-01T00:00:00Z",
            },
            "liquidity": {"goods": _POUNDS, "money": {**_PRICE, "units": "1000000"}},
            "campaign": {"title": "New", "message": "Come."},
        },
        {
            "request_id": REQUEST_IDS,
            "lot": [ABSENT],
            "lot.lot_code": ["", ABSENT, "x" * 81],
            "lot.product_code": ["", ABSENT, "Two Words"],
            "lot.quantity": [ABSENT],
            "lot.quantity.amount": AMOUNTS,
            "lot.farm_name": ["", ABSENT, "x" * 201],
            "lot.country_code": ["", ABSENT, "usa"],
            "lot.harvest_time": [ABSENT],
            "lot.expire_time": [ABSENT],
            "liquidity": [ABSENT],
            "liquidity.goods": [ABSENT],
            "liquidity.money": [ABSENT, *_NO_MONEY],
            "liquidity.fee_basis_points": [-1, 1001],
            "campaign": [ABSENT],
            "campaign.title": _TITLES,
            "campaign.message": _MESSAGES,
        },
        [
            Refused("grower", "FAILED_PRECONDITION", "BALANCE_EXCEEDED"),
            Refused("grower", "ALREADY_EXISTS", "POOL_EXISTS", {"lot.product_code": "cucumber"}),
            Refused("grower", "FAILED_PRECONDITION", "QUANTITY_EXCEEDED", {"liquidity.goods.amount": "11"}),
            Refused("grower", "INVALID_ARGUMENT", "AMOUNT_INVALID", {"liquidity.goods.amount": "0"}),
            Refused("grower", "INVALID_ARGUMENT", "UNIT_MISMATCH", {"liquidity.goods.unit_code": "KGM"}),
        ],
    ),
}

ROWS: Mapping[str, Entry] = {
    **AUTH,
    **USERS,
    **CROPS,
    **CATALOG,
    **INVENTORY,
    **ORDERS,
    **PAYMENTS,
    **NOTIFICATIONS,
    **TRACE,
    **MARKET,
    **POOLS,
    **CAMPAIGNS,
    **OPERATIONS,
    **CONTROL,
}
