"""What an operator can do about parked events."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg
from google.protobuf.message import Message

from chassis.clock import Clock
from chassis.database import Database, Transaction
from chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.inbox.applier import Applier
from chassis.inbox.events import KeyId, Record, Subscription, decode
from chassis.inbox.failures import describe

_OF_KEY = "consumer = $1 AND topic = $2 AND key = $3"


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """A parked event. `position` is its place in the list, for paging."""

    position: int
    consumer: str
    topic: str
    key: str
    key_sequence: int
    event_id: str
    reason: str
    attempts: int
    parked_time: datetime
    source: str
    payload: Message | None = None


class ParkedEvents:
    """Lists, replays and discards the parked events of one consumer. Every action is audited.

    Made by `Consumer`; works whether the consumer runs or not.
    """

    def __init__(
        self, db: Database, applier: Applier, subscriptions: Mapping[str, Subscription[Any]], clock: Clock
    ) -> None:
        self._db = db
        self._applier = applier
        self._consumer = applier.consumer
        self._subscriptions = subscriptions
        self._clock = clock

    async def count_keys(self) -> int:
        """Keys that stand still."""
        sql = "SELECT count(*) FROM parked_key WHERE consumer = $1"
        return int(await self._db.fetchval(sql, self._consumer))

    async def list(self, after: int = 0, limit: int = 100) -> list[ParkedEvent]:
        """Parked events, oldest first.

        Args:
            after: `position` of the last one seen; default from the start.
            limit: at most so many; default 100.
        """
        rows = await self._db.fetch(
            """
            SELECT id, consumer, topic, key, key_seq, event_id, reason, attempts, parked_at, source
            FROM parked_msg WHERE consumer = $1 AND id > $2 ORDER BY id LIMIT $3
            """,
            self._consumer,
            after,
            limit,
        )
        return [ParkedEvent(*row) for row in rows]

    async def of_key(self, topic: str, key: str, limit: int = 100) -> tuple[Sequence[ParkedEvent], int]:
        """The first parked events of a key, in the order of a replay, and how many there are in all.

        They have their content in `payload`, except where it cannot be decoded; `reason` says so.

        Args:
            topic, key: the parked key.
            limit: at most so many; default 100.

        Raises:
            NotFound: the key is not parked.
        """
        rows = await self._db.fetch(
            f"""
            SELECT id, consumer, topic, key, key_seq, event_id, reason, attempts, parked_at, source,
                   headers, envelope, count(*) OVER () AS total
            FROM parked_msg WHERE {_OF_KEY} ORDER BY source, key_seq, id LIMIT $4
            """,
            self._consumer,
            topic,
            key,
            limit,
        )
        if not rows:
            raise self._not_parked(topic, key)
        events = [replace(ParkedEvent(*row[:10]), payload=self._payload(topic, key, row)) for row in rows]
        return events, rows[0]["total"]

    async def replay(self, topic: str, key: str, *, who: str, why: str) -> int:
        """Apply a key's parked events in order, each in its own transaction, and set the key free.

        Args:
            topic, key: the parked key.
            who: subject of the operator; why: in his words.

        Returns:
            How many were applied.

        Raises:
            NotFound: the key is not parked.
            FailedPrecondition: an event failed again; it and those behind it stay parked.
        """
        sources = await self._db.fetch(
            f"SELECT source FROM parked_key WHERE {_OF_KEY}", self._consumer, topic, key
        )
        if not sources:
            raise self._not_parked(topic, key)
        await self._audit(self._db, topic, key, who, "replay", why)
        applied = 0
        for row in sources:
            key_id = KeyId(topic, key, row["source"])
            while await self._replay_first(key_id):
                applied += 1
        return applied

    async def discard(self, topic: str, key: str, event_id: str, *, who: str, why: str) -> None:
        """Give up on the first parked event of a key; those behind it wait for `replay`.

        Raises:
            NotFound: no such event is parked.
            FailedPrecondition: it is not the first of its key.
        """
        async with self._db.transaction() as tx:
            row = await tx.fetchrow(
                f"SELECT source, key_seq FROM parked_msg WHERE {_OF_KEY} AND event_id = $4",
                self._consumer,
                topic,
                key,
                event_id,
            )
            if row is None:
                raise NotFound("PARKED_EVENT_NOT_FOUND", f"Event {event_id} of key {key} is not parked.")
            key_id = KeyId(topic, key, row["source"])
            if row["key_seq"] > 0:
                first = await self._lock_first(tx, key_id)
                if first is None or first["event_id"] != event_id:
                    raise FailedPrecondition("NOT_FIRST_PARKED", "Only a key's first parked event can go.")
            await tx.execute(
                f"DELETE FROM parked_msg WHERE {_OF_KEY} AND event_id = $4",
                self._consumer,
                topic,
                key,
                event_id,
            )
            await self._free_when_empty(tx, key_id)
            await self._audit(tx, topic, key, who, f"discard event {event_id}", why)

    async def skip_to(self, topic: str, key: str, source: str, sequence: int, *, who: str, why: str) -> None:
        """Move a key on, so that the next event applied is `sequence`.

        A key that waits for events which nobody has any more goes on. Of a parked key the events before
        `sequence` are given up; those from there on wait for `replay`.

        Args:
            topic, key: the key.
            source: the producer; empty where only one is known.
            sequence: of the event to be applied next.

        Raises:
            NotFound: no source is given, and nothing of this key ever arrived.
            InvalidArgument: no source is given, and several have events of this key.
            FailedPrecondition: nothing here handles the topic, or the key is there already.
        """
        if topic not in self._subscriptions:
            raise FailedPrecondition("TOPIC_NOT_SUBSCRIBED", f"Nothing here handles {topic}.")
        async with self._db.transaction() as tx:
            key_id = KeyId(topic, key, source or await self._only_source(tx, topic, key))
            await self._lock_first(tx, key_id)
            given_up = await tx.fetch(
                f"""
                DELETE FROM parked_msg WHERE {_OF_KEY} AND source = $4 AND key_seq BETWEEN 1 AND $5
                RETURNING event_id
                """,
                self._consumer,
                *key_id,
                sequence - 1,
            )
            moved = await tx.execute(
                """
                INSERT INTO inbox_key AS i (consumer, topic, key, source, last_seq)
                VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (consumer, topic, key, source) DO UPDATE SET last_seq = excluded.last_seq
                WHERE i.last_seq < excluded.last_seq
                """,
                self._consumer,
                *key_id,
                sequence - 1,
            )
            if moved != "INSERT 0 1" and not given_up:
                raise FailedPrecondition("KEY_CANNOT_SKIP", "The key is there already.")
            await self._free_when_empty(tx, key_id)
            lost = f", giving up {len(given_up)} parked events" if given_up else ""
            await self._audit(tx, topic, key, who, f"skip to {sequence}{lost}", why)

    async def _only_source(self, tx: Transaction, topic: str, key: str) -> str:
        rows = await tx.fetch(
            f"SELECT source FROM inbox_key WHERE {_OF_KEY} ORDER BY source", self._consumer, topic, key
        )
        if not rows:
            raise self._not_parked(topic, key)
        if len(rows) > 1:
            known = ", ".join(row["source"] for row in rows)
            raise InvalidArgument("SOURCE_AMBIGUOUS", f"Several producers have this key: {known}. Name one.")
        return str(rows[0]["source"])

    def _payload(self, topic: str, key: str, row: asyncpg.Record) -> Message | None:
        subscription = self._subscriptions.get(topic)
        if subscription is None:
            return None
        record = Record(topic, key, row["envelope"], list(json.loads(row["headers"]).items()))
        event = decode(record, subscription.payload_type).event
        return None if event is None else event.payload

    async def _replay_first(self, key_id: KeyId) -> bool:
        attempted: asyncpg.Record | None = None
        try:
            async with self._db.transaction() as tx:
                attempted = await self._lock_first(tx, key_id)
                if attempted is not None:
                    await self._handle(tx, key_id, attempted)
                    await tx.execute("DELETE FROM parked_msg WHERE id = $1", attempted["id"])
                await self._free_when_empty(tx, key_id)
        except Exception as error:
            if attempted is None:
                raise
            reason = describe(error)
            await self._note_failure(attempted["id"], reason)
            raise FailedPrecondition(
                "EVENT_STILL_FAILS",
                f"Event {attempted['event_id']} failed again: {reason}",
                metadata={"event_id": attempted["event_id"]},
            ) from error
        return attempted is not None

    async def _handle(self, tx: Transaction, key_id: KeyId, row: asyncpg.Record) -> None:
        subscription = self._subscriptions.get(key_id.topic)
        if subscription is None:
            raise FailedPrecondition("TOPIC_NOT_SUBSCRIBED", f"Nothing here handles {key_id.topic}.")
        record = Record(key_id.topic, key_id.key, row["envelope"], list(json.loads(row["headers"]).items()))
        await self._applier.handle(tx, [decode(record, subscription.payload_type)])

    async def _lock_first(self, tx: Transaction, key_id: KeyId) -> asyncpg.Record | None:
        # The consumer lines events up under this lock, so "none left" stays true until our commit.
        await tx.execute(
            f"SELECT 1 FROM inbox_key WHERE {_OF_KEY} AND source = $4 FOR UPDATE", self._consumer, *key_id
        )
        return await tx.fetchrow(
            f"""
            SELECT id, event_id, headers, envelope FROM parked_msg
            WHERE {_OF_KEY} AND source = $4 AND key_seq > 0 ORDER BY key_seq LIMIT 1
            """,
            self._consumer,
            *key_id,
        )

    async def _free_when_empty(self, tx: Transaction, key_id: KeyId) -> None:
        left = await tx.fetchval(
            f"SELECT EXISTS (SELECT 1 FROM parked_msg WHERE {_OF_KEY} AND source = $4 AND key_seq > 0)",
            self._consumer,
            *key_id,
        )
        if not left:
            of_source = f"{_OF_KEY} AND source = $4"
            await tx.execute(f"DELETE FROM parked_key WHERE {of_source}", self._consumer, *key_id)
            await tx.execute(
                f"UPDATE inbox_key SET parked = false WHERE {of_source}", self._consumer, *key_id
            )

    async def _note_failure(self, position: int, reason: str) -> None:
        await self._db.execute(
            "UPDATE parked_msg SET reason = $2, attempts = attempts + 1 WHERE id = $1", position, reason
        )

    async def _audit(
        self, run: Database | Transaction, topic: str, key: str, who: str, what: str, why: str
    ) -> None:
        await run.execute(
            "INSERT INTO operator_action (subject, who, what, why, at) VALUES ($1, $2, $3, $4, $5)",
            f"inbox/{self._consumer}/{topic}/{key}",
            who,
            what,
            why,
            self._clock.now(),
        )

    def _not_parked(self, topic: str, key: str) -> NotFound:
        return NotFound("PARKED_KEY_NOT_FOUND", f"Key {key} of {topic} is not parked for {self._consumer}.")
