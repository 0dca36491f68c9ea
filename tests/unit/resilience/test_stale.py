"""The cache of answers that may be given again."""

from collections import OrderedDict
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chassis.clock import FixedClock
from chassis.resilience import StaleAnswers

GET = "/greenledger.catalog.v1.CatalogService/GetVenue"


def test_an_answer_is_found_with_its_age_until_it_is_too_old() -> None:
    clock = FixedClock()
    answers = StaleAnswers(clock)
    answers.keep((GET, b"1"), b"venue")
    clock.advance(timedelta(seconds=59))
    found = answers.find((GET, b"1"), 60)
    assert found is not None
    assert (found.response, found.age_s) == (b"venue", 59)
    clock.advance(timedelta(seconds=2))
    assert answers.find((GET, b"1"), 60) is None
    assert len(answers) == 0


def test_another_request_or_method_has_another_answer() -> None:
    answers = StaleAnswers(FixedClock())
    answers.keep((GET, b"1"), b"venue")
    assert answers.find((GET, b"2"), 60) is None
    assert answers.find((GET + "s", b"1"), 60) is None


def test_an_answer_that_is_larger_than_all_room_is_not_kept() -> None:
    answers = StaleAnswers(FixedClock(), most_bytes=100)
    answers.keep((GET, b"1"), b"small")
    answers.keep((GET, b"1"), b"x" * 200)
    assert answers.find((GET, b"1"), 60) is None
    assert answers.size_bytes == 0


class StaleModel(RuleBasedStateMachine):
    """Against an ordered dictionary that is trimmed after each step."""

    MOST_ENTRIES, MOST_BYTES, AGE_S = 4, 60, 30

    def __init__(self) -> None:
        super().__init__()
        self.clock = FixedClock()
        self.answers = StaleAnswers(self.clock, most_entries=self.MOST_ENTRIES, most_bytes=self.MOST_BYTES)
        self.model: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()

    @rule(key=st.binary(min_size=1, max_size=1), response=st.binary(max_size=70))
    def keep(self, key: bytes, response: bytes) -> None:
        self.answers.keep((GET, key), response)
        self.model.pop(key, None)
        if len(response) + 1 > self.MOST_BYTES:
            return
        self.model[key] = (response, self.clock.monotonic())
        while len(self.model) > self.MOST_ENTRIES or self.size() > self.MOST_BYTES:
            self.model.popitem(last=False)

    @rule(key=st.binary(min_size=1, max_size=1))
    def find(self, key: bytes) -> None:
        found = self.answers.find((GET, key), self.AGE_S)
        kept = self.model.get(key)
        if kept is None or self.clock.monotonic() - kept[1] > self.AGE_S:
            assert found is None
            self.model.pop(key, None)
        else:
            assert found is not None
            assert found.response == kept[0]
            self.model.move_to_end(key)

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def size(self) -> int:
        return sum(len(response) + 1 for response, _ in self.model.values())

    @invariant()
    def bounded(self) -> None:
        assert len(self.answers) == len(self.model) <= self.MOST_ENTRIES
        assert self.answers.size_bytes == self.size() <= self.MOST_BYTES


TestStaleModel = StaleModel.TestCase
TestStaleModel.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
