"""Which settings there are, and what values they take."""

import pytest

from chassis.errors import InvalidArgument, NotFound
from chassis.settings import Settings
from services.control.domain.catalogue import CATALOGUE, Entry, Kind, entry_of, service_of


def test_every_default_is_a_value_that_could_be_set():
    for entry in CATALOGUE.values():
        entry.require(entry.default)


def test_entries_are_in_the_order_of_their_names():
    assert list(CATALOGUE) == sorted(CATALOGUE)


def test_the_limits_of_a_person_have_the_defaults_of_a_process():
    limit = Settings.__dataclass_fields__["principal_limit"].default
    assert float(CATALOGUE["principal-limit.rate"].default) == limit.per_s
    assert float(CATALOGUE["principal-limit.burst"].default) == limit.burst


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.INTEGER, ["0", "-3", "10"], ["", "1.5", "ten", "1e3", " 1", "٣"]),
        (Kind.NUMBER, ["0", "0.25", "-1.5"], ["", "nan", "inf", "1e3", "1,5", "+1", "0x1"]),
        (Kind.BOOLEAN, ["true", "false"], ["", "True", "1", "yes"]),
        (Kind.DURATION, ["250ms", "3s", "1.5m", "0s"], ["", "3", "3 s", "-3s", "s", "3d"]),
    ],
)
def test_a_value_is_of_its_kind(kind, good, bad):
    entry = Entry("thing", kind, good[0], "")
    for value in good:
        entry.require(value)
    for value in bad:
        with pytest.raises(InvalidArgument) as error:
            entry.require(value)
        assert error.value.reason == "CONFIG_INVALID"
        assert error.value.violations[0].field == "value"


def test_a_value_is_within_its_bounds():
    share, pause = CATALOGUE["trace.sampling"], Entry("pause", Kind.DURATION, "1s", "", least=1, most=60)
    for entry, value in [(share, "0"), (share, "1"), (pause, "1000ms"), (pause, "1m")]:
        entry.require(value)
    for entry, value in [(share, "1.01"), (share, "-0.1"), (pause, "999ms"), (pause, "61s")]:
        with pytest.raises(InvalidArgument):
            entry.require(value)


def test_a_choice_is_one_of_its_words():
    with pytest.raises(InvalidArgument):
        CATALOGUE["log.level"].require("info")


def test_a_name_may_say_for_which_service():
    assert entry_of("orders~log.level") is entry_of("log.level")
    assert (service_of("orders~log.level"), service_of("log.level")) == ("orders", "")
    with pytest.raises(NotFound) as error:
        entry_of("log.colour")
    assert error.value.reason == "CONFIG_NOT_FOUND"
