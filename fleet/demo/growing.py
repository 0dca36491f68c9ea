"""First part: people register, a harvest is recorded, split and handed over."""

import asyncio

from google.protobuf.json_format import ParseDict

from fleet.demo import data
from fleet.demo.patience import until
from fleet.demo.people import log_in, register_by_json, register_by_rpc
from fleet.demo.requests import as_json, mint, new_request_id, quantity, split
from fleet.demo.stage import Stage
from fleet.demo.world import World
from greenledger.crops.v1 import crops_pb2

PEOPLE = (
    ("Rosa", "grower"),
    ("Victor", "venue"),
    ("Ada", "guest"),
    ("Ben", "guest"),
    ("Chi", "guest"),
)
_PARTS = (("kitchen", "A", 400), ("market", "B", 100))


async def people_register(stage: Stage, world: World) -> None:
    """Everyone registers, gets the welcome message and logs in."""
    stage.act("People register")
    for name, role in PEOPLE:
        by_json = role != "guest"
        with stage.step(f"{name} registers as {role}", "JSON" if by_json else "gRPC") as step:
            email = world.email(name)
            if by_json:
                world.people[name] = await register_by_json(world.json, name, role, email)
            else:
                world.people[name] = await register_by_rpc(world.rpc, name, role, email)
            step.note(email)
    with stage.step("The operator finds every welcome message in the development mailbox", "JSON") as step:
        subjects = await asyncio.gather(*(_welcome(world, name) for name, _ in PEOPLE))
        step.note(subjects[0])
    with stage.step("All log in", "gRPC"):
        for name, person in world.people.items():
            world.sessions[name] = await log_in(world.rpc, person)


async def lots_are_grown(stage: Stage, world: World) -> None:
    """Harvests become lots; one is split and handed over with its bill of lading."""
    stage.act("A harvest becomes lots")
    rosa = world.sessions["Rosa"]
    for number, harvest in enumerate(data.HARVESTS):
        request = mint(harvest, data.FARM, world.lot_code(f"{number + 1:02}"), world.now)
        by_json = number == 0
        title = f"Rosa mints {harvest.amount} {harvest.unit} of {harvest.product_code}"
        with stage.step(title, "JSON" if by_json else "gRPC") as step:
            if by_json:
                lot = ParseDict(await world.json.post("/api/crops", as_json(request), rosa), crops_pb2.Lot())
            else:
                lot = await world.rpc.call(world.rpc.crops.MintLot, request, rosa)
            world.lots[harvest.product_code] = lot
            step.note(f"{harvest.commodity}, {harvest.variety}, lot code {lot.lot_code}")
    await _split_cucumbers(stage, world)
    await _hand_over(stage, world)


async def _split_cucumbers(stage: Stage, world: World) -> None:
    parts = [(world.lot_code(f"01-{suffix}"), quantity(amount, "LBR")) for _, suffix, amount in _PARTS]
    cucumbers = world.lots["cucumber"]
    with stage.step("Rosa splits the cucumber lot in two shipments", "gRPC") as step:
        answer = await world.rpc.call(
            world.rpc.crops.SplitLot, split(cucumbers.lot_id, parts), world.sessions["Rosa"]
        )
        world.lots["cucumber"] = answer.lot
        world.lots.update({name: part for (name, _, _), part in zip(_PARTS, answer.parts, strict=True)})
        for part in (*answer.parts, answer.lot):
            step.note(f"{part.lot_code}: {part.quantity.amount} {part.quantity.unit_code}")


async def _hand_over(stage: Stage, world: World) -> None:
    victor = world.people["Victor"].user_id
    for number, name in enumerate(("kitchen", "market", "romaine-lettuce", "tomato", "alfalfa-sprouts")):
        lot = world.lots[name]
        document = f"BOL-{world.tag.upper()}-{number + 1}"
        by_json = number == 0
        with stage.step(f"Rosa transfers {lot.lot_code} to Victor", "JSON" if by_json else "gRPC") as step:
            request = crops_pb2.TransferLotRequest(
                request_id=new_request_id(),
                lot_id=lot.lot_id,
                new_owner_id=victor,
                reference_document=document,
            )
            if by_json:
                path = f"/api/crops/{lot.lot_id}:transfer"
                await world.json.post(path, as_json(request, "lotId"), world.sessions["Rosa"])
            else:
                await world.rpc.call(world.rpc.crops.TransferLot, request, world.sessions["Rosa"])
            step.note(f"bill of lading {document}")


async def _welcome(world: World, name: str) -> str:
    async def look() -> str | None:
        found = await world.json.get("/api/mailbox", world.operator, recipient=world.email(name))
        return str(found["messages"][0]["subject"]) if found["messages"] else None

    return await until(look, f"The welcome message of {name}")
