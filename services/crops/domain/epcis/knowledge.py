"""What is known while a batch of events is taken in: `known.learn` with its cost bound to each event."""

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from services.crops.domain.epcis.facts import EventFacts, Role
from services.crops.domain.epcis.known import GoodKnown, Known, learn

MOST_ANCESTORS: Final = 2000
"""So many ancestors of a good are looked at for a circle; a hostile history could have any number."""
MOST_LOOKED_AT: Final = 50_000
"""The same for all inputs of one event."""
_STEP: Final = "step "
"""Begins the name of a transformation between its inputs and its outputs; no URI has a blank."""

Pair = tuple[str, str]


class Knowledge:
    """Starts from what a repository has about the goods of a batch; tells afterwards what has changed.

    Args:
        goods: canonical id -> what is known.
        held: (child, parent) of open aggregations.
        made_of: (output, transformation) and (transformation, input), as far up as the inputs of the batch
            reach; through the transformation, since each output with each input could be billions.
        bills: (bill of lading, party that used it).
    """

    def __init__(
        self,
        goods: Mapping[str, GoodKnown] | None = None,
        held: Iterable[Pair] = (),
        made_of: Iterable[Pair] = (),
        bills: Iterable[Pair] = (),
    ) -> None:
        self.goods = dict(goods or {})
        self.held = set(held)
        self.made_of = set(made_of)
        self.bills = set(bills)
        self.held_before = frozenset(self.held)
        self.made_of_before = frozenset(self.made_of)
        self.bills_before = frozenset(self.bills)
        self.changed: set[str] = set()
        """Goods of which something new is known."""
        self._parents = _grouped(self.held)
        self._children = _grouped((parent, child) for child, parent in self.held)
        self._inputs = _grouped(self.made_of)
        self._parties = _grouped(self.bills)

    def about(self, event: EventFacts) -> Known:
        """What is known of everything that an event names."""
        children = {good.id for good in event.of(Role.CHILD)}
        if event.action == "DELETE" and event.parent and not children:
            children = set(self._children.get(event.parent, ()))
        return Known(
            {good.id: self.goods[good.id] for good in event.goods if good.id in self.goods},
            {child: frozenset(self._parents.get(child, ())) for child in children},
            self._descent(event),
            {
                bill: frozenset(self._parties.get(bill, ()))
                for kind, bill in event.transactions
                if kind == "bol"
            },
        )

    def learn(self, event: EventFacts, before: Known) -> None:
        """Take an event in.

        Args:
            event: the event.
            before: what `about` said of it.
        """
        after = learn(before, event)
        if after is before:
            return
        self.goods.update(after.goods)
        self.changed.update(after.goods)
        for child, parents in after.parents.items():
            self._hold(child, parents)
        for bill, parties in after.bill_parties.items():
            self.bills.update((bill, party) for party in parties)
            self._parties[bill] = set(parties)
        step, inputs = _STEP + event.event_hash, {good.id for good in event.of(Role.INPUT)}
        outputs = {good.id for good in event.of(Role.OUTPUT)} if inputs else set()
        for output in outputs:
            self.made_of.add((output, step))
            self._inputs.setdefault(output, set()).add(step)
        if outputs:
            self.made_of.update((step, each) for each in inputs)
            self._inputs[step] = inputs

    def _hold(self, child: str, parents: frozenset[str]) -> None:
        for gone in self._parents.get(child, set()) - parents:
            self.held.discard((child, gone))
            self._children.get(gone, set()).discard(child)
        for parent in parents:
            self.held.add((child, parent))
            self._children.setdefault(parent, set()).add(child)
        self._parents[child] = set(parents)

    def _descent(self, event: EventFacts) -> dict[str, frozenset[str]]:
        found, left = {}, MOST_LOOKED_AT
        for good in event.of(Role.INPUT):
            found[good.id] = self._ancestors(good.id, min(left, MOST_ANCESTORS))
            left -= len(found[good.id])
        return found

    def _ancestors(self, good: str, most: int) -> frozenset[str]:
        found: set[str] = set()
        ahead = deque([good])
        while ahead and len(found) < most:
            above = self._inputs.get(ahead.popleft(), set())
            new = set(islice((each for each in above if each not in found), most - len(found)))
            found |= new
            ahead.extend(new)
        return frozenset(found)


def _grouped(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, set()).add(value)
    return groups
