"""What may be committed, and what happens to events that come ahead of their turn."""

from hypothesis import given
from hypothesis import strategies as st

from chassis.inbox.progress import GapPolicy, PartitionProgress


def progress(*offsets: int) -> PartitionProgress:
    made = PartitionProgress("t", 0)
    for offset in offsets:
        made.arrive(offset)
    return made


def test_nothing_is_committed_while_the_lowest_offset_is_unfinished() -> None:
    partition = progress(3, 4, 5)
    partition.finish(4)
    partition.finish(5)
    assert partition.uncommitted() is None


def test_offsets_that_transactions_markers_took_are_no_obstacle() -> None:
    partition = progress(3, 5, 9)
    for offset in (3, 9, 5):
        partition.finish(offset)
    assert partition.uncommitted() == 10


def test_an_offset_is_committed_once() -> None:
    partition = progress(3)
    partition.finish(3)
    partition.committed(4)
    assert partition.uncommitted() is None


def test_at_the_end_the_markers_behind_the_last_record_count_as_finished() -> None:
    partition = progress(3)
    partition.finish(3)
    partition.reach_end(5)
    assert partition.next_offset == 5


@given(st.permutations(range(8)), st.integers(0, 8))
def test_the_committed_offset_never_passes_an_unfinished_one(order: list[int], done: int) -> None:
    partition = progress(*range(8))
    for offset in order[:done]:
        partition.finish(offset)
    unfinished = set(range(8)) - set(order[:done])
    assert (partition.next_offset or 0) == min(unfinished, default=8)


def policy(low_watermark: int) -> GapPolicy:
    made = GapPolicy(first_s=5, longest_s=20)
    assert not made.judge("k", 7, 3, now=0)
    assert made.due(0)
    made.rewind(low_watermark, now=0)
    return made


def test_a_gap_leads_to_a_rewind_at_once_and_to_the_next_one_after_a_pause() -> None:
    gaps = policy(low_watermark=0)
    gaps.meet("k", 2)
    assert not gaps.judge("k", 7, 3, now=1)
    assert not gaps.due(4.9)
    assert gaps.due(5)


def test_pauses_between_rewinds_double_up_to_the_longest() -> None:
    gaps = policy(low_watermark=0)
    pauses = []
    for _ in range(4):
        gaps.judge("k", 7, 3, now=0)
        pauses.append(next(s for s in range(100) if gaps.due(s)))
        gaps.rewind(0, now=0)
    assert pauses == [5, 10, 20, 20]


def test_a_gap_is_never_accepted_while_the_partition_still_has_its_head() -> None:
    gaps = policy(low_watermark=0)
    gaps.meet("k", 7)
    assert not gaps.judge("k", 7, 3, now=1)


def test_a_gap_is_accepted_when_retention_cut_the_head_and_nothing_earlier_of_the_key_is_left() -> None:
    gaps = policy(low_watermark=4)
    gaps.meet("k", 7)
    assert gaps.judge("k", 7, 3, now=1)


def test_a_hole_in_the_middle_is_not_accepted_even_when_the_head_is_cut() -> None:
    gaps = policy(low_watermark=4)
    gaps.meet("k", 3)
    gaps.meet("k", 7)
    assert not gaps.judge("k", 7, 3, now=1)


def test_a_key_first_met_in_the_middle_of_a_pass_waits_for_a_whole_one() -> None:
    gaps = policy(low_watermark=4)
    assert not gaps.judge("other", 9, 2, now=1)
    gaps.rewind(4, now=5)
    gaps.meet("other", 9)
    assert gaps.judge("other", 9, 2, now=6)


def test_a_new_consumer_accepts_the_first_event_that_retention_left_of_each_key() -> None:
    gaps = policy(low_watermark=4)
    assert gaps.judge("never applied", 9, 0, now=1)
