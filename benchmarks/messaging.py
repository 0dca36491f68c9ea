"""Outbox to applied effect: latency at low load, and events per second of relay and consumer in bulk.

Starts its own PostgreSQL and broker. Raw librdkafka producer and consumer run beside for comparison.
Judge by the ratios; the machine and its neighbours move the absolute figures.

    PYTHONPATH=.:gen/python python benchmarks/messaging.py --events 50000 --rate 50 --seconds 10
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog
import uvloop
from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import Producer, TopicPartition
from google.protobuf.wrappers_pb2 import StringValue

from chassis.broker import Broker, BrokerSettings
from chassis.database import Database, Transaction
from chassis.inbox import INBOX_V1, Consumer, ConsumerSettings, ReceivedEvent, Subscription
from chassis.outbox import OUTBOX_V1, Outbox, Relay
from chassis.testing import PostgresServer, eventually
from chassis.testing.broker import BrokerServer
from chassis.testing.messaging import EFFECT, TOPIC, batch_recorder, publication, recorder


class Bench:
    """One database and one broker; each measurement makes its own relays and consumers."""

    def __init__(self, db: Database, broker: Broker, arguments: argparse.Namespace) -> None:
        self.db, self.broker, self.arguments = db, broker, arguments
        self.outbox = Outbox("source")

    async def fill(self, events: int, keys: int) -> float:
        """Commit events to the outbox, 100 a transaction; returns events/s."""
        started = time.perf_counter()
        for first in range(0, events, 100):
            batch = [publication(f"k{n % keys}", str(n)) for n in range(first, min(events, first + 100))]
            async with self.db.transaction() as tx:
                await self.outbox.publish(tx, batch)
        return events / (time.perf_counter() - started)

    async def relay(self, batch_size: int) -> float:
        """Send all of the outbox; events/s from the first batch that the broker confirmed to the last.

        Not from the start of the relay: it waits for its transaction coordinator, half a second at times.
        """
        top = await self.db.fetchval("SELECT max(position) FROM outbox")
        relay = Relay(self.db, self.broker, "source", batch_size=batch_size)
        running = asyncio.create_task(relay.run())
        reached = "SELECT coalesce(max(position), 0) FROM relay_cursor"

        async def beyond(position: int) -> int:
            found = int(await self.db.fetchval(reached))
            return found if found > position else 0

        first = await eventually(lambda: beyond(0), 30, interval_s=0.002)
        started = time.perf_counter()
        await eventually(lambda: beyond(top - 1), 120, interval_s=0.002)
        taken = time.perf_counter() - started
        await relay.stop()
        await running
        return float((top - first) / taken)

    async def consume(self, group: str, events: int, settings: ConsumerSettings, *, batches: bool) -> float:
        """Apply everything on the broker in a new group; events/s from the first to the last effect."""
        seen, first = 0, 0.0
        single, batch = recorder(group), batch_recorder(group)

        def count(applied: int) -> None:
            nonlocal seen, first
            first = first or time.perf_counter()
            seen += applied

        async def one(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
            count(1)
            await single(event, tx)

        async def many(applied: Sequence[ReceivedEvent[StringValue]], tx: Transaction) -> None:
            count(len(applied))
            await batch(applied, tx)

        to = Subscription(TOPIC, StringValue, one, many if batches else None)
        consumer = Consumer(self.db, self.broker, group, [to], settings)
        running = asyncio.create_task(consumer.run())
        await eventually(lambda: seen >= events, 180, interval_s=0.005)
        taken = time.perf_counter() - first
        await consumer.stop()
        await running
        return events / taken

    async def latency(self, rate: float, seconds: float) -> dict[str, float]:
        """Milliseconds from commit to the start of the commit that applies, at a steady low rate."""
        relay = Relay(self.db, self.broker, "source")
        outbox = Outbox("source", on_commit=relay.wake)
        committed: dict[str, float] = {}
        applied: dict[str, float] = {}
        write = recorder("latency")

        async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
            await write(event, tx)
            at = event.payload.value
            tx.on_commit(lambda: applied.setdefault(at, time.perf_counter()))

        consumer = Consumer(self.db, self.broker, "latency", [Subscription(TOPIC, StringValue, handler)])
        tasks = [asyncio.create_task(relay.run()), asyncio.create_task(consumer.run())]

        async def publish(value: str) -> None:
            async with self.db.transaction() as tx:
                await outbox.publish(tx, [publication(f"latency-{value}", value)])
            committed[value] = time.perf_counter()

        await publish("warm")
        await eventually(lambda: "warm" in applied, 60)
        total = int(rate * seconds)
        for number in range(total):
            await publish(str(number))
            await asyncio.sleep(1 / rate)
        await eventually(lambda: len(applied) > total, 30)
        del committed["warm"]
        taken = sorted((applied[value] - at) * 1000 for value, at in committed.items())
        await consumer.stop()
        await relay.stop()
        await asyncio.gather(*tasks)
        return {f"p{q}_ms": round(taken[min(len(taken) - 1, len(taken) * q // 100)], 1) for q in (50, 90, 99)}

    def raw_produce(self, events: int) -> float:
        """librdkafka alone, no transactions, no outbox."""
        producer = Producer(self.broker.client_options(linger_ms=5, queue_buffering_max_messages=events + 1))
        started = time.perf_counter()
        for number in range(events):
            producer.produce("raw", key=f"k{number}", value=b"x" * 200, partition=0)
        producer.flush(60)
        return events / (time.perf_counter() - started)

    def raw_consume(self, events: int) -> float:
        """librdkafka alone: poll and drop."""
        client = KafkaConsumer(self.broker.client_options(group_id="raw", auto_offset_reset="earliest"))
        client.assign([TopicPartition("raw", 0, 0)])
        seen, started = 0, 0.0
        while seen < events:
            seen += len(client.consume(500, 0.05))
            started = started or (time.perf_counter() if seen else 0.0)
        taken = time.perf_counter() - started
        client.close()
        return events / taken


async def measure(arguments: argparse.Namespace, bench: Bench) -> dict[str, object]:
    """All measurements, in order."""
    events = arguments.events
    figures: dict[str, object] = {}
    figures["latency_low_load"] = await bench.latency(arguments.rate, arguments.seconds)
    await bench.db.execute("TRUNCATE outbox, outbox_key, relay_cursor, inbox_key, effect")
    await bench.broker.ensure_topics(["raw"])
    figures["raw_producer_events_s"] = round(await asyncio.to_thread(bench.raw_produce, events))
    figures["raw_consumer_events_s"] = round(await asyncio.to_thread(bench.raw_consume, events))
    figures["outbox_publish_100_a_transaction_events_s"] = round(await bench.fill(events, arguments.keys))
    figures["relay_events_s"] = round(await bench.relay(1000))
    default = ConsumerSettings()
    wide = replace(default, max_in_flight=1000, resume_at=500)
    known = events
    figures["consumer_set_based_in_flight_100_events_s"] = round(
        await bench.consume("set-100", known, default, batches=True)
    )
    figures["consumer_set_based_in_flight_1000_events_s"] = round(
        await bench.consume("set-1000", known, wide, batches=True)
    )
    figures["consumer_row_by_row_in_flight_100_events_s"] = round(
        await bench.consume("row-100", known, default, batches=False)
    )
    return figures


async def main(arguments: argparse.Namespace) -> None:
    """Start the servers, measure, print JSON."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    postgres, server = PostgresServer(), BrokerServer()
    try:
        postgres.start()
        server.start()
        db = await Database.connect(await postgres.create_database())
        await db.execute(OUTBOX_V1 + INBOX_V1)
        await db.execute(EFFECT)
        broker = Broker(BrokerSettings(server.bootstrap, fetch_wait_ms=arguments.fetch_wait_ms))
        figures = await measure(arguments, Bench(db, broker, arguments))
        print(
            json.dumps(
                {"events": arguments.events, "fetch_wait_ms": arguments.fetch_wait_ms, **figures}, indent=2
            )
        )
        await broker.close()
        db.terminate()
    finally:
        server.stop()
        postgres.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=50_000, help="events in bulk runs")
    parser.add_argument("--keys", type=int, default=5_000, help="different keys in bulk runs")
    parser.add_argument("--rate", type=float, default=50, help="events per second for latency")
    parser.add_argument("--seconds", type=float, default=10, help="how long latency is measured")
    parser.add_argument("--fetch-wait-ms", type=int, default=20, help="see BrokerSettings")
    uvloop.run(main(parser.parse_args()))
