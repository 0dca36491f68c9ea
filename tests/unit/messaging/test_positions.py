"""The rule that each event of a key takes effect once, in order."""

from hypothesis import given
from hypothesis import strategies as st

from chassis.inbox.positions import Verdict, decide


def test_the_next_event_is_applied() -> None:
    assert decide(4, False, 5, 5).verdict is Verdict.APPLY


def test_an_event_at_or_below_the_position_is_a_duplicate() -> None:
    assert decide(4, False, 4, 4).verdict is Verdict.DUPLICATE


def test_an_event_beyond_the_next_is_a_gap() -> None:
    assert decide(4, False, 6, 6).verdict is Verdict.GAP


def test_of_a_run_only_the_part_above_the_position_is_applied() -> None:
    decision = decide(4, False, 3, 6)
    assert (decision.verdict, decision.duplicates) == (Verdict.APPLY, 2)


def test_behind_a_parked_event_new_ones_queue_and_old_ones_are_duplicates() -> None:
    assert decide(4, True, 5, 6).verdict is Verdict.QUEUE
    assert decide(4, True, 3, 4).verdict is Verdict.DUPLICATE


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 4)), max_size=60))
def test_whatever_runs_arrive_the_applied_sequence_is_a_prefix_without_repeats(
    runs: list[tuple[int, int]],
) -> None:
    applied: list[int] = []
    last = 0
    for first, length in runs:
        decision = decide(last, False, first, first + length)
        if decision.verdict is Verdict.APPLY:
            applied.extend(range(first + decision.duplicates, first + length + 1))
            last = first + length
    assert applied == list(range(1, len(applied) + 1))
