"""Pools, balances and settlements as protobuf."""

from collections.abc import Mapping

from chassis.errors import InvalidArgument, Violation
from chassis.money import Money
from chassis.protobuf import money_from_proto, money_to_proto, quantity_from_proto, quantity_to_proto
from chassis.protobuf import timestamp_to_proto as time
from chassis.quantity import Quantity
from greenledger.market.v1 import pools_pb2 as pb
from services.market.application.pool_ports import SettlementProgress, SwapRecord
from services.market.application.pool_trade import Order
from services.market.domain.pool import Pool, Share, Side, Swap, goods
from services.market.domain.pool_settlement import Kind

SIDES = {side: pb.SwapSide.Value(f"SWAP_SIDE_{side.value}") for side in Side}
_SIDE_OF = {number: side for side, number in SIDES.items()}
_KINDS = {kind: pb.SettlementKind.Value(f"SETTLEMENT_KIND_{kind.value}") for kind in Kind}


def pool_to_proto(pool: Pool) -> pb.Pool:
    """A pool as the contract shows it."""
    return pb.Pool(
        pool_id=pool.pool_id,
        product_code=pool.product_code,
        unit_code=pool.unit,
        currency_code=pool.currency,
        fee_basis_points=pool.fee_bps,
        goods=quantity_to_proto(goods(pool.goods, pool.unit)),
        money=money_to_proto(Money(pool.money, pool.currency)),
        shares=pool.shares,
        state=pb.PoolState.Value(f"POOL_STATE_{pool.state.value}"),
        creator_id=pool.created_by,
        create_time=time(pool.created_at),
    )


def order_from_proto(request: pb.QuoteSwapRequest | pb.SwapGoodsRequest) -> Order:
    """What is asked of a pool, with its limit if there is one."""
    exact: Quantity | Money = (
        quantity_from_proto(request.goods)
        if request.WhichOneof("exact") == "goods"
        else money_from_proto(request.money)
    )
    limit: Quantity | Money | None = None
    if isinstance(request, pb.SwapGoodsRequest):
        if request.HasField("goods") != request.HasField("limit_money"):
            raise InvalidArgument(
                "VALIDATION_FAILED",
                "The request breaks rules of the contract.",
                violations=[Violation("limit", "is of money where goods are exact, of goods where money is")],
            )
        limit = (
            money_from_proto(request.limit_money)
            if request.WhichOneof("limit") == "limit_money"
            else quantity_from_proto(request.limit_goods)
        )
    return Order(_SIDE_OF[request.side], exact, limit)


def quote_to_proto(after: Pool, swap: Swap) -> pb.SwapQuote:
    """What a swap would do."""
    return pb.SwapQuote(
        goods=quantity_to_proto(goods(swap.goods, after.unit)),
        money=money_to_proto(Money(swap.money, after.currency)),
        goods_after=quantity_to_proto(goods(after.goods, after.unit)),
        money_after=money_to_proto(Money(after.money, after.currency)),
    )


def swap_to_proto(record: SwapRecord) -> pb.Swap:
    """A swap that was made."""
    pool, swap = record.pool, record.swap
    return pb.Swap(
        swap_id=record.swap_id,
        pool_id=pool.pool_id,
        side=SIDES[swap.side],
        goods=quantity_to_proto(goods(swap.goods, pool.unit)),
        money=money_to_proto(Money(swap.money, pool.currency)),
        goods_after=quantity_to_proto(goods(pool.goods, pool.unit)),
        money_after=money_to_proto(Money(pool.money, pool.currency)),
        swap_time=time(record.at),
    )


def liquidity_to_proto(pool: Pool, part: Share) -> pb.Liquidity:
    """What came in or went out."""
    return pb.Liquidity(
        pool_id=pool.pool_id,
        shares=part.shares,
        goods=quantity_to_proto(goods(part.goods, pool.unit)),
        money=money_to_proto(Money(part.money, pool.currency)),
        pool=pool_to_proto(pool),
    )


def balances_to_proto(balances: Mapping[str, int]) -> pb.Balances:
    """What somebody has, by the assets of the ledger."""
    answer = pb.Balances()
    for asset, amount in balances.items():
        kind, *names = asset.split(":")
        if kind == "goods":
            product_code, unit = names
            quantity = quantity_to_proto(goods(amount, unit))
            answer.goods.append(pb.GoodsBalance(product_code=product_code, quantity=quantity))
        elif kind == "money":
            answer.money.append(money_to_proto(Money(amount, names[0])))
        else:
            answer.shares.append(pb.ShareBalance(pool_id=names[0], shares=amount))
    return answer


def settlement_to_proto(progress: SettlementProgress) -> pb.Settlement:
    """A settlement that came about."""
    done, data = progress.settlement, progress.data
    answer = pb.Settlement(settlement_id=done.settlement_id, kind=_KINDS[done.kind])
    if done.money is not None:
        answer.money.CopyFrom(money_to_proto(done.money))
    elif done.kind is Kind.GOODS_DEPOSIT:
        answer.product_code = data["product_code"]
        answer.goods.CopyFrom(quantity_to_proto(Quantity.of(*data["committed"])))
        answer.lot_ids.append(done.subject)
    elif done.goods is not None:
        refused = {number for number, _, _ in data["refused"]}
        amount = sum(each["amount"] for n, each in enumerate(data["deliveries"]) if n not in refused)
        answer.product_code = done.subject
        answer.goods.CopyFrom(quantity_to_proto(goods(amount, done.goods.unit)))
        answer.lot_ids.extend(data["delivered"])
    return answer
