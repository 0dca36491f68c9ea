"""Cold-chain breaches over readings."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.trace.domain.cold_chain import Breach, Limits, Stay, Window, breaches, stays, until, windows
from services.trace.domain.journal import Reading

START = datetime(2026, 6, 1, tzinfo=UTC)
EVER = datetime.max.replace(tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def reading(minute: int, celsius: str, *, device: str = "", lot: str = "l", lasted: int = 0) -> Reading:
    return Reading(
        lot_id=lot,
        event_id=f"e{minute}",
        number=0,
        start=at(minute),
        end=at(minute + lasted),
        celsius=Decimal(celsius),
        device_id=device,
    )


async def found(readings: list[Reading], limits: Limits | None = None) -> list[Breach]:
    async def each() -> AsyncIterator[Reading]:
        for one in readings:
            yield one

    return [breach async for breach in breaches(each(), limits or Limits())]


async def test_a_breach_lasts_from_the_first_warm_reading_until_it_is_cold_again() -> None:
    [breach] = await found([reading(0, "4"), reading(10, "6"), reading(30, "8.5"), reading(50, "4.4")])
    assert (breach.start, breach.end, breach.highest, breach.readings) == (at(10), at(50), Decimal("8.5"), 2)


async def test_a_reading_within_the_hysteresis_neither_begins_nor_ends_a_breach() -> None:
    assert await found([reading(0, "5"), reading(60, "5")]) == []
    [breach] = await found([reading(0, "5.1"), reading(20, "4.6"), reading(40, "5.2"), reading(60, "4.49")])
    assert (breach.start, breach.end) == (at(0), at(60))


async def test_a_short_breach_does_not_count_and_one_of_the_least_duration_does() -> None:
    assert await found([reading(0, "9"), reading(29, "1")]) == []
    assert len(await found([reading(0, "9"), reading(30, "1")])) == 1


async def test_a_breach_that_goes_on_is_told_as_long_as_it_is_known_to_last() -> None:
    [breach] = await found([reading(0, "9"), reading(45, "9")])
    assert (breach.end, breach.last, breach.duration) == (None, at(45), timedelta(minutes=45))
    assert await found([reading(0, "9")]) == []


async def test_a_span_counts_with_its_whole_length() -> None:
    [breach] = await found([reading(0, "9", lasted=40), reading(60, "2")])
    assert breach.end == at(60)
    assert len(await found([reading(0, "9", lasted=40)])) == 1


async def test_a_cold_device_does_not_hide_a_warm_one() -> None:
    mixed = [reading(0, "9", device="a"), reading(5, "1", device="b"), reading(40, "9", device="a")]
    [breach] = await found(mixed)
    assert breach.device_id == "a"


async def test_a_device_of_the_same_name_on_another_lot_neither_ends_nor_prolongs_a_breach() -> None:
    ended = [reading(0, "9", device="a", lot="p"), reading(5, "1", device="a", lot="c")]
    [breach] = await found([*ended, reading(40, "9", device="a", lot="p")])
    assert (breach.lot_id, breach.duration) == ("p", timedelta(minutes=40))
    prolonged = [reading(0, "9", device="a", lot="p"), reading(40, "9", device="a", lot="c")]
    assert await found(prolonged) == []


@given(st.lists(st.integers(-20, 30), max_size=40))
async def test_breaches_do_not_overlap_and_have_all_that_is_warm(values: list[int]) -> None:
    series = [reading(minute, str(value)) for minute, value in enumerate(values)]
    told = await found(series, Limits(min_duration=timedelta(0)))
    for one, next_one in pairwise(told):
        assert one.end is not None
        assert one.end <= next_one.start
    for each in series:
        inside = any(b.start <= each.start and (b.end is None or each.start < b.end) for b in told)
        assert inside or each.celsius <= 5


def test_what_befell_a_source_counts_until_the_goods_left_it_for_the_last_time() -> None:
    sources = {
        "lot": [("mix", at(50)), ("side", at(10))],
        "mix": [("root", at(20))],
        "side": [("root", at(30)), ("lot", at(5))],
    }
    assert until("lot", sources) == {"lot": EVER, "mix": at(50), "side": at(10), "root": at(20)}
    assert until("alone", {}) == {"alone": EVER}
    assert until("a", {"a": [("b", None)], "b": [("a", at(3))]}) == {"a": EVER, "b": EVER}


def test_a_lot_shares_readings_only_while_both_are_on_the_unit() -> None:
    changes = [("x", "u", at(0), True), ("y", "u", at(5), True), ("x", "u", at(20), False)]
    told = list(stays(changes))
    assert told == [Stay("x", "u", at(0), at(20)), Stay("y", "u", at(5), None)]
    assert list(windows({"x": EVER}, told[:1], told[1:])) == [
        Window("x", None, None),
        Window("u", at(0), at(20), "x"),
        Window("y", at(5), at(20)),
    ]
    assert list(windows({"x": at(4)}, told[:1], told[1:])) == [
        Window("x", None, at(4)),
        Window("u", at(0), at(4), "x"),
    ]
