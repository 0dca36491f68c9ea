"""What the acts of the story hand on to one another."""

from dataclasses import dataclass, field
from datetime import datetime

from fleet.client import RpcEdge, Session
from fleet.client.json_edge import JsonEdge
from fleet.demo.people import Person
from greenledger.crops.v1 import crops_pb2
from greenledger.trace.v1 import recall_pb2, trace_pb2


@dataclass(slots=True)
class World:
    """One run of the story.

    Args:
        json: the edge over HTTP/JSON.
        rpc: the edge over gRPC.
        operator: the operator's login.
        tag: tells this run from others, in e-mail addresses and lot codes.
        now: moment from which harvests count back.
        people: by given name.
        sessions: their logins, by given name.
        lots: by product code, and `kitchen` and `market` for the parts of the cucumber lot.
        venues: venue ids by the same two names.
        menu: menu item ids by the dish's name.
        orders: order ids by what became of them.
        failures: reasons of the orders that came to nothing, in order.
        drill: what the recall would have to reach.
        recall_id: of the recall.
        recalls: the recall each time that it had come further.
    """

    json: JsonEdge
    rpc: RpcEdge
    operator: Session
    tag: str
    now: datetime
    people: dict[str, Person] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    lots: dict[str, crops_pb2.Lot] = field(default_factory=dict)
    venues: dict[str, str] = field(default_factory=dict)
    menu: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    quarantined: int = 0
    drill: recall_pb2.Recall | None = None
    recall_id: str = ""
    recalls: list[recall_pb2.Recall] = field(default_factory=list)
    scope: trace_pb2.RecallScope | None = None
    origins: trace_pb2.OrderTrace | None = None

    def lot_code(self, suffix: str) -> str:
        """A traceability lot code that no other run has."""
        return f"RVP-{self.tag.upper()}-{suffix}"

    def email(self, name: str) -> str:
        """An address that no other run has."""
        return f"{name.lower()}.{self.tag}@example.com"
