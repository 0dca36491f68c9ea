"""The OpenAPI document is valid, complete, and says what the protos say."""

import re
from typing import Any

import openapi_spec_validator
import pytest
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from fleet.contracts import openapi
from fleet.contracts.model import Access, ContractError, Contracts


@pytest.fixture(scope="module")
def document(contracts: Contracts) -> dict[str, Any]:
    return openapi.document(contracts)


@pytest.fixture(scope="module")
def sample(sound: Contracts) -> dict[str, Any]:
    return openapi.document(sound)


def _schema(sample: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = sample["components"]["schemas"][f"sample.v1.{name}"]
    return found


def _security(access: Access) -> list[dict[str, list[str]]]:
    kinds = {"public": [], "authenticated": [{"bearer": []}], "permission": [{"bearer": [access.permission]}]}
    return kinds[access.kind]


def test_the_document_is_valid_openapi(document: dict[str, Any], sample: dict[str, Any]) -> None:
    openapi_spec_validator.validate(document)
    openapi_spec_validator.validate(sample)


def test_the_validator_refuses_an_invalid_document(document: dict[str, Any]) -> None:
    with pytest.raises(OpenAPIValidationError):
        openapi_spec_validator.validate({**document, "paths": {"/x": {"get": {"responses": "none"}}}})


def test_every_http_binding_is_in_the_document_with_its_access(
    contracts: Contracts, document: dict[str, Any]
) -> None:
    bound = 0
    for method in contracts.methods():
        access = contracts.access(method)
        assert access is not None
        for binding in contracts.bindings(method):
            # Names of variables differ (JSON names there, field paths here), places do not.
            shape = re.sub(r"\{[^}]*\}", "{}", binding.path)
            paths = [path for path in document["paths"] if re.sub(r"\{[^}]*\}", "{}", path) == shape]
            assert len(paths) == 1, binding.path
            operation = document["paths"][paths[0]][binding.verb]
            assert operation["security"] == _security(access)
            bound += 1
    assert bound == sum(len(operations) for operations in document["paths"].values())


def test_internal_methods_are_not_in_the_document(sample: dict[str, Any]) -> None:
    ids = [operation["operationId"] for path in sample["paths"].values() for operation in path.values()]
    assert sorted(ids) == [
        "BoxService_CreateBox",
        "BoxService_CreateBox_2",
        "BoxService_DeleteBox",
        "BoxService_ListBoxes",
        "BoxService_UpdateBox",
        "BoxService_WatchBox",
    ]


def test_a_field_in_the_path_is_not_in_the_body(sample: dict[str, Any]) -> None:
    operation = sample["paths"]["/api/shelves/{shelfId}/boxes"]["post"]
    assert operation["parameters"] == [
        {
            "name": "shelfId",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": "^[a-z]{3}$", "minLength": 1},
        }
    ]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert reference.endswith("/sample.v1.CreateBoxRequest.Body")
    assert list(_schema(sample, "CreateBoxRequest.Body")["properties"]) == ["requestId", "name"]
    assert _schema(sample, "CreateBoxRequest")["required"] == ["requestId", "shelfId", "name"]


def test_an_update_takes_the_mask_as_query_and_the_resource_as_body(sample: dict[str, Any]) -> None:
    operation = sample["paths"]["/api/boxes/{boxId}"]["patch"]
    assert [(p["name"], p["in"]) for p in operation["parameters"]] == [
        ("boxId", "path"),
        ("updateMask", "query"),
    ]
    assert "boxId" not in _schema(sample, "Box.UpdateBoxBody")["properties"]


def test_what_neither_path_nor_body_holds_is_a_query_parameter(sample: dict[str, Any]) -> None:
    parameters = sample["paths"]["/api/boxes"]["get"]["parameters"]
    assert [(p["name"], p.get("required", False)) for p in parameters] == [
        ("pageSize", False),
        ("pageToken", False),
        ("shelfId", True),
        ("filter.colour", False),
        ("filter.madeAfter", False),
    ]
    assert parameters[0]["schema"]["minimum"] == 0
    assert parameters[4]["schema"] == {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("weightGrams", {"type": "string", "format": "int64", "pattern": "^[0-9]+$"}),
        ("count", {"type": "integer", "minimum": 0, "exclusiveMaximum": 100}),
        ("colour", {"type": "string", "enum": ["COLOUR_GREEN"]}),
        ("price", {"$ref": "#/components/schemas/google.type.Money"}),
        ("createTime", {"type": "string", "format": "date-time", "readOnly": True}),
        ("picture", {"type": "string", "contentEncoding": "base64", "maxLength": 8}),
        (
            "inner",
            {"additionalProperties": {"$ref": "#/components/schemas/sample.v1.Box"}, "maxProperties": 3},
        ),
        ("labels", {"items": {"type": "string", "pattern": "^[a-z]+$"}, "maxItems": 2, "uniqueItems": True}),
        ("litres", {"type": "number", "format": "double"}),
    ],
)
def test_a_field_is_rendered_with_its_json_type_and_rules(
    sample: dict[str, Any], field: str, expected: dict[str, Any]
) -> None:
    assert expected.items() <= _schema(sample, "Box")["properties"][field].items()


def test_comments_become_descriptions(sample: dict[str, Any]) -> None:
    box = _schema(sample, "Box")
    assert box["description"] == "A box | with a bar."
    assert box["properties"]["weightGrams"]["description"].startswith("How heavy it is.")
    assert sample["paths"]["/api/boxes"]["post"]["summary"] == "Makes a box"
    assert "`COLOUR_GREEN`: Like grass." in _schema(sample, "Colour")["description"]
    assert "`BOX_FULL`" in sample["tags"][0]["description"]


def test_at_most_one_member_of_a_oneof_and_exactly_one_of_a_required_one(sample: dict[str, Any]) -> None:
    content, owner = _schema(sample, "Box")["allOf"]
    either = [{"required": ["text"]}, {"required": ["litres"]}]
    assert content == {"oneOf": [*either, {"not": {"anyOf": either}}]}
    assert owner == {"oneOf": [{"required": ["personId"]}, {"required": ["firmId"]}]}


def test_a_field_is_required_if_its_zero_value_is_refused(sample: dict[str, Any]) -> None:
    assert _schema(sample, "Box")["required"] == ["colour"]


def test_what_callers_send_is_closed_and_what_they_receive_is_open(sample: dict[str, Any]) -> None:
    assert _schema(sample, "CreateBoxRequest")["additionalProperties"] is False
    assert "additionalProperties" not in _schema(sample, "ListBoxesResponse")


def test_every_operation_documents_errors_in_the_one_shape(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            assert {"400", "401", "default"} <= set(operation["responses"])
            assert len({"200", "202"} & set(operation["responses"])) == 1
    for response in document["components"]["responses"].values():
        schema = response["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Error"}


def test_a_stream_says_that_it_is_one_object_per_line(sample: dict[str, Any]) -> None:
    operation = sample["paths"]["/api/boxes/{boxId}:watch"]["get"]
    assert "one JSON object per line" in operation["description"]


def test_what_goes_on_after_the_answer_is_accepted_and_says_where_to_ask(document: dict[str, Any]) -> None:
    responses = document["paths"]["/api/epcis/capture"]["post"]["responses"]
    assert "200" not in responses
    assert "location" in responses["202"]["headers"]


def test_a_file_that_comes_in_pieces_is_a_file(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/trace/records:export"]["get"]
    assert "JSON object" not in operation["description"]
    assert operation["responses"]["200"]["content"]["*/*"]["schema"]["format"] == "binary"


def test_a_method_without_a_policy_gets_no_document(image: bytes) -> None:
    class WithoutPolicies(Contracts):
        def access(self, method: object) -> None:
            return None

    with pytest.raises(ContractError, match="has no policy"):
        openapi.document(WithoutPolicies(image))
