"""A process that relays or consumes, for tests that kill it: `python -m chassis.testing.messaging_process
relay|consumer DSN BOOTSTRAP`. Crash points are armed by GREENLEDGER_CRASHPOINT; SIGTERM drains."""

import asyncio
import os
import signal
import subprocess
import sys

from google.protobuf.wrappers_pb2 import StringValue

from chassis import crashpoints
from chassis.database import Transaction
from chassis.inbox import ReceivedEvent
from chassis.outbox import Publication
from chassis.testing.messaging import MessagingWorld, recorder

FOLLOW_UP = "test.followed"


def start(role: str, world: MessagingWorld, crashpoint: str = "") -> "subprocess.Popen[bytes]":
    """Start such a process; the caller ends it."""
    environment = {**os.environ, "GREENLEDGER_ENV": "test", crashpoints.VARIABLE: crashpoint}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "chassis.testing.messaging_process", role, world.dsn, world.bootstrap]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def main(role: str, dsn: str, bootstrap: str) -> None:
    """Run until SIGTERM."""
    crashpoints.arm_from_environment()
    world = MessagingWorld(dsn, bootstrap)
    await world.open(create=False)
    record = recorder()

    async def record_and_follow_up(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        await record(event, tx)
        follow_up = Publication(FOLLOW_UP, event.aggregate_id, event.payload, "thing")
        await world.outbox.publish(tx, [follow_up])

    loop = world.relay(batch_size=20) if role == "relay" else world.consumer(record_and_follow_up)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    await world.stop(loop)
    await world.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
