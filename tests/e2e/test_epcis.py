"""A partner's events through the edge: captured, found by the standard's names, vouched for by the log."""

import json
from base64 import b64encode
from secrets import token_hex
from typing import Any
from uuid import uuid4

import httpx

from chassis.testing import eventually
from fleet.client import RpcEdge, Session
from fleet.client.json_edge import JsonEdge
from fleet.testing.running import RunningFleet
from tests.e2e.people import newcomer
from tests.unit.epcis import corpus


async def _post(http: httpx.AsyncClient, path: str, session: Session, body: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {await session.bearer()}"}
    return await http.post(path, json=body, headers=headers)


async def test_an_event_is_captured_found_and_vouched_for_through_the_edge(fleet: RunningFleet) -> None:
    async with RpcEdge(fleet.edge_url) as rpc, JsonEdge(fleet.edge_url) as edge:
        _, grower = await newcomer(rpc, "grower")
        _, guest = await newcomer(rpc, "guest")
        event_id = f"urn:x-test:{token_hex(8)}"
        text = json.dumps(corpus.event(eventID=event_id, **{"ex:grade": 0.1}))
        body = {"requestId": str(uuid4()), "document": text}
        refused = await _post(edge.http, "/api/epcis/events", guest, body)
        assert refused.status_code == httpx.codes.FORBIDDEN
        captured = (await _post(edge.http, "/api/epcis/events", grower, body)).json()
        assert captured["eventId"] == event_id

        query = {"parameters": {"EQ_eventID": [event_id], "eventType": ["ObjectEvent"]}}
        [found] = (await _post(edge.http, "/api/epcis/events:query", grower, query)).json()["events"]
        assert json.loads(found["document"]) == json.loads(text)

        headers = {"authorization": f"Bearer {await grower.bearer()}"}
        receipt = await edge.http.get(f"/api/ledger/receipts/{found['ledgerEventId']}", headers=headers)
        assert event_id in receipt.json()["leaf"]


async def test_a_document_is_captured_over_plain_http_at_once_and_in_parts(fleet: RunningFleet) -> None:
    async with RpcEdge(fleet.edge_url) as rpc, JsonEdge(fleet.edge_url) as edge:
        _, grower = await newcomer(rpc, "grower")
        prefix = f"urn:x-test:{token_hex(8)}:"
        small = {"requestId": str(uuid4()), "document": _document(prefix, range(3)).decode()}
        accepted = await _post(edge.http, "/api/epcis/capture", grower, small)
        assert accepted.status_code == httpx.codes.ACCEPTED
        job = await _ended(edge.http, grower, accepted.headers["location"])
        assert (job["state"], job["captured"]) == ("CAPTURE_STATE_SUCCEEDED", "3")
        again = await _post(edge.http, "/api/epcis/capture", grower, small)
        assert again.headers["location"] == accepted.headers["location"]

        large = _document(prefix, range(3, 4_500))
        assert len(large) > 1 << 20, "more than one request may hold"
        begun = await _post(edge.http, "/api/epcis/capture", grower, {"requestId": str(uuid4())})
        place = begun.headers["location"]
        pieces = [large[at : at + 700_000] for at in range(0, len(large), 700_000)]
        for index, piece in enumerate(pieces):
            part = {"index": index, "chunk": b64encode(piece).decode()}
            sent = await _post(edge.http, f"{place}/parts", grower, part)
            assert sent.status_code == httpx.codes.OK, sent.text
        early = await _post(edge.http, f"{place}:finish", grower, {"parts": len(pieces) + 1})
        assert early.status_code == httpx.codes.BAD_REQUEST
        assert "CAPTURE_PARTS_MISSING" in early.text
        done = await _post(edge.http, f"{place}:finish", grower, {"parts": len(pieces)})
        assert done.json()["size"] == str(len(large))
        job = await _ended(edge.http, grower, place)
        assert (job["state"], job["captured"]) == ("CAPTURE_STATE_SUCCEEDED", "4497")

        too_large = {"requestId": str(uuid4()), "document": large.decode()}
        refused = await _post(edge.http, "/api/epcis/capture", grower, too_large)
        assert refused.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


def _document(prefix: str, numbers: range) -> bytes:
    events = [corpus.event(eventID=f"{prefix}{n}", **{"ex:note": "x" * 40}) for n in numbers]
    return json.dumps(corpus.document(*events)).encode()


async def _ended(http: httpx.AsyncClient, session: Session, place: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {await session.bearer()}"}

    async def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = (await http.get(place, headers=headers)).json()
        return None if job["state"] == "CAPTURE_STATE_RUNNING" else job

    job = await eventually(ended, 60)
    assert job is not None
    return job
