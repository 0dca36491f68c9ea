"""A season of lots, stock, menus and orders as the messages that trace receives."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message

from chassis.inbox import ReceivedEvent
from chassis.protobuf import timestamp_to_proto
from greenledger.catalog.v1 import catalog_pb2
from greenledger.catalog.v1 import events_pb2 as catalog
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2, epcis_pb2
from greenledger.crops.v1 import events_pb2 as crops
from greenledger.inventory.v1 import events_pb2 as inventory
from greenledger.inventory.v1 import inventory_pb2
from greenledger.orders.v1 import events_pb2 as orders

START = datetime(2026, 6, 1, tzinfo=UTC)


def kg(amount: int) -> Quantity:
    return Quantity(amount=str(amount), unit_code="KGM")


@dataclass
class Story:
    """Messages in the order in which they happened."""

    events: list[ReceivedEvent[Message]] = field(default_factory=list)

    def tell(self, topic: str, key: str, payload: Message) -> None:
        at = START + timedelta(minutes=len(self.events))
        before = sum(1 for event in self.events if (event.type, event.aggregate_id) == (topic, key))
        self.events.append(
            ReceivedEvent(
                event_id=f"event-{len(self.events)}",
                type=topic,
                schema_version=1,
                aggregate_type=topic.partition(".")[0],
                aggregate_id=key,
                key_sequence=before + 1,
                occurred_time=at,
                recorded_time=at,
                actor="",
                correlation_id="",
                causation_id="",
                traceparent="",
                producer="",
                payload=payload,
            )
        )

    def mint(
        self, lot: str, amount: int, parent: str = "", product: str = "romaine", owner: str = "farm"
    ) -> None:
        payload = crops.LotMinted(
            lot_id=lot,
            lot_code=f"code-{lot}",
            product_code=product,
            quantity=kg(amount),
            grower_id="farm",
            owner_id="farm",
            origin=crops_pb2.Origin(farm_name="Salinas"),
            harvest_time=timestamp_to_proto(START),
            parent_lot_id=parent,
        )
        self.tell("crop.minted", lot, payload)

    def transfer(self, lot: str, number: int, owner: str) -> None:
        payload = crops.LotTransferred(
            lot_id=lot, new_owner_id=owner, transfer_number=number, reference_document=f"BOL-{number}"
        )
        self.tell("crop.transferred", lot, payload)

    def split(self, lot: str, remaining: int, **parts: int) -> None:
        self.tell("crop.split", lot, crops.LotSplit(lot_id=lot, part_lot_ids=parts, remaining=kg(remaining)))
        for part, amount in parts.items():
            self.mint(part, amount, parent=lot)

    def transform(self, made: str, amount: int, **remaining: int) -> None:
        """One lot of several, of which so much is left."""
        payload = crops.LotTransformed(
            transformation_id=f"t-{made}",
            inputs=[
                crops_pb2.TransformedInput(lot_id=lot, remaining=kg(left)) for lot, left in remaining.items()
            ],
            outputs=[crops_pb2.TransformedOutput(lot_id=made, quantity=kg(amount))],
        )
        self.tell("crop.transformed", payload.transformation_id, payload)
        self.mint(made, amount)

    def recall(self, *lots: str, recall: str = "") -> None:
        for lot in lots:
            payload = crops.LotRecalled(lot_id=lot, root_lot_id=lots[0], recall_id=recall)
            self.tell("crop.recalled", lot, payload)

    def end_recall(self, *lots: str, recall: str = "") -> None:
        for lot in lots:
            payload = crops.LotRecallReleased(lot_id=lot, root_lot_id=lots[0], recall_id=recall)
            self.tell("crop.recall-released", lot, payload)

    def hold(self, lot: str) -> None:
        self.tell("crop.held", lot, crops.LotHeld(lot_id=lot, reason="smell"))

    def end_hold(self, lot: str) -> None:
        self.tell("crop.hold-released", lot, crops.LotHoldReleased(lot_id=lot, reason="fine"))

    def destroy(self, lot: str, amount: int, remaining: int) -> None:
        payload = crops.LotDestroyed(lot_id=lot, quantity=kg(amount), remaining=kg(remaining))
        self.tell("crop.destroyed", lot, payload)

    def sell(self, lot: str, amount: int, remaining: int) -> None:
        payload = crops.LotSold(lot_id=lot, quantity=kg(amount), remaining=kg(remaining))
        self.tell("crop.sold", lot, payload)

    def serve(self, lot: str, amount: int, remaining: int) -> None:
        payload = crops.LotServed(lot_id=lot, quantity=kg(amount), remaining=kg(remaining), servings=1)
        self.tell("crop.served", lot, payload)

    def correct(
        self, lot: str, amount: int | None = None, event: str = "wrong", right: Sequence[str] = ()
    ) -> None:
        payload = crops.LotCorrected(
            lot_id=lot,
            event_id=event,
            reason="typo",
            corrective_event_ids=right,
            quantity=None if amount is None else kg(amount),
        )
        self.tell("crop.corrected", lot, payload)

    @property
    def last(self) -> str:
        """The id of the newest event."""
        return self.events[-1].event_id

    def commit(self, lot: str, commitment: str, amount: int, venue: str) -> None:
        payload = crops.LotQuantityCommitted(
            lot_id=lot, commitment_id=commitment, quantity=kg(amount), venue_id=venue
        )
        self.tell("crop.quantity-committed", lot, payload)

    def take_back(self, lot: str, commitment: str, amount: int) -> None:
        payload = crops.LotQuantityReleased(lot_id=lot, commitment_id=commitment, quantity=kg(amount))
        self.tell("crop.quantity-released", lot, payload)

    def deliver(self, lot: str, commitment: str, amount: int, part: str, owner: str) -> None:
        payload = crops.LotQuantityDelivered(
            lot_id=lot,
            commitment_id=commitment,
            quantity=kg(amount),
            delivered_lot_id=part,
            new_owner_id=owner,
        )
        self.tell("crop.quantity-delivered", lot, payload)

    def take_custody(self, lot: str, custodian: str) -> None:
        payload = crops.LotCustodyChanged(lot_id=lot, custodian_id=custodian)
        self.tell("crop.custody-changed", lot, payload)

    def ship(self, lot: str, shipment: str, to: str, amount: int = 0, unit: str = "") -> None:
        payload = crops.LotShipped(
            lot_id=lot, shipment_id=shipment, from_id="farm", to_id=to, unit_id=unit, occasion=self.now()
        )
        if amount:
            payload.quantity.CopyFrom(kg(amount))
        self.tell("crop.shipped", lot, payload)

    def void(self, lot: str, shipment: str) -> None:
        payload = crops.LotShipmentVoided(lot_id=lot, shipment_id=shipment, occasion=self.now())
        self.tell("crop.shipment-voided", lot, payload)

    def arrive(self, lot: str, shipment: str, receiver: str, amount: int) -> None:
        payload = crops.LotArrived(
            lot_id=lot,
            shipment_id=shipment,
            from_id="farm",
            receiver_id=receiver,
            quantity=kg(amount),
            occasion=self.now(),
        )
        self.tell("crop.arrived", lot, payload)

    def move(self, lot: str, shipment: str) -> None:
        payload = crops.LotTransportUpdated(
            lot_id=lot,
            shipment_id=shipment,
            stage=crops_pb2.TRANSPORT_STAGE_DEPARTING,
            occasion=self.now(),
        )
        self.tell("crop.transport-updated", lot, payload)

    def pack(self, unit: str, *lots: str) -> None:
        payload = crops.UnitPacked(unit_id=unit, lot_ids=lots, packed_by="farm", occasion=self.now())
        self.tell("crop.unit-packed", unit, payload)

    def unpack(self, unit: str, *lots: str) -> None:
        payload = crops.UnitUnpacked(unit_id=unit, lot_ids=lots, unpacked_by="farm", occasion=self.now())
        self.tell("crop.unit-unpacked", unit, payload)

    def observe(self, lot: str, *readings: crops_pb2.SensorReading, cooling: bool = False) -> None:
        payload = crops.LotObserved(
            lot_id=lot, observed_by="farm", cooling=cooling, readings=readings, occasion=self.now()
        )
        self.tell("crop.observed", lot, payload)

    def capture(
        self,
        name: str,
        kind: str,
        action: str = "",
        parent: str = "",
        by: str = "",
        *,
        step: str = "",
        to: str = "",
        documents: Sequence[str] = (),
        readings: Sequence[crops_pb2.SensorReading] = (),
        wrong: bool = False,
        **goods: list[str],
    ) -> None:
        """What a partner reported; a name of two letters or less is a lot of ours."""
        payload = crops.EpcisEventCaptured(
            event_id=name,
            type=kind,
            action=action,
            parent_id=parent,
            captured_by=by,
            biz_step=step,
            destinations=[epcis_pb2.EpcisSide(type="possessing_party", id=to)] if to else [],
            documents=documents,
            readings=readings,
            declared_wrong=wrong,
            event_time=timestamp_to_proto(START + timedelta(minutes=len(self.events))),
            transformation_id=name.partition("/")[0] if "/" in name else "",
        )
        for part, names in goods.items():
            getattr(payload, part).extend(
                epcis_pb2.EpcisGoods(epc=f"urn:{each}", lot_id=each if len(each) < 3 else "")
                for each in names
            )
        self.tell("crop.epcis-captured", name, payload)

    def end_quarantine(self, stock: str, venue: str, lot: str) -> None:
        payload = inventory.QuarantineLifted(stock_item_id=stock, venue_id=venue, lot_id=lot)
        self.tell("inventory.quarantine-lifted", stock, payload)

    def now(self) -> crops_pb2.Occasion:
        """Where and when the next event happens."""
        return crops_pb2.Occasion(
            event_time=timestamp_to_proto(START + timedelta(minutes=len(self.events))),
            utc_offset="-07:00",
            read_point="4012345000009",
            documents=[
                crops_pb2.BusinessDocument(type=crops_pb2.DOCUMENT_TYPE_BOL, document_id="BOL 7"),
            ],
        )

    def receive(self, stock: str, venue: str, lot: str, amount: int) -> None:
        payload = inventory.StockReceived(
            stock_item_id=stock, venue_id=venue, lot_id=lot, quantity=kg(amount)
        )
        self.tell("inventory.received", stock, payload)

    def quarantine(self, stock: str, venue: str, lot: str) -> None:
        payload = inventory.StockQuarantined(stock_item_id=stock, venue_id=venue, lot_id=lot)
        self.tell("inventory.quarantined", stock, payload)

    def venue(self, venue: str) -> None:
        self.tell(
            "catalog.venue-created",
            venue,
            catalog.VenueCreated(venue_id=venue, owner_id=f"owner-{venue}", name=f"Chez {venue}"),
        )

    def menu(self, item: str, venue: str, revision: int, product: str = "", lot: str = "") -> None:
        ingredient = catalog_pb2.Ingredient(quantity=kg(1))
        if lot:
            ingredient.lot_id = lot
        else:
            ingredient.product_code = product
        payload = catalog.MenuItemChanged(
            menu_item_id=item,
            venue_id=venue,
            name=f"{item} {revision}",
            ingredients=[ingredient],
            revision=revision,
        )
        self.tell("catalog.menu-item-changed", item, payload)

    def place(self, order: str, guest: str, venue: str) -> None:
        payload = orders.OrderPlaced(order_id=order, guest_id=guest, venue_id=venue)
        self.tell("order.placed", order, payload)

    def reserve(self, order: str, venue: str, *taken: tuple[str, str, str]) -> None:
        """Each taken: stock item, lot, menu item."""
        payload = inventory.StockReserved(order_id=order, venue_id=venue, allocations=map(allocation, taken))
        self.tell("inventory.reserved", order, payload)

    def release(self, order: str, venue: str) -> None:
        payload = inventory.ReservationReleased(order_id=order, venue_id=venue)
        self.tell("inventory.released", order, payload)

    def consume(self, order: str, venue: str, *taken: tuple[str, str, str]) -> None:
        payload = inventory.StockConsumed(order_id=order, venue_id=venue, allocations=map(allocation, taken))
        self.tell("inventory.consumed", order, payload)

    def confirm(self, order: str, guest: str, venue: str) -> None:
        payload = orders.OrderConfirmed(order_id=order, guest_id=guest, venue_id=venue)
        self.tell("order.confirmed", order, payload)

    def fulfil(self, order: str, guest: str, venue: str) -> None:
        payload = orders.OrderFulfilled(order_id=order, guest_id=guest, venue_id=venue)
        self.tell("order.fulfilled", order, payload)

    def fail(self, order: str, guest: str, venue: str) -> None:
        payload = orders.OrderFailed(order_id=order, guest_id=guest, venue_id=venue, reason="?")
        self.tell("order.failed", order, payload)


def celsius(value: str, minute: int, device: str = "") -> crops_pb2.SensorReading:
    """A temperature so many minutes after the start."""
    return crops_pb2.SensorReading(
        type=crops_pb2.SENSOR_TYPE_TEMPERATURE,
        unit_code="CEL",
        time=timestamp_to_proto(START + timedelta(minutes=minute)),
        value=value,
        device_id=device,
    )


def allocation(taken: tuple[str, str, str]) -> inventory_pb2.Allocation:
    stock, lot, item = taken
    return inventory_pb2.Allocation(stock_item_id=stock, lot_id=lot, menu_item_id=item, quantity=kg(1))


def season() -> Story:
    """Lot A is split, sold on and eaten; B is another product; a bystander C is untouched by A's recall."""
    story = Story()
    story.venue("v1")
    story.venue("v2")
    made(story)
    served(story)
    story.recall("a", "a1", "a2", "a3")
    story.quarantine("s1", "v1", "a1")
    story.quarantine("s2", "v2", "a2")
    travel(story)
    return story


def made(story: Story) -> None:
    """The lots: harvested, split, sold on, transformed."""
    story.mint("a", 100)
    story.mint("b", 50, product="kale")
    story.mint("c", 50)
    story.split("a", 60, a1=40)
    story.transfer("a1", 1, "owner-v1")
    story.split("a1", 30, a2=10)
    story.split("a", 50, a3=10)
    story.transfer("a1", 2, "trader")
    story.transfer("a1", 3, "owner-v1")
    story.transfer("c", 1, "owner-v2")
    story.mint("d", 50)
    story.mint("e", 50)
    story.split("d", 40, d1=10)
    story.transform("mix", 60, d=10, e=20)
    story.split("d", 5, d2=5)


def served(story: Story) -> None:
    """The lots in stock, on menus and in orders."""
    story.receive("s1", "v1", "a1", 30)
    story.receive("s2", "v2", "a2", 10)
    story.receive("s3", "v2", "c", 50)
    story.receive("s4", "v1", "b", 50)
    story.menu("salad", "v1", 1, product="kale")
    story.menu("salad", "v1", 2, product="romaine")
    story.menu("kale-soup", "v1", 1, product="kale")
    story.menu("special", "v2", 1, lot="a2")
    story.menu("special-of-c", "v2", 1, lot="c")
    story.place("eaten", "g1", "v1")
    story.reserve("eaten", "v1", ("s1", "a1", "salad"), ("s4", "b", "salad"))
    story.confirm("eaten", "g1", "v1")
    story.consume("eaten", "v1", ("s1", "a1", "salad"), ("s4", "b", "salad"))
    story.fulfil("eaten", "g1", "v1")
    story.place("open", "g2", "v2")
    story.reserve("open", "v2", ("s2", "a2", "special"))
    story.confirm("open", "g2", "v2")
    story.place("again", "g1", "v1")
    story.reserve("again", "v1", ("s1", "a1", "salad"))
    story.place("released", "g3", "v1")
    story.reserve("released", "v1", ("s1", "a1", "salad"))
    story.release("released", "v1")
    story.fail("released", "g3", "v1")
    story.place("failed", "g4", "v1")
    story.reserve("failed", "v1", ("s1", "a1", "salad"))
    story.fail("failed", "g4", "v1")
    story.place("other", "g5", "v2")
    story.reserve("other", "v2", ("s3", "c", "special-of-c"))


def travel(story: Story) -> None:
    """How goods of B, C, D and E move, apart from A and whom it reached."""
    story.commit("b", "k1", 50, "v1")
    story.commit("b", "k2", 5, "v1")
    story.serve("b", 1, 49)
    story.take_back("b", "k2", 5)
    story.take_custody("c", "carrier")
    story.ship("c", "to-v2", "owner-v2", 50)
    story.move("c", "to-v2")
    story.arrive("c", "to-v2", "owner-v2", 49)
    story.pack("sscc", "d1", "d2")
    story.ship("d1", "on-the-way", "owner-v1", 10, unit="sscc")
    story.unpack("sscc", "d2")
    story.ship("d2", "never", "owner-v1", 5)
    story.void("d2", "never")
    story.hold("d2")
    story.end_hold("d2")
    story.hold("e")
    story.observe("e", celsius("4", 0), celsius("9", 10), cooling=True)
    story.destroy("e", 5, 15)
    story.correct("e", 16)
    story.destroy("e", 16, 0)
    story.sell("d2", 2, 3)
    story.recall("mix", recall="r1")
    story.recall("mix", recall="r2")
    story.end_recall("mix", recall="r1")
    story.recall("c", "b")
    story.end_recall("c", "b")
    story.capture("t1", "TransformationEvent", inputs=["d1", "foreign"], outputs=["soup"])
    story.capture("t2/in", "TransformationEvent", inputs=["soup"])
    story.capture("t2/out", "TransformationEvent", outputs=["f"])
    story.capture("a1", "AggregationEvent", action="ADD", parent="crate", goods=["f", "soup"])
    story.capture("a2", "AggregationEvent", action="DELETE", parent="crate", goods=["soup"])
    story.capture("o1", "ObjectEvent", action="OBSERVE", goods=["f"])
    story.capture(
        "o2", "ObjectEvent", "OBSERVE", step="shipping", goods=["soup"], readings=[celsius("9", 80)]
    )
    story.capture("o3", "ObjectEvent", "OBSERVE", step="receiving", goods=["soup"])
    story.capture("o3", "ObjectEvent", "OBSERVE", step="receiving", goods=["soup"], wrong=True)
    story.receive("s5", "v1", "mix", 10)
    story.quarantine("s5", "v1", "mix")
    story.end_quarantine("s5", "v1", "mix")
    story.commit("d2", "k3", 1, "v1")
    story.deliver("d2", "k3", 1, "d3", "buyer")
