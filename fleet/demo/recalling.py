"""Third part: the lot is recalled, its stock can no longer be sold, and its reach is known."""

from google.protobuf.json_format import ParseDict

from fleet.demo import data
from fleet.demo.patience import until
from fleet.demo.requests import new_request_id
from fleet.demo.selling import checkout, refused_with
from fleet.demo.stage import Stage
from fleet.demo.world import World
from fleet.errors import FleetError
from fleet.recall_progress import WORDS, drill, follow
from fleet.recall_scope import is_stopped, summary
from fleet.trace_view import counts
from greenledger.catalog.v1 import catalog_pb2
from greenledger.inventory.v1 import inventory_pb2
from greenledger.trace.v1 import recall_pb2, trace_pb2

_PATIENCE_S = 60.0


async def lot_is_recalled(stage: Stage, world: World) -> None:
    """The grower recalls the harvest; what was split from it is recalled too and leaves the sale."""
    stage.act(f"The cucumber lot is recalled: {data.RECALL.reason} ({data.RECALL.source})")
    cucumbers = world.lots["cucumber"]
    with stage.step("The operator drills it first; nothing changes and nobody is told", "gRPC") as step:
        world.drill = await drill(world.rpc, world.operator, cucumbers.lot_id)
        step.note(f"in the end: {_reach(world.drill)}")
    with stage.step(f"Rosa recalls {cucumbers.lot_code}, Class I", "JSON") as step:
        body = {
            "requestId": new_request_id(),
            "reason": data.RECALL.reason,
            "recallClass": data.RECALL.recall_class,
        }
        path = f"/api/crops/{cucumbers.lot_id}:recall"
        answer = await world.json.post(path, body, world.sessions["Rosa"])
        world.recall_id = answer["recallId"]
        step.note(f"{len(answer['recalledLotIds'])} lots: the harvest and what was split from it")
    with stage.step("The venues see their stock in quarantine", "gRPC") as step:
        for where in ("kitchen", "market"):
            item = await until(lambda where=where: _quarantined(world, where), "The quarantine")  # type: ignore[misc]
            world.quarantined += 1
            step.note(f"{where}: {item.on_hand.amount} {item.on_hand.unit_code} held back, none available")
    with stage.step("Ada wants another snack cup; it is no longer on the menu", "gRPC") as step:
        snack_cup = world.menu[data.SNACK_CUP.name]
        await until(lambda: _off_the_menu(world, snack_cup), "The end of the snack cup's sale")
        with refused_with("MENU_ITEM_UNAVAILABLE"):
            await checkout(world, "Ada", snack_cup, 1)
        world.failures.append("MENU_ITEM_UNAVAILABLE")
        step.note("MENU_ITEM_UNAVAILABLE: nothing of a recalled lot is sold")
    with stage.step("The operator follows the recall until everybody is told", "gRPC") as step:
        done = await follow(world.rpc, world.operator, world.recall_id, world.recalls.append, _PATIENCE_S)
        if not done:
            raise FleetError("The recall did not come to its end: see `greenledger status`.")
        step.note(_reach(world.recalls[-1]))
    with stage.step("and reads what Ada was told", "JSON") as step:
        text = await until(lambda: _told(world, "Ada"), "The message to Ada")
        step.notes += [line for line in text.splitlines() if line.startswith("- ")]


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


async def _off_the_menu(world: World, menu_item_id: str) -> bool | None:
    request = catalog_pb2.GetMenuItemRequest(menu_item_id=menu_item_id)
    return not (await world.rpc.call(world.rpc.catalog.GetMenuItem, request)).available or None


async def _told(world: World, name: str) -> str | None:
    found = await world.json.get("/api/mailbox", world.operator, recipient=world.email(name))
    texts = [mail["text"] for mail in found.get("messages", []) if mail["subject"].startswith("Recall")]
    return texts[0] if texts else None


def _reach(recall: recall_pb2.Recall) -> str:
    """How much of each kind, in words."""
    return ", ".join(f"{each.expected} {WORDS[each.kind]}" for each in recall.progress if each.expected)


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
