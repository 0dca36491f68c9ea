"""PoolService: decode, call the use case, encode."""

from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto, money_from_proto, quantity_from_proto
from greenledger.market.v1 import pools_pb2 as pb
from greenledger.market.v1 import pools_pb2_grpc
from services.market.adapters.pool_codec import (
    balances_to_proto,
    liquidity_to_proto,
    order_from_proto,
    pool_to_proto,
    quote_to_proto,
    settlement_to_proto,
    swap_to_proto,
)
from services.market.application.pool_ports import Ledger
from services.market.application.pool_settle import Settle
from services.market.application.pool_trade import PoolCommands
from services.market.domain.pool_ledger import user

Context = grpc.aio.ServicerContext[Any, Any]


class PoolServicer(pools_pb2_grpc.PoolServiceServicer):
    """The RPCs of pools and balances."""

    def __init__(self, pools: PoolCommands, settle: Settle, books: Ledger, page_tokens: PageTokens) -> None:
        self._pools = pools
        self._settle = settle
        self._ledger = books
        self._page_tokens = page_tokens

    async def CreatePool(self, request: pb.CreatePoolRequest, context: Context) -> pb.Pool:
        made = await self._pools.create(
            caller().subject,
            request.product_code,
            request.unit_code,
            request.currency_code,
            request.fee_basis_points,
        )
        return pool_to_proto(made)

    async def GetPool(self, request: pb.GetPoolRequest, context: Context) -> pb.Pool:
        return pool_to_proto(await self._pools.get(request.pool_id))

    async def ListPools(self, request: pb.ListPoolsRequest, context: Context) -> pb.ListPoolsResponse:
        size, query = page_size(request.page_size), {"method": "ListPools", "product": request.product_code}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._pools.page(
            request.product_code or None, cursor["before"] if cursor else None, size + 1
        )
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.pool_id}, query)
        return pb.ListPoolsResponse(pools=map(pool_to_proto, page), next_page_token=token)

    async def QuoteSwap(self, request: pb.QuoteSwapRequest, context: Context) -> pb.SwapQuote:
        return quote_to_proto(*await self._pools.quote(request.pool_id, order_from_proto(request)))

    async def SwapGoods(self, request: pb.SwapGoodsRequest, context: Context) -> pb.Swap:
        order = order_from_proto(request)
        return swap_to_proto(await self._pools.swap(caller().subject, request.pool_id, order))

    async def ListSwaps(self, request: pb.ListSwapsRequest, context: Context) -> pb.ListSwapsResponse:
        size, query = page_size(request.page_size), {"method": "ListSwaps", "pool": request.pool_id}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._pools.swaps(request.pool_id, cursor["before"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.swap_id}, query)
        return pb.ListSwapsResponse(swaps=map(swap_to_proto, page), next_page_token=token)

    async def AddLiquidity(self, request: pb.AddLiquidityRequest, context: Context) -> pb.Liquidity:
        max_goods, max_money = quantity_from_proto(request.max_goods), money_from_proto(request.max_money)
        changed = await self._pools.add(
            caller().subject, request.pool_id, max_goods, max_money, request.min_shares
        )
        return liquidity_to_proto(*changed)

    async def RemoveLiquidity(self, request: pb.RemoveLiquidityRequest, context: Context) -> pb.Liquidity:
        changed = await self._pools.remove(
            caller().subject,
            request.pool_id,
            request.shares,
            quantity_from_proto(request.min_goods) if request.HasField("min_goods") else None,
            money_from_proto(request.min_money) if request.HasField("min_money") else None,
        )
        return liquidity_to_proto(*changed)

    async def GetBalances(self, request: pb.GetBalancesRequest, context: Context) -> pb.Balances:
        return balances_to_proto(await self._ledger.balances(user(caller().subject)))

    async def DepositGoods(self, request: pb.DepositGoodsRequest, context: Context) -> pb.Settlement:
        done = await self._settle.deposit_goods(
            caller().subject,
            id_from_proto(request.request_id, "request_id"),
            id_from_proto(request.lot_id, "lot_id"),
            quantity_from_proto(request.quantity),
        )
        return settlement_to_proto(done)

    async def WithdrawGoods(self, request: pb.WithdrawGoodsRequest, context: Context) -> pb.Settlement:
        done = await self._settle.withdraw_goods(
            caller().subject,
            id_from_proto(request.request_id, "request_id"),
            request.product_code,
            quantity_from_proto(request.quantity),
        )
        return settlement_to_proto(done)

    async def DepositMoney(self, request: pb.DepositMoneyRequest, context: Context) -> pb.Settlement:
        done = await self._settle.deposit_money(
            caller().subject,
            id_from_proto(request.request_id, "request_id"),
            money_from_proto(request.amount),
            request.payment_method,
        )
        return settlement_to_proto(done)

    async def WithdrawMoney(self, request: pb.WithdrawMoneyRequest, context: Context) -> pb.Settlement:
        done = await self._settle.withdraw_money(
            caller().subject,
            id_from_proto(request.request_id, "request_id"),
            id_from_proto(request.deposit_id, "deposit_id"),
            money_from_proto(request.amount),
        )
        return settlement_to_proto(done)
