"""The RPCs of crops: decode, call the use case, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.errors import InvalidArgument
from chassis.paging import PageTokens, page_size
from chassis.protobuf import quantity_from_proto, quantity_to_proto, timestamp_from_proto
from greenledger.crops.v1 import crops_pb2 as pb
from greenledger.crops.v1 import crops_pb2_grpc
from services.crops.adapters.codec import (
    commitment_from_proto,
    custody_to_proto,
    delivery_from_proto,
    event_to_proto,
    filter_from_proto,
    harvest_from_proto,
    id_from_proto,
    inputs_from_proto,
    lot_to_proto,
    offer_kind_from_proto,
    output_from_proto,
    ownership_to_proto,
    recall_class_from_proto,
    step_from_proto,
    transformed_to_proto,
)
from services.crops.adapters.metrics import timed
from services.crops.adapters.on_behalf import acting_for
from services.crops.adapters.physical_grpc import PhysicalCommands, PhysicalServicer
from services.crops.application.commitments import CommitQuantity, ReleaseQuantity
from services.crops.application.deliver_committed import DeliverCommitted
from services.crops.application.handover import AcceptOffer, OfferLot, RejectOffer, WithdrawOffer
from services.crops.application.hold_lot import DestroyLot, HoldLot, ReleaseHold, ReleaseRecall
from services.crops.application.mint_lot import MintLot
from services.crops.application.read_lots import ReadLots
from services.crops.application.recall_lot import RecallLot
from services.crops.application.sell_lot import SellLot
from services.crops.application.split_lot import SplitLot
from services.crops.application.transfer_lot import TransferLot
from services.crops.application.transform_lots import MergeLots, TransformLots

Context = grpc.aio.ServicerContext[Any, Any]


class CommandServicer(PhysicalServicer):
    """The side that decides."""

    def __init__(
        self,
        mint: MintLot,
        transfer: TransferLot,
        split: SplitLot,
        recall: RecallLot,
        commit: CommitQuantity,
        release: ReleaseQuantity,
        merge: MergeLots,
        transform: TransformLots,
        hold: HoldLot,
        release_hold: ReleaseHold,
        destroy: DestroyLot,
        sell: SellLot,
        release_recall: ReleaseRecall,
        offer: OfferLot,
        accept: AcceptOffer,
        reject: RejectOffer,
        withdraw: WithdrawOffer,
        deliver: DeliverCommitted,
        physical: PhysicalCommands,
    ) -> None:
        super().__init__(physical)
        self._mint = mint
        self._transfer = transfer
        self._split = split
        self._recall = recall
        self._commit = commit
        self._release = release
        self._merge = merge
        self._transform = transform
        self._hold = hold
        self._release_hold = release_hold
        self._destroy = destroy
        self._sell = sell
        self._release_recall = release_recall
        self._offer = offer
        self._accept = accept
        self._reject = reject
        self._withdraw = withdraw
        self._deliver = deliver

    @timed("mint")
    async def MintLot(self, request: pb.MintLotRequest, context: Context) -> pb.Lot:
        return lot_to_proto(await self._mint(acting_for(request.grower_id), harvest_from_proto(request)))

    @timed("transfer")
    async def TransferLot(self, request: pb.TransferLotRequest, context: Context) -> pb.Lot:
        lot = await self._transfer(
            caller(),
            id_from_proto(request.request_id),
            id_from_proto(request.lot_id),
            id_from_proto(request.new_owner_id),
            request.reference_document,
        )
        return lot_to_proto(lot)

    @timed("split")
    async def SplitLot(self, request: pb.SplitLotRequest, context: Context) -> pb.SplitLotResponse:
        wanted = [(part.lot_code, quantity_from_proto(part.quantity)) for part in request.parts]
        lot, parts = await self._split(caller(), id_from_proto(request.lot_id), wanted)
        return pb.SplitLotResponse(lot=lot_to_proto(lot), parts=map(lot_to_proto, parts))

    @timed("merge")
    async def MergeLots(self, request: pb.MergeLotsRequest, context: Context) -> pb.MergeLotsResponse:
        done = await self._merge(caller(), inputs_from_proto(request.inputs), request.lot_code)
        return pb.MergeLotsResponse(
            transformation_id=done.transformation_id,
            lot=lot_to_proto(done.outputs[0]),
            inputs=map(lot_to_proto, done.inputs),
        )

    @timed("transform")
    async def TransformLots(
        self, request: pb.TransformLotsRequest, context: Context
    ) -> pb.TransformLotsResponse:
        done = await self._transform(
            caller(),
            inputs_from_proto(request.inputs),
            [output_from_proto(each) for each in request.outputs],
            step_from_proto(request.step),
            quantity_from_proto(request.loss) if request.HasField("loss") else None,
        )
        return transformed_to_proto(done)

    @timed("recall")
    async def RecallLot(self, request: pb.RecallLotRequest, context: Context) -> pb.RecallLotResponse:
        recall_class = recall_class_from_proto(request.recall_class)
        recall_id, lot, recalled = await self._recall(
            caller(),
            id_from_proto(request.request_id),
            id_from_proto(request.lot_id),
            request.reason,
            recall_class,
        )
        return pb.RecallLotResponse(lot=lot_to_proto(lot), recalled_lot_ids=recalled, recall_id=recall_id)

    @timed("release_recall")
    async def ReleaseRecall(
        self, request: pb.ReleaseRecallRequest, context: Context
    ) -> pb.ReleaseRecallResponse:
        lot, released = await self._release_recall(id_from_proto(request.lot_id), request.reason)
        return pb.ReleaseRecallResponse(lot=lot_to_proto(lot), released_lot_ids=released)

    @timed("hold")
    async def HoldLot(self, request: pb.HoldLotRequest, context: Context) -> pb.Lot:
        return lot_to_proto(await self._hold(caller(), id_from_proto(request.lot_id), request.reason))

    @timed("release_hold")
    async def ReleaseHold(self, request: pb.ReleaseHoldRequest, context: Context) -> pb.Lot:
        return lot_to_proto(await self._release_hold(caller(), id_from_proto(request.lot_id), request.reason))

    @timed("destroy")
    async def DestroyLot(self, request: pb.DestroyLotRequest, context: Context) -> pb.Lot:
        quantity = quantity_from_proto(request.quantity) if request.HasField("quantity") else None
        actor = acting_for(request.owner_id)
        return lot_to_proto(
            await self._destroy(actor, id_from_proto(request.lot_id), quantity, request.reason)
        )

    @timed("sell")
    async def SellLot(self, request: pb.SellLotRequest, context: Context) -> pb.Lot:
        lot = await self._sell(
            caller(),
            id_from_proto(request.lot_id),
            quantity_from_proto(request.quantity),
            request.reference_document,
        )
        return lot_to_proto(lot)

    @timed("offer")
    async def OfferLot(self, request: pb.OfferLotRequest, context: Context) -> pb.Lot:
        lot = await self._offer(
            caller(),
            id_from_proto(request.lot_id),
            id_from_proto(request.to_id),
            offer_kind_from_proto(request.kind),
            timestamp_from_proto(request.expire_time),
            request.reference_document,
        )
        return lot_to_proto(lot)

    @timed("accept_offer")
    async def AcceptOffer(self, request: pb.AcceptOfferRequest, context: Context) -> pb.Lot:
        lot_id, offer_id = id_from_proto(request.lot_id), id_from_proto(request.offer_id)
        return lot_to_proto(await self._accept(caller(), lot_id, offer_id))

    @timed("reject_offer")
    async def RejectOffer(self, request: pb.RejectOfferRequest, context: Context) -> pb.Lot:
        lot_id, offer_id = id_from_proto(request.lot_id), id_from_proto(request.offer_id)
        return lot_to_proto(await self._reject(caller(), lot_id, offer_id))

    @timed("withdraw_offer")
    async def WithdrawOffer(self, request: pb.WithdrawOfferRequest, context: Context) -> pb.Lot:
        lot_id, offer_id = id_from_proto(request.lot_id), id_from_proto(request.offer_id)
        return lot_to_proto(await self._withdraw(caller(), lot_id, offer_id))

    @timed("commit")
    async def CommitLotQuantity(
        self, request: pb.CommitLotQuantityRequest, context: Context
    ) -> pb.CommitLotQuantityResponse:
        lot, committed = await self._commit(
            id_from_proto(request.lot_id),
            id_from_proto(request.request_id),
            id_from_proto(request.owner_id),
            commitment_from_proto(request, caller()),
        )
        return pb.CommitLotQuantityResponse(lot=lot_to_proto(lot), committed=quantity_to_proto(committed))

    @timed("deliver")
    async def DeliverCommitted(
        self, request: pb.DeliverCommittedRequest, context: Context
    ) -> pb.DeliverCommittedResponse:
        lot, delivered = await self._deliver(
            id_from_proto(request.lot_id), delivery_from_proto(request, caller())
        )
        return pb.DeliverCommittedResponse(lot=lot_to_proto(lot), delivered=lot_to_proto(delivered))

    @timed("release")
    async def ReleaseLotQuantity(self, request: pb.ReleaseLotQuantityRequest, context: Context) -> pb.Lot:
        lot_id, commitment_id = id_from_proto(request.lot_id), id_from_proto(request.commitment_id)
        return lot_to_proto(await self._release(caller(), lot_id, commitment_id))


class QueryServicer(crops_pb2_grpc.CropQueryServiceServicer):
    """The side that answers."""

    def __init__(self, lots: ReadLots, page_tokens: PageTokens) -> None:
        self._lots = lots
        self._page_tokens = page_tokens

    async def GetLot(self, request: pb.GetLotRequest, context: Context) -> pb.Lot:
        lot_id, moment = id_from_proto(request.lot_id), request.WhichOneof("moment")
        if moment == "version":
            return lot_to_proto(await self._lots.at_version(lot_id, request.version))
        if moment == "read_time":
            return lot_to_proto(await self._lots.at_time(lot_id, timestamp_from_proto(request.read_time)))
        return lot_to_proto(await self._lots.get(lot_id))

    async def ListLots(self, request: pb.ListLotsRequest, context: Context) -> pb.ListLotsResponse:
        size, where = page_size(request.page_size), filter_from_proto(request)
        query = {"method": "ListLots", **{name: getattr(where, name) for name in where.__dataclass_fields__}}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._lots.page(where, cursor["after"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.lot_id}, query)
        return pb.ListLotsResponse(lots=map(lot_to_proto, page), next_page_token=token)

    async def ListLotEvents(
        self, request: pb.ListLotEventsRequest, context: Context
    ) -> pb.ListLotEventsResponse:
        size, lot_id = page_size(request.page_size), id_from_proto(request.lot_id)
        query = {"method": "ListLotEvents", "lot_id": lot_id}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._lots.events(lot_id, cursor["after"] if cursor else 0, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.version}, query)
        return pb.ListLotEventsResponse(events=map(event_to_proto, page), next_page_token=token)

    async def ListOwnership(
        self, request: pb.ListOwnershipRequest, context: Context
    ) -> pb.ListOwnershipResponse:
        size, lot_id = page_size(request.page_size), id_from_proto(request.lot_id)
        query = {"method": "ListOwnership", "lot_id": lot_id}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._lots.ownership(lot_id, cursor["after"] if cursor else -1, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.number}, query)
        return pb.ListOwnershipResponse(ownerships=map(ownership_to_proto, page), next_page_token=token)

    async def ListCustody(self, request: pb.ListCustodyRequest, context: Context) -> pb.ListCustodyResponse:
        size, lot_id = page_size(request.page_size), id_from_proto(request.lot_id)
        query = {"method": "ListCustody", "lot_id": lot_id}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._lots.custody(lot_id, cursor["after"] if cursor else 0, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.number}, query)
        return pb.ListCustodyResponse(custodies=map(custody_to_proto, page), next_page_token=token)

    async def WatchLot(
        self, request: pb.WatchLotRequest, context: Context
    ) -> AsyncIterator[pb.WatchLotResponse]:
        lot_id = id_from_proto(request.lot_id)
        query = {"method": "WatchLot", "lot_id": lot_id}
        try:
            cursor = self._page_tokens.decode(request.resume_token, query)
        except InvalidArgument:
            raise InvalidArgument("RESUME_TOKEN_INVALID", "the resume_token is not one of this lot") from None
        version = int(cursor["version"]) if cursor else 0
        async with aclosing(self._lots.watch(lot_id, version)) as news:
            async for lot in news:
                version = lot.version if lot else version
                token = self._page_tokens.encode({"version": version}, query)
                if lot is None:
                    yield pb.WatchLotResponse(heartbeat=True, resume_token=token)
                else:
                    yield pb.WatchLotResponse(lot=lot_to_proto(lot), resume_token=token)
