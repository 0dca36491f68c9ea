"""A partner's events through the edge: captured, found by the standard's names, vouched for by the log."""

import json
from secrets import token_hex
from uuid import uuid4

import httpx

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
