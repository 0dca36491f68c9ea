"""One altered byte anywhere is found, and the audit says where."""

import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from chassis.merklelog.audit import AuditReport, Kind
from chassis.testing import rolled_back
from tests.integration.merklelog.conftest import EVENT, Logged

EVENTS = 45


@pytest_asyncio.fixture
async def full(logged: Logged) -> Logged:
    """45 events of 15 streams; checkpoints at 9, 18, 27, 36 leaves, the last leaves not signed yet."""
    for number in range(EVENTS):
        await logged.store.append(f"lot-{number % 15}", number // 15, [EVENT])
        if number and number % 9 == 0:
            await logged.ledger.checkpoint()
    return logged


async def test_an_untouched_log_has_no_findings(full: Logged):
    report = await full.audit(batch=7)
    assert report.findings == []
    assert (report.size, report.checkpoints) == (EVENTS, 4)
    assert report.root == await full.log.root(EVENTS)


async def test_an_empty_log_has_no_findings(logged: Logged):
    assert (await logged.audit()).findings == []


def flipped(value: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(value))
    return value[:place] + bytes([value[place] ^ 1 << dice.randrange(8)]) + value[place + 1 :]


async def event_data(full: Logged, index: int, dice: random.Random) -> None:
    """One character of one text in the stored JSON."""
    [leaf] = await full.log.leaves(index, index + 1, 1)
    data: dict[str, Any] = json.loads(json.dumps(EVENT.data))
    data["lot_code"] = data["lot_code"].replace(dice.choice("ROM1"), "X")
    await full.database.execute(
        "UPDATE event SET data = $2 WHERE event_id = $1", leaf.event_id, json.dumps(data)
    )


COLUMNS = {
    "type": "type || 'x'",
    "schema_version": "schema_version + 1",
    "recorded_at": "recorded_at + interval '1 microsecond'",
    "meta": """'{"actor": "user:eve"}'""",
    "data": "data || '{\"more\": 1}'",
    "version": "version + 1000",
    "stream_id": "stream_id || 'x'",
}


async def event_column(full: Logged, index: int, dice: random.Random) -> None:
    column = dice.choice(sorted(COLUMNS))
    await full.database.execute(
        f"UPDATE event SET {column} = {COLUMNS[column]} "
        "WHERE event_id = (SELECT event_id FROM log_leaf WHERE leaf_index = $1)",
        index,
    )


async def event_gone(full: Logged, index: int, dice: random.Random) -> None:
    await full.database.execute(
        "DELETE FROM event WHERE event_id = (SELECT event_id FROM log_leaf WHERE leaf_index = $1)", index
    )


async def leaf_hash_byte(full: Logged, index: int, dice: random.Random) -> None:
    [leaf] = await full.log.leaves(index, index + 1, 1)
    await full.database.execute(
        "UPDATE log_leaf SET hash = $2 WHERE leaf_index = $1", index, flipped(leaf.hash, dice)
    )


async def leaf_event_id(full: Logged, index: int, dice: random.Random) -> None:
    await full.database.execute(
        "UPDATE log_leaf SET event_id = gen_random_uuid() WHERE leaf_index = $1", index
    )


async def leaf_position(full: Logged, index: int, dice: random.Random) -> None:
    await full.database.execute("UPDATE log_leaf SET position = position + 999 WHERE leaf_index = $1", index)


async def leaf_gone(full: Logged, index: int, dice: random.Random) -> None:
    await full.database.execute("DELETE FROM log_leaf WHERE leaf_index = $1", index)


Alter = Callable[[Logged, int, random.Random], Awaitable[None]]
ROWS: dict[str, tuple[Alter, set[Kind]]] = {
    "event data": (event_data, {Kind.EVENT}),
    "event column": (event_column, {Kind.EVENT}),
    "event gone": (event_gone, {Kind.MISSING}),
    "leaf hash": (leaf_hash_byte, {Kind.LEAF}),
    "leaf event id": (leaf_event_id, {Kind.LEAF}),
    "leaf position": (leaf_position, {Kind.MISSING}),
    "leaf gone": (leaf_gone, {Kind.MISSING}),
}


@pytest.mark.parametrize("what", ROWS)
async def test_an_altered_row_is_found_and_named(full: Logged, what: str):
    alter, kinds = ROWS[what]
    dice = random.Random(what)
    for index in [0, EVENTS - 2, *dice.sample(range(1, EVENTS - 2), 10)]:
        async with rolled_back(full.database.transaction()):
            await alter(full, index, dice)
            first = (await full.audit(batch=16)).first
        assert first is not None, index
        assert (first.kind in kinds, first.index, first.until) == (True, index, index + 1), (index, first)


async def test_the_last_unpaired_unsigned_leaf_is_found_too(full: Logged):
    # Nothing is above it yet that could tell whether the event or its leaf was altered.
    for alter in (event_data, leaf_hash_byte):
        async with rolled_back(full.database.transaction()):
            await alter(full, EVENTS - 1, random.Random(1))
            first = (await full.audit()).first
        assert first is not None
        assert (first.kind in {Kind.EVENT, Kind.LEAF}, first.index) == (True, EVENTS - 1)


async def test_a_flipped_byte_of_a_node_is_found_and_named(full: Logged):
    dice = random.Random(7)
    for row in dice.sample(await full.database.fetch("SELECT * FROM log_node ORDER BY 1, 2"), 15):
        async with rolled_back(full.database.transaction()):
            await full.database.execute(
                "UPDATE log_node SET hash = $3 WHERE level = $1 AND node_index = $2",
                row["level"],
                row["node_index"],
                flipped(row["hash"], dice),
            )
            report = await full.audit(batch=16)
        [finding] = report.findings
        assert (finding.kind, finding.index) == (Kind.NODE, row["node_index"] << row["level"])
        assert f"level {row['level']}, index {row['node_index']} was altered" in finding.detail


async def test_a_flipped_byte_of_a_checkpoint_is_found(full: Logged):
    dice = random.Random(8)
    for row in await full.database.fetch("SELECT * FROM log_checkpoint"):
        for column in ("root", "note"):
            value = row[column] if column == "root" else None
            altered = flipped(value, dice) if value else row["note"].replace(row["note"][30], "\u00e4", 1)
            async with rolled_back(full.database.transaction()):
                await full.database.execute(
                    f"UPDATE log_checkpoint SET {column} = $2 WHERE size = $1", row["size"], altered
                )
                report = await full.audit()
            assert [finding.kind for finding in report.findings] == [Kind.CHECKPOINT]
            assert report.findings[0].until == row["size"]


async def rewritten(full: Logged, index: int) -> AuditReport:
    """The report after an event was altered and every hash of the log was made to fit."""
    async with rolled_back(full.database.transaction()):
        await event_data(full, index, random.Random(index))
        events = [leaf.event for leaf in await full.log.leaves(0, EVENTS, EVENTS)]
        await full.database.execute("DELETE FROM log_leaf; DELETE FROM log_node")
        async with full.database.transaction() as tx:
            full.log.record(tx, [event for event in events if event is not None])
            items = [item for _, item in tx._at_commit]
            tx._at_commit.clear()
            await tx.execute(full.log.commit_sql(items))
        return await full.audit(batch=10)


@pytest.mark.parametrize(("index", "begin", "until"), [(0, 0, 10), (9, 0, 10), (10, 10, 19), (30, 28, 37)])
async def test_history_that_was_rewritten_with_all_its_hashes_contradicts_what_was_signed(
    full: Logged, index: int, begin: int, until: int
):
    report = await rewritten(full, index)
    [finding] = report.findings
    assert (finding.kind, finding.index, finding.until) == (Kind.CHECKPOINT, begin, until)


async def test_an_event_that_was_slipped_in_is_found(full: Logged):
    async with rolled_back(full.database.transaction()):
        await full.database.execute(
            "INSERT INTO event SELECT position + 1000, 'slipped', version, type, schema_version, data, meta,"
            " '00000000-0000-7000-8000-00000000000f', recorded_at FROM event WHERE position = 3"
        )
        [finding] = (await full.audit()).findings
    assert (finding.kind, finding.event_id) == (Kind.EXTRA, "00000000-0000-7000-8000-00000000000f")


async def test_an_end_that_was_cut_off_is_found(full: Logged):
    async with rolled_back(full.database.transaction()):
        await full.database.execute("DELETE FROM event WHERE position > 20")
        await full.database.execute("DELETE FROM log_leaf WHERE leaf_index >= 20")
        await full.database.execute("DELETE FROM log_node WHERE (node_index + 1) << level > 20")
        [finding] = (await full.audit()).findings
    assert (finding.kind, finding.index, finding.until) == (Kind.MISSING, 20, 37)


async def test_nodes_beyond_the_log_are_found(full: Logged):
    async with rolled_back(full.database.transaction()):
        await full.database.execute("INSERT INTO log_node VALUES (3, 99, sha256('x'))")
        [finding] = (await full.audit()).findings
    assert (finding.kind, finding.index) == (Kind.EXTRA, 99 * 8)


async def test_a_leaf_far_beyond_the_end_does_not_keep_the_audit_busy_for_ever(full: Logged):
    async with rolled_back(full.database.transaction()):
        await full.database.execute(
            "INSERT INTO log_leaf VALUES (1::bigint << 40, 1, gen_random_uuid(), sha256('x'))"
        )
        first = (await full.audit(batch=16)).first
    assert first is not None
    assert (first.kind, first.index) == (Kind.MISSING, EVENTS)


async def test_the_list_of_findings_is_bounded(full: Logged):
    async with rolled_back(full.database.transaction()):
        await full.database.execute("UPDATE event SET type = 'x'")
        report = await full.audit(most_findings=5)
    assert (len(report.findings), report.more) == (5, True)
    assert report.first is not None
    assert report.first.index == 0
