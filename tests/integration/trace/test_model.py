"""Whatever happens to lots, and in whatever order it is heard, the answers are those of a plain model."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.trace.domain.scope import ScopeKind
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import Story
from tests.integration.trace.test_answers import AUDITOR
from tests.integration.trace.test_order_of_arrival import shuffled


@dataclass
class Model:
    """A ledger as a few sets, and the story that is told of it."""

    story: Story = field(default_factory=Story)
    lots: list[str] = field(default_factory=list)
    children: dict[str, set[str]] = field(default_factory=dict)
    unit_of: dict[str, str] = field(default_factory=dict)
    open_shipments: dict[tuple[str, str], str] = field(default_factory=dict)
    shipped: set[tuple[str, str]] = field(default_factory=set)
    custodian: dict[str, str] = field(default_factory=dict)
    shipments: int = 0

    def new(self) -> str:
        self.lots.append(f"lot-{len(self.lots):03}")
        self.children[self.lots[-1]] = set()
        self.custodian[self.lots[-1]] = "farm"
        return self.lots[-1]

    def mint(self, rng: random.Random) -> None:
        self.story.mint(self.new(), 100)

    def split(self, rng: random.Random) -> None:
        lot, part = rng.choice(self.lots), self.new()
        self.story.split(lot, 10, **{part: 1})
        self.children[lot].add(part)

    def transform(self, rng: random.Random) -> None:
        inputs = rng.sample(self.lots, min(len(self.lots), rng.randint(1, 4)))
        made = self.new()
        self.story.transform(made, 10, **dict.fromkeys(inputs, 5))
        for lot in inputs:
            self.children[lot].add(made)

    def circle(self, rng: random.Random) -> None:
        """What no ledger would take: a lot that is told to be made of its own descendant."""
        lot, other = rng.choice(self.lots), rng.choice(self.lots)
        self.story.split(lot, 5)
        self.story.events[-1].payload.part_lot_ids.append(other)  # type: ignore[attr-defined]
        self.children[lot].add(other)

    def pack(self, rng: random.Random) -> None:
        unit, lots = rng.choice("UVW"), rng.sample(self.lots, min(len(self.lots), 3))
        free = [lot for lot in lots if lot not in self.unit_of]
        if free:
            self.story.pack(unit, *free)
            self.unit_of.update(dict.fromkeys(free, unit))

    def unpack(self, rng: random.Random) -> None:
        if self.unit_of:
            lot = rng.choice(sorted(self.unit_of))
            self.story.unpack(self.unit_of.pop(lot), lot)

    def ship(self, rng: random.Random) -> None:
        lot = rng.choice(self.lots)
        self.shipments += 1
        name = f"shipment-{self.shipments}"
        unit = self.unit_of.get(lot, "")
        self.story.ship(lot, name, "shop", unit=unit)
        self.open_shipments[name, lot] = unit
        self.shipped.add((name, lot))

    def end(self, rng: random.Random) -> None:
        if self.open_shipments:
            name, lot = rng.choice(sorted(self.open_shipments))
            del self.open_shipments[name, lot]
            if rng.random() < 0.5:
                self.story.void(lot, name)
            else:
                self.story.arrive(lot, name, "shop", 1)
                self.custodian[lot] = "shop"

    def reach(self, lot: str, ways: dict[str, set[str]]) -> set[str]:
        found, todo = {lot}, [lot]
        while todo:
            for other in ways.get(todo.pop(), set()) - found:
                found.add(other)
                todo.append(other)
        return found

    def parents(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for lot, made in self.children.items():
            for other in made:
                found.setdefault(other, set()).add(lot)
        return found

    def moving(self, lots: set[str]) -> set[tuple[str, str]]:
        found = {key for key in self.open_shipments if key[1] in lots}
        for (name, _), unit in self.open_shipments.items():
            beside = {lot for lot in lots if unit and self.unit_of.get(lot) == unit}
            found |= {(name, lot) for lot in beside if (name, lot) not in self.shipped}
        return found


STEPS: list[Callable[[Model, random.Random], None]] = [
    Model.mint,
    Model.split,
    Model.split,
    Model.transform,
    Model.circle,
    Model.pack,
    Model.unpack,
    Model.ship,
    Model.end,
]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rng=st.randoms(use_true_random=False),
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=40),
)
async def test_back_and_forward_are_those_of_a_plain_model(
    trace: Trace, rng: random.Random, steps: list[Callable[[Model, random.Random], None]]
) -> None:
    model = Model()
    model.mint(rng)
    for step in steps:
        step(model, rng)
    await trace.forget()
    await trace.hear(shuffled(model.story.events, rng), at_once=5)
    position, parents = await trace.scopes.position(0), model.parents()
    for lot in rng.sample(model.lots, min(len(model.lots), 4)):
        below = model.reach(lot, model.children)
        scope = await trace.scopes.summary(AUDITOR, lot)
        assert {each.lot_id for each in scope.lots} == below
        assert set(scope.custodian_ids) == {model.custodian[each] for each in below}
        listed = await trace.scopes.entries(AUDITOR, lot, position, ScopeKind.SHIPMENT, None, 1000)
        assert {(each.place.entry_id, each.place.lot_id) for each in listed} == model.moving(below)
        assert scope.counts.shipments == len(listed)
        journey = await trace.ask.lot(lot)
        assert {each.lot_id for each in journey.ancestors} == model.reach(lot, parents) - {lot}
        assert {each.lot_id: each.unit_id for each in journey.descendants} == {
            each: model.unit_of.get(each, "") for each in below - {lot}
        }
