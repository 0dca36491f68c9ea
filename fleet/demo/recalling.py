"""Third part: the lot is recalled, its stock can no longer be sold, and its reach is known."""

from google.protobuf.json_format import ParseDict

from fleet.demo import data
from fleet.demo.patience import until
from fleet.demo.requests import new_request_id
from fleet.demo.selling import checkout, refused_with
from fleet.demo.stage import Stage
from fleet.demo.world import World
from fleet.recall_scope import is_stopped, summary
from fleet.trace_view import counts
from greenledger.inventory.v1 import inventory_pb2
from greenledger.trace.v1 import trace_pb2


async def lot_is_recalled(stage: Stage, world: World) -> None:
    """The grower recalls the harvest; what was split from it is recalled too and leaves the sale."""
    stage.act(f"The cucumber lot is recalled: {data.RECALL.reason} ({data.RECALL.source})")
    cucumbers = world.lots["cucumber"]
    with stage.step(f"Rosa recalls {cucumbers.lot_code}, Class I", "JSON") as step:
        body = {
            "requestId": new_request_id(),
            "reason": data.RECALL.reason,
            "recallClass": data.RECALL.recall_class,
        }
        path = f"/api/crops/{cucumbers.lot_id}:recall"
        answer = await world.json.post(path, body, world.sessions["Rosa"])
        step.note(f"{len(answer['recalledLotIds'])} lots: the harvest and what was split from it")
    with stage.step("The venues see their stock in quarantine", "gRPC") as step:
        for where in ("kitchen", "market"):
            item = await until(lambda where=where: _quarantined(world, where), "The quarantine")  # type: ignore[misc]
            world.quarantined += 1
            step.note(f"{where}: {item.on_hand.amount} {item.on_hand.unit_code} held back, none available")
    with stage.step("Ada wants another snack cup; it is refused", "gRPC") as step:
        with refused_with("OUT_OF_STOCK"):
            await checkout(world, "Ada", world.menu[data.SNACK_CUP.name], 1)
        world.failures.append("OUT_OF_STOCK")
        step.note("OUT_OF_STOCK: nothing of a recalled lot is sold")


async def reach_is_known(stage: Stage, world: World) -> None:
    """The operator asks what the lot reached, and where a guest's order came from."""
    stage.act("Whom did it reach?")
    with stage.step("The operator asks for the recall scope", "gRPC") as step:
        world.scope = await until(lambda: _whole_scope(world), "The recall scope")
        step.note(counts(world.scope))
    with stage.step("and traces Ada's order back to the harvests", "JSON") as step:
        answer = await world.json.get(f"/api/trace/orders/{world.orders['paid']}", world.operator)
        world.origins = ParseDict(answer, trace_pb2.OrderTrace())
        step.notes += [f"{lot.lot_code}: {lot.product_code}, {lot.farm_name}" for lot in world.origins.lots]


async def _quarantined(world: World, where: str) -> inventory_pb2.StockItem | None:
    request = inventory_pb2.ListStockRequest(venue_id=world.venues[where], product_code="cucumber")
    stock = await world.rpc.call(world.rpc.inventory.ListStock, request, world.sessions["Victor"])
    items = stock.stock_items
    return items[0] if items and all(item.quarantined for item in items) else None


async def _whole_scope(world: World) -> trace_pb2.RecallScope | None:
    """The scope, once it has heard of the orders that were just fulfilled."""
    scope = await summary(world.rpc, world.operator, world.lots["cucumber"].lot_id)
    served = {world.orders[name] for name in ("paid", "market", "repeated")}
    known = {order.order_id for order in scope.orders if order.state == "FULFILLED"}
    return scope if is_stopped(scope) and served <= known else None
