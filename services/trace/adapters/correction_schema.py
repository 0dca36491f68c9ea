"""Which entries of the journal are declared wrong: those that a correction names, itself an entry.

Nothing is marked, so that the correction may be heard before or after what it corrects, and an export is of
one position with its corrections.
"""

from services.trace.domain.journal import SPLIT_BY

CORRECTIONS_V1 = """
CREATE INDEX journal_corrected_idx ON journal (reference) WHERE kind = 'corrected';
"""
CORRECTIONS_V1_DROP = "DROP INDEX journal_corrected_idx;"


def wrong(event_id: str, position: str) -> str:
    """Condition: an event of a lot's history was declared wrong, as of a position.

    Args:
        event_id: an expression in SQL.
    """
    return f"""EXISTS (
        SELECT FROM journal AS correction
        WHERE correction.kind = 'corrected' AND correction.reference = {event_id}
          AND correction.position <= {position} OFFSET 0
    )"""


def entry_wrong(entry: str, position: str) -> str:
    """Condition: an entry of the journal was; what was split off also by the parent's event.

    Args:
        entry: name of the row.
    """
    split_by = f"{entry}.detail ->> '{SPLIT_BY}'"
    return f"""(
        {wrong(f"{entry}.event_id", position)}
        OR {entry}.kind = 'split-off' AND {wrong(f"({split_by})", position)}
    )"""
