"""Protobuf to domain and back."""

from chassis.protobuf import timestamp_to_proto
from greenledger.market.v1 import market_pb2 as pb
from services.market.domain.collection import Collection


def collection_to_proto(collection: Collection) -> pb.Collection:
    """A collection as the contract shows it."""
    return pb.Collection(
        collection_id=collection.collection_id,
        owner_id=collection.owner_id,
        name=collection.name,
        description=collection.description,
        lot_ids=collection.lot_ids,
        create_time=timestamp_to_proto(collection.created_at),
        update_time=timestamp_to_proto(collection.updated_at),
    )
