"""Reads documents of any size event by event, in bounded memory.

Events are given out as soon as `@context` and `type` of the document are known. Where those stand behind
the events, the events wait in a spool (memory, then a temporary file) until the document has ended.
"""

from array import array
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from services.crops.domain.epcis.context import NO_CONTEXT, Context
from services.crops.domain.epcis.document_shapes import PATHS, missing_events
from services.crops.domain.epcis.event_hash import ignored_fields
from services.crops.domain.epcis.jsontext import DEFAULT_LIMITS, Json, Limits, loads
from services.crops.domain.epcis.model import DocumentHead, Event, QueryDocumentHead
from services.crops.domain.epcis.parse import check_head_so_far, parse_event, parse_head
from services.crops.domain.epcis.problems import Code, NotEpcis, one
from services.crops.domain.epcis.scanner import Scanner

_SPOOL_MEMORY_BYTES: Final = 8_000_000
_MOST_IGNORED_CHARACTERS: Final = 4_096  # they are kept with each event
_ON_THE_WAY: Final = {path[:i] for path in PATHS.values() for i in range(1, len(path))}
_LISTS: Final = {path: kind for kind, path in PATHS.items()}
_COMMA, _QUOTE, _CLOSE_OBJECT, _CLOSE_ARRAY = b",", b'"', b"}", b"]"


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """What became of one event: exactly one of `event` and `error` is set.

    Args:
        index: place in the document, from 0.
        event: the event.
        error: why it is refused; its pointers start at the document.
    """

    index: int
    event: Event | None
    error: NotEpcis | None


_Steps = Generator[ReadEvent | None, None, None]


class EventReader:
    """Takes the bytes of one document, or of one event alone, and gives out its events.

    Args:
        limits: bounds for an event and for the document around the events; default `DEFAULT_LIMITS`.
        skip: so many of the first events are known to be done with and only passed over; default none.

    Feed it, then close it, and exhaust what each call gives. An event that is refused does not disturb
    the others; what breaks the document itself raises NotEpcis, then or at the end, and it is for the
    caller to keep or drop the events given before.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS, skip: int = 0) -> None:
        self.head: DocumentHead | QueryDocumentHead | None = None
        """The document, once it has been read to its end; None for an event alone."""
        self._limits = limits
        self._skip = skip
        self._scanner = Scanner()
        self._fields: dict[str, Json] = {}
        self._head_bytes = 0
        self._spool: IO[bytes] | None = None
        self._spooled = array("q")
        self._count: int | None = None
        self._list: tuple[str, ...] = ()
        self._steps = self._document()

    @property
    def context(self) -> Context:
        """The prefixes of the document as far as it has been read; complete when an event is given out."""
        return NO_CONTEXT.and_of(self._fields.get("@context"))

    @property
    def written_context(self) -> Json:
        """The `@context` of the document as it was written, as far as it has been read."""
        return self._fields.get("@context")

    @property
    def ignored(self) -> frozenset[str]:
        """Fields that do not count in the event hash (see `event_hash.ignored_fields`), as far as read.

        Raises:
            NotEpcis: TOO_LARGE, there are more than anybody has use for.
        """
        results = _inside(self._fields, ("epcisBody", "queryResults"))
        found = ignored_fields(self._fields, self.context) or ignored_fields(results, self.context)
        if sum(map(len, found)) > _MOST_IGNORED_CHARACTERS:
            raise one(
                "", Code.TOO_LARGE, f"more than {_MOST_IGNORED_CHARACTERS} characters of ignored fields"
            )
        return found

    def feed(self, chunk: bytes) -> Iterator[ReadEvent]:
        """Take the next bytes and give the events that they complete.

        Raises:
            NotEpcis: the document is no EPCIS.
        """
        self._scanner.feed(chunk)
        yield from self._go()

    def close(self) -> Iterator[ReadEvent]:
        """Say that the bytes have ended and give the remaining events.

        Raises:
            NotEpcis: the document is no EPCIS, or not complete.
        """
        self._scanner.ended = True
        try:
            yield from self._go()
        finally:
            if self._spool is not None:
                self._spool.close()

    def _go(self) -> Iterator[ReadEvent]:
        for item in self._steps:
            if item is None:
                return
            yield item

    def _document(self) -> _Steps:
        yield from self._object(())
        rest = yield from self._scanner.peek()
        if rest >= 0:
            raise one("", Code.NOT_JSON, "something follows behind the document")
        kind = self._fields.get("type")
        if kind not in PATHS and self._count is None:
            event = parse_event(self._fields, limits=self._limits, alone=True)
            yield ReadEvent(0, event, None)
            return
        self.head = parse_head(self._fields, self._limits)
        if self._count is None:
            raise NotEpcis([missing_events(str(kind))])
        if self._list != PATHS[str(kind)]:
            raise one("/" + "/".join(self._list), Code.RULE, f"{kind} has its events elsewhere")
        yield from self._unspool()

    def _object(self, path: tuple[str, ...]) -> _Steps:
        scanner = self._scanner
        yield from scanner.expect(b"{")
        closing = yield from scanner.peek()
        while closing != _CLOSE_OBJECT[0]:
            quote = yield from scanner.peek()
            if quote != _QUOTE[0]:
                raise one("", Code.NOT_JSON, "a key in quotes expected")
            name = yield from self._plain_value()
            yield from scanner.expect(b":")
            yield from self._member((*path, name))
            closing = yield from scanner.peek()
            if closing != _CLOSE_OBJECT[0]:
                yield from scanner.expect(_COMMA)
        yield from scanner.expect(_CLOSE_OBJECT)

    def _member(self, path: tuple[str, ...]) -> _Steps:
        first = yield from self._scanner.peek()
        kind = self._fields.get("type")
        if path in _ON_THE_WAY and first == ord("{"):
            _inside(self._fields, path[:-1])[path[-1]] = {}
            yield from self._object(path)
        elif path in _LISTS and first == ord("[") and kind in (None, _LISTS[path]):
            if self._count is not None:
                raise one("/" + "/".join(path), Code.RULE, "eventList occurs twice")
            self._list = path
            yield from self._events("/" + "/".join(path))
        else:
            value = yield from self._plain_value()
            if path in _LISTS and kind in (None, _LISTS[path]):
                raise one("/" + "/".join(path), Code.WRONG_TYPE, "an array of events expected")
            _inside(self._fields, path[:-1])[path[-1]] = value

    def _plain_value(self) -> Generator[None, None, Json]:
        left = self._limits.head_bytes - self._head_bytes
        found = yield from self._scanner.value(left)
        if found is None:
            detail = f"more than {self._limits.head_bytes} bytes besides the events"
            raise one("", Code.TOO_LARGE, detail)
        self._head_bytes += len(found)
        return loads(found)

    def _events(self, at: str) -> _Steps:
        scanner = self._scanner
        known = "type" in self._fields and "@context" in self._fields
        if known:
            check_head_so_far(self._fields)
        else:
            self._spool = SpooledTemporaryFile(max_size=_SPOOL_MEMORY_BYTES)  # noqa: SIM115 (closed in close)
        self._count = 0
        yield from scanner.expect(b"[")
        closing = yield from scanner.peek()
        while closing != _CLOSE_ARRAY[0]:
            found = yield from scanner.value(self._limits.event_bytes)
            if self._spool is not None:
                self._keep(self._spool, found)
            elif self._count >= self._skip:
                yield self._event(found, self._count, at)
            self._count += 1
            closing = yield from scanner.peek()
            if closing != _CLOSE_ARRAY[0]:
                yield from scanner.expect(_COMMA)
        yield from scanner.expect(_CLOSE_ARRAY)

    def _keep(self, spool: IO[bytes], found: bytes | None) -> None:
        if len(self._spooled) >= self._limits.spool_events:
            detail = f"more than {self._limits.spool_events} events before @context and type"
            raise one("", Code.TOO_LARGE, detail)
        self._spooled.append(-1 if found is None else len(found))
        spool.write(found or b"")
        if spool.tell() > self._limits.spool_bytes:
            detail = f"more than {self._limits.spool_bytes} bytes of events before @context and type"
            raise one("", Code.TOO_LARGE, detail)

    def _unspool(self) -> _Steps:
        if self._spool is None:
            return
        self._spool.seek(0)
        at = "/" + "/".join(self._list)
        for index, size in enumerate(self._spooled):
            found = None if size < 0 else self._spool.read(size)
            if index >= self._skip:
                yield self._event(found, index, at)

    def _event(self, found: bytes | None, index: int, at: str) -> ReadEvent:
        pointer = f"{at}/{index}"
        if found is None:
            detail = f"the event has more than {self._limits.event_bytes} bytes"
            return ReadEvent(index, None, one(pointer, Code.TOO_LARGE, detail))
        try:
            return ReadEvent(
                index, parse_event(self._decoded(found, pointer), pointer, limits=self._limits), None
            )
        except _Broken as error:
            raise one(pointer, Code.NOT_JSON, str(error)) from None
        except NotEpcis as error:
            return ReadEvent(index, None, error)

    def _decoded(self, found: bytes, pointer: str) -> Json:
        try:
            return loads(found)
        except NotEpcis as error:
            problem = error.problems[0]
            if problem.code is Code.NOT_JSON:
                raise _Broken(problem.detail) from None
            raise one(pointer + problem.pointer, problem.code, problem.detail) from None


class _Broken(Exception):
    """The bytes of an event are no JSON, so that where the next event begins cannot be trusted either."""


def _inside(fields: dict[str, Json], path: tuple[str, ...]) -> dict[str, Json]:
    for name in path:
        found = fields.get(name)
        fields = found if isinstance(found, dict) else {}
    return fields


def read_events(chunks: Iterable[bytes], reader: EventReader) -> Iterator[ReadEvent]:
    """All events of a document from chunks of bytes.

    Raises:
        NotEpcis: as `EventReader`.
    """
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.close()


async def read_events_async(chunks: AsyncIterable[bytes], reader: EventReader) -> AsyncIterator[ReadEvent]:
    """All events of a document from chunks that arrive over time.

    Raises:
        NotEpcis: as `EventReader`.
    """
    async for chunk in chunks:
        for item in reader.feed(chunk):
            yield item
    for item in reader.close():
        yield item
