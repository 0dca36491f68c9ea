"""The judge of races finds each kind of fault; else the races would prove nothing."""

from chassis.testing.history import Entry, judge

A1, A2, B1 = Entry(1, "a", 1), Entry(3, "a", 2), Entry(2, "b", 1)
COMMITTED = [A1, B1, A2]


def test_a_reader_that_saw_everything_in_order_has_no_fault() -> None:
    assert judge(COMMITTED, COMMITTED).faults == 0


def test_streams_may_be_interleaved_in_any_way() -> None:
    assert judge(COMMITTED, [B1, A1, A2]).faults == 0


def test_a_missed_event_is_found() -> None:
    assert judge(COMMITTED, [A1, A2]).missed == [B1]


def test_an_event_seen_twice_is_found_once() -> None:
    assert judge(COMMITTED, [A1, B1, B1, B1, A2]).doubled == [B1]


def test_a_stream_seen_backwards_is_found() -> None:
    assert judge(COMMITTED, [A2, A1, B1]).inversions == [(A2, A1)]


def test_an_event_that_was_never_committed_is_found() -> None:
    ghost = Entry(9, "a", 3)
    assert judge(COMMITTED, [*COMMITTED, ghost]).unknown == [ghost]
