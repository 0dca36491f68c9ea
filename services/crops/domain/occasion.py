"""When and where something happened to goods, and the papers that go with it (21 CFR 1.1325 to 1.1350)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from chassis.errors import InvalidArgument, Violation
from services.crops.domain.epcis.identifiers import CANONICAL_DOMAIN, Level, read
from services.crops.domain.epcis.times import is_zone_offset

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a teller's clock may run ahead of ours."""
UTC_OFFSET = "+00:00"
_GLN_DIGITS = 13


class DocumentType(StrEnum):
    """Business transaction types of CBV 2.0, as far as goods need them."""

    PO = "PO"
    INV = "INV"
    DESADV = "DESADV"
    RECADV = "RECADV"
    BOL = "BOL"
    CERT = "CERT"
    PRODORDER = "PRODORDER"


@dataclass(frozen=True, slots=True)
class Document:
    """A paper of the trade, by its number."""

    type: DocumentType
    document_id: str


@dataclass(frozen=True, slots=True)
class Occasion:
    """When and where.

    Args:
        time: when it happened, aware; when it was told is apart from it.
        utc_offset: local offset from UTC, e.g. "-07:00".
        read_point: where it happened, the canonical GS1 Digital Link of a location; empty when not said.
        biz_location: where the goods are afterwards, likewise.
        documents: papers that go with it.
    """

    time: datetime
    utc_offset: str = UTC_OFFSET
    read_point: str = ""
    biz_location: str = ""
    documents: tuple[Document, ...] = ()

    @property
    def papers(self) -> str:
        """The numbers of its papers in one line."""
        return ", ".join(each.document_id for each in self.documents)


def checked(told: Occasion, now: datetime) -> Occasion:
    """An occasion as it is recorded: places in their canonical form.

    Raises:
        InvalidArgument: TIMES_INVALID, it lies in the future, or nowhere is such an offset from UTC;
            IDENTIFIER_INVALID, a place is no GLN.
    """
    require_past(told.time, "occasion.event_time", now)
    offset = told.utc_offset or UTC_OFFSET
    if not is_zone_offset(offset):
        violation = Violation("occasion.utc_offset", "is an offset from UTC nowhere")
        raise InvalidArgument("TIMES_INVALID", "There is no such offset from UTC.", violations=[violation])
    return replace(
        told,
        utc_offset=offset,
        read_point=_place(told.read_point, "occasion.read_point"),
        biz_location=_place(told.biz_location, "occasion.biz_location"),
    )


def require_past(time: datetime, field: str, now: datetime) -> None:
    """Refuse what has not happened yet.

    Raises:
        InvalidArgument: TIMES_INVALID.
    """
    if time > now + CLOCK_TOLERANCE:
        violation = Violation(field, "lies in the future")
        raise InvalidArgument("TIMES_INVALID", f"{field} lies in the future.", violations=[violation])


def _place(text: str, field: str) -> str:
    if not text:
        return ""
    if len(text) == _GLN_DIGITS and text.isascii() and text.isdigit():
        text = f"{CANONICAL_DOMAIN}/414/{text}"
    try:
        found = read(text)
    except InvalidArgument as error:
        violations = [Violation(field, "is no GLN, by number, URN or GS1 Digital Link")]
        raise InvalidArgument(
            error.reason, error.message, metadata=error.metadata, violations=violations
        ) from None
    if found.level is not Level.LOCATION:
        raise InvalidArgument(
            "IDENTIFIER_INVALID",
            f"{field} names no location.",
            violations=[Violation(field, "names no location")],
        )
    return found.canonical
