"""Finds where JSON values begin and end in bytes that arrive piece by piece.

It does not decode: a value's bytes go to the JSON decoder as a whole. Time is linear in the bytes however
they are cut, and no more than the value at hand is held, or nothing of it once it is larger than allowed.
"""

import re
from collections.abc import Generator
from typing import Final

from services.crops.domain.epcis.problems import Code, one

_BLANK: Final = re.compile(rb"[ \t\n\r]*+")
_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_RUN: Final = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_LITERAL: Final = re.compile(rb'[^\s,\]}:"{\[]*+')
_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C

Waiting = Generator[None, None, int]


class Scanner:
    """A window over the bytes.

    The generators yield None whenever they need more bytes: whoever drives them calls `feed`, or sets
    `ended`, and goes on.
    """

    def __init__(self) -> None:
        self.ended = False
        self._data = bytearray()
        self._at = 0
        self._kept: int | None = None

    def feed(self, chunk: bytes) -> None:
        """Append bytes; what has been consumed is dropped."""
        cut = self._at if self._kept is None else self._kept
        del self._data[:cut]
        self._at -= cut
        self._kept = None if self._kept is None else 0
        self._data += chunk

    def peek(self) -> Waiting:
        """The next byte that is not blank, not consumed; -1 at the end."""
        while True:
            self._advance(_BLANK)
            if self._at < len(self._data):
                return self._data[self._at]
            if self.ended:
                return -1
            yield None

    def expect(self, byte: bytes) -> Waiting:
        """Consume this byte.

        Raises:
            NotEpcis: NOT_JSON when another one comes.
        """
        found = yield from self.peek()
        if found != byte[0]:
            got = "the end" if found < 0 else repr(chr(found))
            raise one("", Code.NOT_JSON, f"{byte.decode()!r} expected, not {got}")
        self._at += 1
        return found

    def value(self, most: int) -> Generator[None, None, bytes | None]:
        """Consume one value and give its bytes; None when it has more than `most`.

        Raises:
            NotEpcis: NOT_JSON when the text ends inside it or none begins here.
        """
        first = yield from self.peek()
        self._kept = self._at
        if first in (0x7B, 0x5B):
            size = yield from self._nested(most)
        elif first == _QUOTE:
            size = yield from self._string(most)
        else:
            size = yield from self._literal(most)
        found = bytes(self._data[self._kept : self._at]) if size <= most else None
        self._kept = None
        return found

    def _nested(self, most: int) -> Waiting:
        depth, size, inside = 0, 0, False
        while True:
            size += self._advance(_STRING if inside else _RUN)
            byte = self._data[self._at] if self._at < len(self._data) else _BACKSLASH
            if byte == _BACKSLASH:  # the bytes end here, perhaps in the middle of an escape
                yield from self._more(size, most)
                continue
            self._at += 1
            size += 1
            inside = byte == _QUOTE and not inside
            depth += (byte in b"{[") - (byte in b"}]")
            if depth == 0:
                return size

    def _string(self, most: int) -> Waiting:
        self._at += 1
        size = 1
        while True:
            size += self._advance(_STRING)
            if self._at < len(self._data) and self._data[self._at] == _QUOTE:
                self._at += 1
                return size + 1
            yield from self._more(size, most)

    def _literal(self, most: int) -> Waiting:
        size = 0
        while True:
            size += self._advance(_LITERAL)
            if self._at < len(self._data) or self.ended:
                break
            yield from self._more(size, most)
        if size == 0:
            raise one("", Code.NOT_JSON, "a value expected")
        return size

    def _more(self, size: int, most: int) -> Generator[None, None, None]:
        if self.ended:
            raise one("", Code.NOT_JSON, "the text ends inside a value")
        if size > most:
            self._kept = self._at
        yield None

    def _advance(self, pattern: re.Pattern[bytes]) -> int:
        found = pattern.match(self._data, self._at)
        before, self._at = self._at, found.end() if found else self._at
        return self._at - before
