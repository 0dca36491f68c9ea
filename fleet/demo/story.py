"""The whole story in the order in which it is played."""

import secrets
from datetime import UTC, datetime

from fleet.client import CallFailed, Credentials, RpcEdge, Session
from fleet.client.json_edge import JsonEdge
from fleet.demo.growing import lots_are_grown, people_register
from fleet.demo.recalling import lot_is_recalled, reach_is_known
from fleet.demo.selling import guests_order, venues_open
from fleet.demo.stage import Stage
from fleet.demo.world import World
from fleet.errors import FleetError

ACTS = (people_register, lots_are_grown, venues_open, guests_order, lot_is_recalled, reach_is_known)


async def play(stage: Stage, edge_url: str, operator: Credentials) -> World:
    """Play the story through the edge.

    Args:
        stage: shows the steps.
        edge_url: of the edge, the only address that is called.
        operator: reads the mailbox and asks for the recall scope.

    Returns:
        What was made and seen.

    Raises:
        FleetError: a step went otherwise than it must.
    """
    async with JsonEdge(edge_url) as json, RpcEdge(edge_url) as rpc:
        try:
            session = await Session.open(rpc, operator)
            world = World(json, rpc, session, secrets.token_hex(4), datetime.now(UTC).replace(microsecond=0))
            for act in ACTS:
                await act(stage, world)
        except CallFailed as error:
            raise FleetError(f"The edge at {edge_url} refused a step: {error.code}, {error}.") from error
    return world
