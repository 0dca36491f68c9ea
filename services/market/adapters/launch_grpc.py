"""LaunchService: decode, call the use case, encode."""

from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.protobuf import id_from_proto, money_from_proto, quantity_from_proto, timestamp_from_proto
from greenledger.market.v1 import launches_pb2 as pb
from greenledger.market.v1 import launches_pb2_grpc
from services.market.adapters.campaign_grpc import campaign_to_proto
from services.market.adapters.pool_codec import pool_to_proto
from services.market.application.launch import LaunchProduct
from services.market.domain.launch import Harvest, Launch

Context = grpc.aio.ServicerContext[Any, Any]


class LaunchServicer(launches_pb2_grpc.LaunchServiceServicer):
    """The RPC of launches."""

    def __init__(self, launch: LaunchProduct) -> None:
        self._launch = launch

    async def LaunchProduct(self, request: pb.LaunchProductRequest, context: Context) -> pb.Launch:
        wanted = Launch(
            owner_id=caller().subject,
            harvest=_harvest(request.lot),
            goods=quantity_from_proto(request.liquidity.goods),
            money=money_from_proto(request.liquidity.money),
            fee_bps=request.liquidity.fee_basis_points,
            title=request.campaign.title,
            message=request.campaign.message,
        )
        done = await self._launch(id_from_proto(request.request_id, "request_id"), wanted)
        return pb.Launch(
            launch_id=done.launch_id,
            lot_id=done.lot_id,
            pool=pool_to_proto(done.pool),
            shares=done.shares,
            campaign=campaign_to_proto(done.campaign),
        )


def _harvest(lot: pb.LaunchLot) -> Harvest:
    return Harvest(
        lot_code=lot.lot_code,
        product_code=lot.product_code,
        description=lot.description,
        variety=lot.variety,
        quantity=quantity_from_proto(lot.quantity),
        farm_name=lot.farm_name,
        country_code=lot.country_code,
        harvest_time=timestamp_from_proto(lot.harvest_time),
        expire_time=timestamp_from_proto(lot.expire_time),
    )
