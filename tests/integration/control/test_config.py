"""Settings are changed, refused, told, rolled back and remembered."""

import grpc
import pytest

from chassis.testing.eventually import eventually
from greenledger.control.v1 import config_pb2 as pb
from greenledger.control.v1 import events_pb2
from interceptors.testing import reason
from services.auth.domain.roles import scopes_of
from services.control.domain.catalogue import CATALOGUE
from tests.integration.control.conftest import SIGNER, Control, World


async def get(control: Control, name: str) -> pb.ConfigEntry:
    return await control.config.GetConfig(pb.GetConfigRequest(name=name), metadata=control.operator)


async def change(control: Control, name: str, value: str, **more: str) -> pb.ConfigEntry:
    request = pb.SetConfigRequest(name=name, value=value, **more)
    return await control.config.SetConfig(request, metadata=control.operator)


async def test_an_entry_has_its_default_until_it_is_changed(control: Control):
    before = await get(control, "log.level")
    assert (before.value, before.version, before.kind) == ("INFO", 0, pb.CONFIG_KIND_CHOICE)
    after = await change(control, "log.level", "DEBUG", etag=before.etag, why="look closer")
    assert (after.value, after.version, after.updated_by, after.why) == ("DEBUG", 1, "olga", "look closer")
    assert after.default_value == "INFO"
    assert await get(control, "log.level") == after
    (event,) = await control.under_test.published("control.config-changed")
    told = events_pb2.ConfigChanged()
    assert event.payload.Unpack(told)
    assert (told.name, told.value, told.version) == ("log.level", "DEBUG", 1)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("log.level", "LOUD", "CONFIG_INVALID"),
        ("trace.sampling", "2", "CONFIG_INVALID"),
        ("log.colour", "red", "CONFIG_NOT_FOUND"),
        ("odrers~log.level", "DEBUG", "CONFIG_NOT_FOUND"),
        ("Log Level", "DEBUG", "VALIDATION_FAILED"),
    ],
)
async def test_what_no_service_could_use_is_refused(control: Control, name, value, expected):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await change(control, name, value)
    assert reason(error.value) == expected


async def test_a_rollback_makes_an_earlier_value_the_newest(control: Control):
    for value in ("DEBUG", "WARNING"):
        await change(control, "log.level", value)
    request = pb.RollbackConfigRequest(name="log.level", version=1, why="quieter")
    back = await control.config.RollbackConfig(request, metadata=control.operator)
    assert (back.value, back.version) == ("DEBUG", 3)
    request = pb.RollbackConfigRequest(name="log.level", version=0)
    default = await control.config.RollbackConfig(request, metadata=control.operator)
    assert (default.value, default.version, default.etag) == ("INFO", 0, "4")
    asked = pb.ListConfigVersionsRequest(name="log.level", page_size=3)
    page = await control.config.ListConfigVersions(asked, metadata=control.operator)
    asked.page_token = page.next_page_token
    rest = await control.config.ListConfigVersions(asked, metadata=control.operator)
    assert [(e.version, e.value) for e in (*page.versions, *rest.versions)] == [
        (4, "INFO"),
        (3, "DEBUG"),
        (2, "WARNING"),
        (1, "DEBUG"),
    ]
    request = pb.RollbackConfigRequest(name="log.level", version=9)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.config.RollbackConfig(request, metadata=control.operator)
    assert (error.value.code(), reason(error.value)) == (grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND")


async def test_an_etag_that_is_not_the_newest_loses(control: Control):
    seen = (await get(control, "log.level")).etag
    await change(control, "log.level", "DEBUG", etag=seen)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await change(control, "log.level", "ERROR", etag=seen)
    assert (error.value.code(), reason(error.value)) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


async def test_the_value_for_one_service_wins_over_that_for_all(control: Control):
    await control.register("orders", 9)
    watches = {}
    for service in ("orders", "crops"):
        watches[service] = control.config.WatchConfig(
            pb.WatchConfigRequest(service=service), metadata=SIGNER.service(service, *scopes_of(service))
        )
        first = (await watches[service].read()).snapshot
        assert [(e.name, e.version) for e in first.entries] == [(name, 0) for name in CATALOGUE]
    await change(control, "log.level", "WARNING")
    assert await _level(watches["orders"]) == await _level(watches["crops"]) == "WARNING"
    await change(control, "orders~log.level", "DEBUG")
    assert await _level(watches["orders"]) == "DEBUG"
    # What concerns another service is no news.
    await change(control, "log.level", "ERROR")
    assert await _level(watches["crops"]) == "ERROR"
    request = pb.RollbackConfigRequest(name="orders~log.level", version=0)
    await control.config.RollbackConfig(request, metadata=control.operator)
    assert await _level(watches["orders"]) == "ERROR"
    for watch in watches.values():
        watch.cancel()


async def test_all_entries_are_listed_page_by_page_with_those_of_one_service(control: Control):
    for service in ("orders", "crops"):
        await control.register(service, 9 if service == "orders" else 10)
        await change(control, f"{service}~log.level", "DEBUG")
    names, token = [], ""
    while True:
        asked = pb.ListConfigRequest(service="orders", page_size=2, page_token=token)
        page = await control.config.ListConfig(asked, metadata=control.operator)
        names += [entry.name for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert names == sorted([*CATALOGUE, "orders~log.level"])
    everything = await control.config.ListConfig(pb.ListConfigRequest(), metadata=control.operator)
    assert len(everything.entries) == len(CATALOGUE) + 2


async def test_the_other_replica_knows_of_a_change_soon(world: World):
    one, two = await world.control(), await world.control()
    await change(one, "log.level", "DEBUG")
    await eventually(lambda: _is(two, "DEBUG"), 5)


async def _is(control: Control, value: str) -> bool:
    return (await get(control, "log.level")).value == value


async def _level(watch) -> str:
    entries = (await watch.read()).snapshot.entries
    return next(entry.value for entry in entries if entry.name == "log.level")
