"""Parameters of an EPCIS query as SQL over the indexes of captured events."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final

import asyncpg

from chassis.database import Database
from chassis.errors import InvalidArgument, Violation
from chassis.eventstore.codec import decode
from services.crops.adapters.epcis_schema import key_of
from services.crops.application.epcis_ports import CapturedEvent, FindingFilter, Identity, RecordedFinding
from services.crops.domain.epcis import vocabulary as v
from services.crops.domain.epcis.context import NO_CONTEXT, Context
from services.crops.domain.epcis.findings import Finding, FindingCode, Severity
from services.crops.domain.epcis.identifiers import canonical
from services.crops.domain.epcis.jsontext import Json, dumps, loads
from services.crops.domain.epcis.query import Condition

PAGE_CHARACTERS: Final = 2_000_000
"""A page ends with the event that reaches this; an answer has to fit into a message."""
_SELECT = """
SELECT indexed.*, event.data FROM epcis_event AS indexed JOIN event USING (position) WHERE {where}
ORDER BY position
"""
_FIND = "SELECT position, size FROM epcis_event AS e WHERE {where} ORDER BY position LIMIT $1"
_FINDINGS = "SELECT * FROM epcis_finding WHERE {where} ORDER BY number LIMIT $1"
_TERM = """
EXISTS (
    SELECT FROM epcis_term AS t
    WHERE t.position = e.position AND t.kind = ANY({kinds}) AND t.value = ANY({values})
)
"""
_SUBJECTS = ("subject", "child")
_ROLES: Final = {
    "epc": ("epc", _SUBJECTS),
    "parentID": ("epc", ("parent",)),
    "inputEPC": ("epc", ("input",)),
    "outputEPC": ("epc", ("output",)),
    "anyEPC": ("epc", ("subject", "parent", "child", "input", "output")),
    "epcClass": ("class", _SUBJECTS),
    "inputEPCClass": ("class", ("input",)),
    "outputEPCClass": ("class", ("output",)),
    "anyEPCClass": ("class", (*_SUBJECTS, "input", "output")),
}
_Read = Callable[[str, Context], str]


def _identifier(text: str, _: Context) -> str:
    return key_of(canonical(text))


def _verbatim(text: str, _: Context) -> str:
    return key_of(text)


def _expanded(text: str, context: Context) -> str:
    return key_of(context.expand(text))


def _term_of(vocabulary: v.Vocabulary) -> _Read:
    return lambda text, context: key_of(vocabulary.short(text, context))


_COLUMNS: Final[dict[str, tuple[str, _Read]]] = {
    "eventType": ("type", _expanded),
    "EQ_action": ("action", _verbatim),
    "EQ_bizStep": ("biz_step", _term_of(v.BIZ_STEP)),
    "EQ_disposition": ("disposition", _term_of(v.DISPOSITION)),
    "EQ_readPoint": ("read_point", _identifier),
    "EQ_bizLocation": ("biz_location", _identifier),
    "EQ_transformationID": ("transformation_id", _verbatim),
    "EQ_eventID": ("event_key", _verbatim),
}
_TERMS: Final[dict[str, tuple[str, _Read]]] = {
    "EQ_persistentDisposition_set": ("set", _term_of(v.DISPOSITION)),
    "EQ_persistentDisposition_unset": ("unset", _term_of(v.DISPOSITION)),
    "EQ_correctiveEventID": ("corrective", _verbatim),
}
_TIMES: Final = {
    "GE_eventTime": "event_time >=",
    "LT_eventTime": "event_time <",
    "GE_recordTime": "record_time >=",
    "LT_recordTime": "record_time <",
}
_SIDES: Final = ("bizTransaction", "source", "destination")


class _Clauses:
    """Collects conditions with their arguments; `$1` is the limit."""

    def __init__(self, context: Context) -> None:
        self.arguments: list[object] = []
        self.clauses: list[str] = []
        self._context = context

    def argument(self, value: object) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments) + 1}"

    def add(self, condition: Condition) -> None:
        """Raises InvalidArgument: EPCIS_QUERY_UNSUPPORTED."""
        name, value = condition.name, condition.value
        kind, _, rest = condition.field.partition("_")
        if name in _COLUMNS:
            column, read = _COLUMNS[name]
            self.clauses.append(f"e.{column} = ANY({self._values(value, read)})")
        elif name in _TIMES:
            self.clauses.append(f"e.{_TIMES[name]} {self.argument(value.instant)}")
        elif name in _TERMS:
            self._term([_TERMS[name][0]], value, _TERMS[name][1])
        elif condition.operator == "MATCH" and condition.field in _ROLES:
            prefix, roles = _ROLES[condition.field]
            self._term([f"{prefix}:{role}" for role in roles], value, _identifier)
        elif condition.operator == "EQ" and kind in _SIDES and rest:
            self._term([f"{'transaction' if kind == 'bizTransaction' else kind}:{rest}"], value, _identifier)
        elif name == "EXISTS_errorDeclaration":
            self.clauses.append("e.declares_error")
        elif name != "@context":
            raise InvalidArgument(
                "EPCIS_QUERY_UNSUPPORTED",
                f"{name} is not answered here.",
                violations=[Violation(f"parameters.{name}", "is not answered here")],
            )

    def _term(self, kinds: Sequence[str], value: Sequence[str], read: _Read) -> None:
        given = self.argument([key_of(kind) for kind in kinds])
        self.clauses.append(_TERM.format(kinds=given, values=self._values(value, read)))

    def _values(self, value: Sequence[str], read: _Read) -> str:
        return self.argument([read(text, self._context) for text in value])


class IndexedVisibilityEvents:
    """Implements `VisibilityQueries`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, identity: Identity) -> CapturedEvent | None:
        where = _SELECT.format(where="event_key = $1 AND declares_error = $2")
        row = await self._database.fetchrow(where, key_of(identity[0]), identity[1])
        return None if row is None else _captured(row)

    async def query(
        self, conditions: Sequence[Condition], after: int, limit: int
    ) -> tuple[Sequence[CapturedEvent], bool]:
        context = next((each.value for each in conditions if each.name == "@context"), None)
        found = _Clauses(NO_CONTEXT.and_of(context))
        for condition in conditions:
            found.add(condition)
        where = " AND ".join([f"e.position > {found.argument(after)}", *found.clauses])
        rows = await self._database.fetch(_FIND.format(where=where), limit + 1, *found.arguments)
        sums = accumulate((row["size"] for row in rows[:limit]), initial=0)
        page = [
            row["position"] for row, size in zip(rows[:limit], sums, strict=False) if size < PAGE_CHARACTERS
        ]
        full = await self._database.fetch(_SELECT.format(where="position = ANY($1)"), page)
        return [_captured(row) for row in full], len(rows) > len(page)

    async def findings(self, where: FindingFilter, after: int, limit: int) -> Sequence[RecordedFinding]:
        # A flawed identifier is kept as it came, a sound one in canonical form.
        subjects = [key_of(where.subject), key_of(canonical(where.subject))] if where.subject else ""
        wanted: dict[str, object] = {
            "number > ${}": after,
            "code = ${}": where.code,
            "severity = ${}": where.severity.value if where.severity else "",
            "subject_key = ANY(${})": subjects,
            "event_key = ${}": key_of(where.event_id) if where.event_id else "",
        }
        used = {clause: value for clause, value in wanted.items() if value != ""}
        clause = " AND ".join(clause.format(number) for number, clause in enumerate(used, 2))
        rows = await self._database.fetch(_FINDINGS.format(where=clause), limit, *used.values())
        return [_finding(row) for row in rows]


def _captured(row: asyncpg.Record) -> CapturedEvent:
    data = decode(row["data"])
    context: Json = loads(data["context"])
    # Joined as text: the event's own text comes back as it was recorded, number by number.
    head = "" if context is None else f'"@context": {dumps(context)}, '
    return CapturedEvent(
        position=row["position"],
        event_id=row["event_id"],
        event_hash=row["event_hash"],
        document="{" + head + data["event"].lstrip()[1:],
        record_time=row["record_time"],
        ledger_event_id=str(row["ledger_event_id"]),
        captured_by=row["captured_by"],
        ignored=tuple(data["ignored"]),
    )


def _finding(row: Any) -> RecordedFinding:
    finding = Finding(
        FindingCode(row["code"]),
        Severity(row["severity"]),
        row["event_id"],
        row["subject"],
        row["explanation"],
    )
    return RecordedFinding(row["number"], finding, row["record_time"])
