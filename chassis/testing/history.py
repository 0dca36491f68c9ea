"""What a race of writers and readers did, and what is wrong with it."""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """One event, as a writer committed it or a reader saw it."""

    position: int
    stream: str
    version: int


@dataclass
class Verdict:
    """Faults of one reader against what was committed."""

    missed: list[Entry] = field(default_factory=list)
    doubled: list[Entry] = field(default_factory=list)
    unknown: list[Entry] = field(default_factory=list)
    inversions: list[tuple[Entry, Entry]] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return sum(len(found) for found in vars(self).values())


def judge(committed: list[Entry], seen: list[Entry]) -> Verdict:
    """Compare what a reader saw, in its order, with all that was committed.

    An inversion is an event that comes after a later version of its own stream.
    """
    verdict = Verdict()
    counts: dict[Entry, int] = defaultdict(int)
    latest: dict[str, Entry] = {}
    for entry in seen:
        counts[entry] += 1
        if counts[entry] == 2:
            verdict.doubled.append(entry)
        before = latest.get(entry.stream)
        if before is not None and before.version > entry.version:
            verdict.inversions.append((before, entry))
        latest[entry.stream] = entry
    verdict.missed = [entry for entry in committed if entry not in counts]
    known = set(committed)
    verdict.unknown = [entry for entry in counts if entry not in known]
    return verdict
