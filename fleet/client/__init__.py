"""Calls to a fleet through its public edge, made as any outside program makes them."""

from fleet.client.errors import CallFailed
from fleet.client.rpc_edge import RpcEdge
from fleet.client.session import Credentials, Session

__all__ = ["CallFailed", "Credentials", "RpcEdge", "Session"]
