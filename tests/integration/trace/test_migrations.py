"""The schema goes forwards, backwards and stays when nothing is to do."""

from chassis.database import Database
from chassis.database.migrations import current, downgrade, upgrade
from services.trace.adapters.journal_reader import PostgresJournal
from services.trace.application.mass_balance import MassBalances
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import Story

_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


async def test_migrations_run_forwards_and_backwards(database_dsn: str, database: Database) -> None:
    assert await upgrade(database_dsn, "trace") == await upgrade(database_dsn, "trace") == "0008"
    assert await database.fetchval(_TABLES) > 10
    await downgrade(database_dsn, "trace", "base")
    assert await current(database_dsn, "trace") is None
    assert await database.fetchval(_TABLES) == 0
    assert await upgrade(database_dsn, "trace") == "0008"


async def test_what_was_known_before_the_journal_is_in_it(database_dsn: str, database: Database) -> None:
    await upgrade(database_dsn, "trace", "0002")
    await database.execute("""
        INSERT INTO traced_lot (lot_id, owner_id, recalled, minted_amount, unit, harvest_time)
        VALUES ('l', 'shop', true, 10, 'KGM', '2026-06-01Z'), ('heard-of', '', false, NULL, NULL, NULL);
        INSERT INTO custody
        VALUES ('l', 0, 'farm', '2026-06-01Z', ''), ('l', 1, 'shop', '2026-06-02Z', 'BOL');
        INSERT INTO stock VALUES ('s', 'v', 'l', 4, 'KGM');
    """)
    await upgrade(database_dsn, "trace")
    trace = Trace(database)
    found = await MassBalances(PostgresJournal(database)).of_lot("l", None)
    assert [(line.holder_id, line.received, line.by_movement) for line in found.lines] == [
        ("farm", 0, 0),
        ("shop", 10, 10),
        ("v", 4, 4),
    ]
    assert found.findings == ()
    story = Story()
    story.end_recall("l", recall="named-since")
    assert (await trace.ask.lot("l")).lot.recalled
    await trace.hear(story.events)
    assert not (await trace.ask.lot("l")).lot.recalled
