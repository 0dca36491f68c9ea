"""Whatever arrives, is repeated, skipped, poisoned, replayed or discarded: the effects of a key are its
events in order, each once."""

import asyncio
from collections import defaultdict
from itertools import count

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from chassis.clock import SystemClock
from chassis.database import Database, Transaction
from chassis.errors import FailedPrecondition
from chassis.inbox import INBOX_V1, ConsumerSettings, ReceivedEvent, Subscription
from chassis.inbox.applier import Applier
from chassis.inbox.events import Delivery, Record, decode
from chassis.inbox.key_queues import Run
from chassis.inbox.parked import ParkedEvents
from chassis.testing import PostgresServer
from chassis.testing.messaging import EFFECT, TOPIC, raw_event, recorder

pytestmark = pytest.mark.slow

KEYS = st.sampled_from("ab")
_names = count(1)


class Inbox(RuleBasedStateMachine):
    """Drives the inbox's transactions against a model that knows what must have happened."""

    loop: asyncio.AbstractEventLoop
    db: Database

    @initialize()
    def begin(self) -> None:
        self.group = f"sink-{next(_names)}"
        self.poison: set[tuple[str, int]] = set()
        self.applied: dict[str, list[int]] = defaultdict(list)
        self.position: dict[str, int] = defaultdict(int)
        self.parked: dict[str, list[int]] = defaultdict(list)
        write = recorder(self.group)

        async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
            await write(event, tx)
            if (event.aggregate_id, event.key_sequence) in self.poison:
                raise ValueError("poison")

        subscriptions = {TOPIC: Subscription(TOPIC, StringValue, handler)}
        self.applier = Applier(self.db, self.group, subscriptions, ConsumerSettings())
        self.lot = ParkedEvents(self.db, self.applier, subscriptions, SystemClock())

    @rule(key=KEYS, sequence=st.integers(1, 12))
    def poison_an_event(self, key: str, sequence: int) -> None:
        self.poison.add((key, sequence))

    @rule(key=KEYS)
    def heal(self, key: str) -> None:
        self.poison = {at for at in self.poison if at[0] != key}

    @rule(key=KEYS, ahead=st.integers(-3, 2), length=st.integers(1, 4))
    def deliver(self, key: str, ahead: int, length: int) -> None:
        first = max(1, self.position[key] + 1 + ahead)
        self.deliver_run(key, list(range(first, first + length)))

    @rule(lengths=st.dictionaries(KEYS, st.integers(1, 3), min_size=2))
    def deliver_batch(self, lengths: dict[str, int]) -> None:
        runs = {
            key: list(range(self.position[key] + 1, self.position[key] + 1 + n)) for key, n in lengths.items()
        }
        if any((key, number) in self.poison for key, numbers in runs.items() for number in numbers):
            try:
                self.await_(self.applier.apply([_run(key, numbers) for key, numbers in runs.items()]))
            except ValueError:
                return  # all or nothing: the model stays
            # Poison behind a parked event is not looked at.
        else:
            self.await_(self.applier.apply([_run(key, numbers) for key, numbers in runs.items()]))
        for key, numbers in runs.items():
            self.expect(key, numbers)

    @rule(key=KEYS)
    def replay(self, key: str) -> None:
        if not self.parked[key]:
            return
        healthy = [number for number in self.parked[key] if (key, number) not in self.poison]
        stuck = [number for number in self.parked[key] if (key, number) in self.poison]
        upto = [number for number in healthy if not stuck or number < stuck[0]]
        try:
            self.await_(self.lot.replay(TOPIC, key, who="ann", why="test"))
            assert not stuck
        except FailedPrecondition:
            assert stuck
        self.applied[key].extend(upto)
        self.parked[key] = self.parked[key][len(upto) :]

    @rule(key=KEYS)
    def discard(self, key: str) -> None:
        if self.parked[key]:
            event_id = f"{key}-{self.parked[key].pop(0)}"
            self.await_(self.lot.discard(TOPIC, key, event_id, who="ann", why="test"))

    @invariant()
    def effects_are_what_the_model_says(self) -> None:
        rows = self.await_(
            self.db.fetch("SELECT key, seq FROM effect WHERE consumer = $1 ORDER BY id", self.group)
        )
        found: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            found[row["key"]].append(row["seq"])
        assert found == {key: numbers for key, numbers in self.applied.items() if numbers}

    def deliver_run(self, key: str, numbers: list[int]) -> None:
        """As the workers do: the run at once, and when that fails one at a time, parking what fails."""
        try:
            self.await_(self.applier.apply([_run(key, numbers)]))
            self.expect(key, numbers)
        except ValueError:
            for number in numbers:
                try:
                    self.await_(self.applier.apply([_run(key, [number])]))
                    self.expect(key, [number])
                except ValueError:
                    self.await_(self.applier.park(_run(key, [number]), "poison", 1))
                    self.position[key] = number
                    self.parked[key].append(number)

    def expect(self, key: str, numbers: list[int]) -> None:
        if numbers[0] > self.position[key] + 1:
            return
        fresh = [number for number in numbers if number > self.position[key]]
        (self.parked if self.parked[key] else self.applied)[key].extend(fresh)
        self.position[key] = max([self.position[key], *fresh])

    def await_(self, awaitable):  # type: ignore[no-untyped-def]
        return self.loop.run_until_complete(awaitable)


def _run(key: str, numbers: list[int]) -> Run:
    deliveries: list[Delivery] = []
    for number in numbers:
        name, value, headers = raw_event(key, number, str(number))
        deliveries.append(decode(Record(TOPIC, name, value, list(headers.items())), StringValue))
    return Run(deliveries[0].key_id, deliveries)


def test_effects_follow_the_model_whatever_happens(postgres_server: PostgresServer) -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        dsn = loop.run_until_complete(postgres_server.create_database())
        db = loop.run_until_complete(Database.connect(dsn, 2))
        loop.run_until_complete(db.execute(INBOX_V1))
        loop.run_until_complete(db.execute(EFFECT))
        machine = type("BoundInbox", (Inbox,), {"loop": loop, "db": db})
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=60,
                    stateful_step_count=25,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            loop.run_until_complete(db.close())
            loop.run_until_complete(postgres_server.drop_database(dsn))
