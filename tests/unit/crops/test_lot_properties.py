"""What holds over every history of lots."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import DomainError, FailedPrecondition
from chassis.eventstore import RecordedEvent
from chassis.quantity import PLACES, Quantity
from services.crops.adapters.events import decode, encode, stream_of
from services.crops.adapters.snapshots import decode_lot, encode_lot
from services.crops.domain.commitment import commit, release
from services.crops.domain.correction import correct
from services.crops.domain.delivery import Delivery, deliver, refused
from services.crops.domain.events import (
    LotEvent,
    LotQuantityCommitted,
    LotQuantityDelivered,
    LotQuantityReleased,
    LotRecalled,
    LotRecallReleased,
    LotServed,
    OfferKind,
    Purpose,
    RecallClass,
    Step,
)
from services.crops.domain.handover import accept_custody, accept_ownership, offer
from services.crops.domain.harvest import mint
from services.crops.domain.hold import destroy, hold, release_hold, release_recall
from services.crops.domain.lot import Commitment, Lot, LotState, evolve, replay, replay_from
from services.crops.domain.observation import observe
from services.crops.domain.occasion import Occasion
from services.crops.domain.recall import recall
from services.crops.domain.sale import sell
from services.crops.domain.serving import Serving, serve
from services.crops.domain.shipment import receive, ship, void_shipment
from services.crops.domain.split import Part, split
from services.crops.domain.transfer import begin_transfer, cancel_transfer, complete_transfer
from services.crops.domain.transform import Input, Output, Transformation, merge, transform
from services.crops.domain.unit import pack, unpack
from tests.unit.crops.lots import GROWER, MAKER, NOW, harvest

OWNERS = [GROWER, "buyer-a", "buyer-b"]
UNITS = ["KGM", "GRM", "LBR", "ONZ", "TNE"]
amounts = st.decimals(min_value=0, max_value=150, places=6, allow_nan=False)
commands = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "begin",
                "complete",
                "cancel",
                "split",
                "split",
                "merge",
                "cook",
                "destroy",
                "sell",
                "serve",
                "serve",
                "hold",
                "unhold",
                "unrecall",
                "offer",
                "take",
                "commit",
                "commit",
                "release",
                "deliver",
                "deliver",
                "recall",
                "correct",
                "ship",
                "void",
                "arrive",
                "observe",
                "pack",
                "unpack",
            ]
        ),
        st.integers(0, 30),
        st.sampled_from(OWNERS),
        st.lists(st.tuples(amounts, st.sampled_from(UNITS)), min_size=1, max_size=3),
    ),
    max_size=30,
)


@dataclass
class World:
    """All lots that came of one harvest, driven by commands of which many are refused."""

    histories: dict[str, list[LotEvent]] = field(default_factory=dict)
    lots: dict[str, Lot] = field(default_factory=dict)
    lost: Decimal = Decimal(0)
    declared: Decimal = Decimal(0)
    standing: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    blocks: set[tuple[str, str]] = field(default_factory=set)

    def record(self, event: LotEvent) -> None:
        match event:
            case LotQuantityCommitted():
                assert (event.lot_id, event.commitment_id) not in self.standing
                self.standing[event.lot_id, event.commitment_id] = event.quantity.amount
            case LotQuantityDelivered():
                self.standing[event.lot_id, event.commitment_id] -= event.quantity.amount
            case LotQuantityReleased():
                assert self.standing.pop((event.lot_id, event.commitment_id), 0) == event.quantity.amount
            case LotServed():
                for each in event.taken:
                    self.standing[event.lot_id, each.commitment_id] -= each.quantity.amount
                self.lost += self.lots[event.lot_id].quantity.amount - event.remaining.amount
                taken = sum(each.quantity.amount for each in event.taken)
                assert taken <= self.lots[event.lot_id].quantity.amount - event.remaining.amount
            case LotRecalled():
                self.blocks.add((event.lot_id, event.recall_id))
            case LotRecallReleased():
                self.blocks.remove((event.lot_id, event.recall_id))
        self.histories.setdefault(event.lot_id, []).append(event)
        self.lots[event.lot_id] = evolve(self.lots.get(event.lot_id), event)

    @property
    def count(self) -> int:
        return sum(map(len, self.histories.values()))

    def made(self, done: Transformation) -> None:
        for fact in [*done.used, *done.made]:
            self.record(fact)

    def descendants(self, lot_id: str) -> list[str]:
        """In the order of minting, in which parents come first."""
        found = {lot_id}
        for other in self.lots.values():
            if found.intersection(other.parent_lot_ids):
                found.add(other.lot_id)
        return sorted(found - {lot_id})

    def make(self, command: str, lot: Lot, wanted: list[tuple[Decimal, str]], now: datetime) -> None:
        match command:
            case "merge":
                others = [other for other in self.lots.values() if other.lot_id != lot.lot_id]
                if others:
                    used = [Input(lot, None), Input(others[len(wanted) % len(others)], None)]
                    self.made(
                        merge(
                            used,
                            transformation_id=f"t{self.count}",
                            lot_id=f"M{self.count}",
                            lot_code="m",
                            actor=lot.owner_id,
                            now=now,
                        )
                    )
            case "cook":
                amount, unit = wanted[0]
                quantity = Quantity(amount, unit).to("KGM")
                half = Quantity((quantity.amount / 2).quantize(PLACES, ROUND_DOWN), "KGM")
                self.made(
                    transform(
                        [Input(lot, quantity)],
                        [Output(f"C{self.count}", "c", "soup", "", "", half, lot.expire_time)],
                        transformation_id=f"t{self.count}",
                        step=Step.COOK,
                        loss=quantity - half,
                        actor=lot.owner_id,
                        now=now,
                    )
                )
                self.lost += (quantity - half).amount

    def deliver(
        self, lot: Lot, delivery_id: str, commitment_id: str, quantity: Quantity, who: str, now: datetime
    ) -> None:
        wish = Delivery(delivery_id, commitment_id, quantity, who, f"d{self.count}", MAKER)
        try:
            own, new = deliver(lot, wish, new_lot_id=f"D{self.count}", now=now) or ((), ())
        except FailedPrecondition as refusal:
            tombstone = refused(lot, wish, refusal, now=now)
            own, new = (tombstone,) if tombstone else (), ()
        for event in [*own, *new]:
            self.record(event)

    def move(self, command: str, lot: Lot, who: str, now: datetime) -> None:
        """What physically happens to the lot, or to all on its unit."""
        addressee = lot.shipment.to_id if lot.shipment else who
        actor = addressee if command == "arrive" else lot.custodian_id
        told: dict[str, Any] = {"actor": actor, "occasion": Occasion(NOW), "now": now}
        unit = {"unit_id": lot.unit_id}
        shipment = {"shipment_id": lot.shipment.shipment_id if lot.shipment else ""}
        together = [other for other in self.lots.values() if lot.unit_id and other.unit_id == lot.unit_id]
        packing = {"packing_id": f"p{self.count}"}
        facts: list[LotEvent]
        match command:
            case "ship":
                shipment = {"shipment_id": f"s{self.count}"}
                to_id = OWNERS[self.count % 3]
                facts = [ship(each, to_id=to_id, **shipment, **unit, **told) for each in together or [lot]]
            case "void":
                facts = [void_shipment(each, reason="r", **shipment, **told) for each in together or [lot]]
            case "arrive":
                facts = [
                    receive(each, quantity=None, **shipment, **unit, **told) for each in together or [lot]
                ]
            case "observe":
                facts = [observe(lot, cooling=True, readings=[], **told)]
            case "pack":
                on = f"unit-{self.count % 2}"
                inside = [other for other in self.lots.values() if other.unit_id == on]
                free = [other for other in self.lots.values() if other.state is LotState.ACTIVE]
                mine = [other for other in free if other.custodian_id == actor and not other.unit_id]
                facts = [fact for _, fact in pack(mine or [lot], inside, unit_id=on, **packing, **told)]
            case _:
                on = lot.unit_id or "unit-none"
                facts = [fact for _, fact in unpack([lot], unit_id=on, **packing, **told)]
        for fact in facts:
            self.record(fact)

    def correct(self, lot: Lot, amount: Quantity, now: datetime) -> None:
        history = {f"e{number}": event for number, event in enumerate(self.histories[lot.lot_id])}
        event = correct(
            lot,
            history=history,
            event_id=f"e{len(lot.corrected) % lot.version}",
            reason="r",
            corrective_event_ids=[],
            quantity=amount,
            etag=str(lot.version),
            actor=lot.owner_id,
            is_operator=False,
            now=now,
        )
        self.record(event)
        self.declared += self.lots[lot.lot_id].quantity.amount - lot.quantity.amount

    def do(  # noqa: PLR0912, PLR0915 - one for each command
        self, command: str, which: int, who: str, wanted: list[tuple[Decimal, str]]
    ) -> None:
        lot = list(self.lots.values())[which % len(self.lots)]
        now = NOW + timedelta(minutes=len(self.histories[lot.lot_id]))
        match command:
            case "begin":
                self.record(
                    begin_transfer(
                        lot,
                        transfer_id="t",
                        actor=lot.owner_id,
                        new_owner_id=who,
                        reference_document="",
                        now=now,
                    )
                )
            case "complete":
                self.record(complete_transfer(lot, transfer_id="t", now=now))
            case "cancel":
                if cancelled := cancel_transfer(lot, transfer_id="t", now=now):
                    self.record(cancelled)
            case "split":
                parts = [
                    Part(f"{lot.lot_id}.{lot.version}.{n}", f"{n}", Quantity(amount, unit))
                    for n, (amount, unit) in enumerate(wanted)
                ]
                event, minted = split(lot, parts, actor=lot.owner_id, now=now)
                self.record(event)
                for part in minted:
                    self.record(part)
            case "merge" | "cook":
                self.make(command, lot, wanted, now)
            case "correct":
                self.correct(lot, Quantity(*wanted[0]), now)
            case "ship" | "void" | "arrive" | "observe" | "pack" | "unpack":
                self.move(command, lot, who, now)
            case "destroy":
                gone = destroy(
                    lot, Quantity(*wanted[0]), actor=lot.owner_id, is_operator=False, reason="r", now=now
                )
                self.lost += gone.quantity.amount
                self.record(gone)
            case "sell":
                sold = sell(lot, Quantity(*wanted[0]), actor=lot.owner_id, reference_document="", now=now)
                self.lost += sold.quantity.amount
                self.record(sold)
            case "serve":
                parts = tuple((f"c{len(wanted)}", Quantity(*each)) for each in wanted)
                self.record(serve(lot, Serving(lot.lot_id, f"o{which}", "venue", parts, now), now=now))
            case "hold" | "unhold":
                change = hold if command == "hold" else release_hold
                self.record(change(lot, actor=who, is_operator=which % 2 == 0, reason="r", now=now))
            case "unrecall":
                came = [self.lots[each] for each in self.descendants(lot.lot_id)]
                for _, freed in release_recall(lot, came, self.lots, reason="r", now=now):
                    self.record(freed)
            case "offer":
                kind = list(OfferKind)[len(wanted) % 3]
                self.record(
                    offer(
                        lot,
                        offer_id=f"o{self.count}",
                        kind=kind,
                        actor=lot.custodian_id if kind is OfferKind.CUSTODY else lot.owner_id,
                        to_id=who,
                        expire_time=now + timedelta(days=1),
                        reference_document="",
                        now=now,
                    )
                )
            case "take" if lot.offer:
                if lot.offer.kind is OfferKind.CUSTODY:
                    taken = accept_custody(lot, lot.offer.offer_id, actor=who, now=now)
                else:
                    taken = accept_ownership(lot, lot.offer.offer_id, transfer_id="t", actor=who, now=now)
                for fact in taken:
                    self.record(fact)
            case "commit":
                amount, unit = wanted[0]
                made = commit(
                    lot,
                    Commitment(Quantity(amount, unit), list(Purpose)[which % 3], "venue", MAKER),
                    commitment_id=f"c{len(wanted)}",
                    owner_id=who,
                    now=now,
                )
                if made:
                    self.record(made)
            case "release":
                if undone := release(lot, commitment_id=f"c{len(wanted)}", actor=MAKER, now=now):
                    self.record(undone)
            case "deliver":
                self.deliver(lot, f"d{which % 3}", f"c{len(wanted)}", Quantity(*wanted[0]), who, now)
            case "recall":
                descendants = [self.lots[each] for each in self.descendants(lot.lot_id)]
                for _, fact in recall(
                    lot,
                    descendants,
                    recall_id=f"R{self.count}",
                    actor=lot.owner_id,
                    is_operator=False,
                    reason="r",
                    recall_class=RecallClass.I,
                    now=now,
                ):
                    self.record(fact)


def lived(history: list[tuple[str, int, str, list[tuple[Decimal, str]]]], total: Quantity) -> World:
    world = World()
    world.record(mint(harvest(quantity=total), lot_id="L", grower_id=GROWER, now=NOW))
    for command in history:
        try:
            world.do(*command)
        except DomainError:
            continue  # a refusal; that it changes nothing is what the properties show
    return world


totals = st.decimals(min_value="0.000001", max_value=500, places=6).map(
    lambda amount: Quantity(amount, "KGM")
)


@given(commands, totals)
def test_quantity_is_conserved_over_any_history(
    history: list[tuple[str, int, str, list[tuple[Decimal, str]]]], total: Quantity
) -> None:
    world = lived(history, total)
    left = total.amount - world.lost + world.declared
    assert sum(lot.quantity.amount for lot in world.lots.values()) == left
    free = sum(lot.uncommitted.amount for lot in world.lots.values())
    assert free + sum(world.standing.values()) == left
    for lot_id, lot in world.lots.items():
        mine = [amount for (owner, _), amount in world.standing.items() if owner == lot_id]
        assert lot.committed.amount == sum(mine) <= lot.quantity.amount
        assert lot.pending is None or lot.committed.is_zero
    assert all(
        lot.quantity.is_zero
        for lot in world.lots.values()
        if lot.state in (LotState.EMPTY, LotState.DESTROYED)
    )


@given(commands, totals)
def test_replaying_what_was_stored_gives_the_same_state(
    history: list[tuple[str, int, str, list[tuple[Decimal, str]]]], total: Quantity
) -> None:
    world = lived(history, total)
    for lot_id, events in world.histories.items():
        assert replay(map(through_the_store, events)) == world.lots[lot_id]


@given(commands, totals)
def test_what_came_of_a_recalled_lot_is_recalled(
    history: list[tuple[str, int, str, list[tuple[Decimal, str]]]], total: Quantity
) -> None:
    world = lived(history, total)
    for lot in world.lots.values():
        if any(world.lots[parent].state is LotState.RECALLED for parent in lot.parent_lot_ids):
            assert lot.state is LotState.RECALLED


@given(commands, totals)
def test_what_is_on_a_unit_is_where_the_unit_is(
    history: list[tuple[str, int, str, list[tuple[Decimal, str]]]], total: Quantity
) -> None:
    world = lived(history, total)
    for unit_id in {lot.unit_id for lot in world.lots.values() if lot.unit_id}:
        on_it = [lot for lot in world.lots.values() if lot.unit_id == unit_id]
        assert len({(lot.custodian_id, lot.shipment and lot.shipment.shipment_id) for lot in on_it}) == 1
    for lot in world.lots.values():
        assert lot.shipment is None or lot.shipment.from_id == lot.custodian_id


@given(commands, totals)
def test_no_lot_is_its_own_ancestor(
    history: list[tuple[str, int, str, list[tuple[Decimal, str]]]], total: Quantity
) -> None:
    world = lived(history, total)
    order = {lot_id: number for number, lot_id in enumerate(world.lots)}
    for lot in world.lots.values():
        assert all(order[parent] < order[lot.lot_id] for parent in lot.parent_lot_ids)


@given(commands, totals, st.integers(1, 40))
def test_going_on_from_a_snapshot_gives_the_same_state_as_replaying_all(
    history: list[tuple[str, int, str, list[tuple[Decimal, str]]]], total: Quantity, taken_after: int
) -> None:
    world = lived(history, total)
    for lot_id, events in world.histories.items():
        early = replay(events[:taken_after])
        kept = decode_lot(json.loads(json.dumps(encode_lot(early))))
        assert kept == early
        assert replay_from(kept, events[taken_after:]) == world.lots[lot_id]


def through_the_store(event: LotEvent) -> LotEvent:
    """The event after JSON."""
    stored = encode(event)
    recorded = RecordedEvent(
        position=1,
        stream_id=stream_of(event.lot_id),
        version=1,
        type=stored.type,
        schema_version=stored.schema_version,
        data=json.loads(json.dumps(stored.data)),
        meta={},
        event_id="",
        recorded_at=NOW,
    )
    return decode(recorded)


@given(commands, totals)
def test_who_blocks_and_frees_lots_by_the_recalls_told_of_them_blocks_just_the_recalled_ones(
    history: list[tuple[str, int, str, list[tuple[Decimal, str]]]], total: Quantity
) -> None:
    world = lived(history, total)
    assert world.blocks == {(lot.lot_id, lot.recall_id) for lot in world.lots.values() if lot.recalled}
