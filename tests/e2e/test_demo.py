"""The demo's story, played as the command plays it."""

import asyncio
import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from fleet.demo.large import Plan, run_large
from fleet.demo.large.checkpoint import CheckpointFile
from fleet.demo.stage import Stage
from fleet.demo.story import play
from fleet.demo.world import World
from fleet.services import SERVICES
from fleet.settings import process_environment
from fleet.testing.running import RunningFleet
from greenledger.trace.v1 import recall_pb2

_TIMEOUT_S = 120


def _command(fleet: RunningFleet, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet.cli", *arguments, "--state-dir", str(fleet.settings.state_dir)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        cwd=fleet.settings.project_root,
        env={**process_environment(fleet.settings), "COLUMNS": "160"},
        check=False,
    )


@pytest.fixture(scope="module")
def world(fleet: RunningFleet) -> World:
    """The story, played once; its connections are closed, what it made is there."""
    return asyncio.run(play(Stage(Console(file=io.StringIO())), fleet.edge_url, fleet.operator))


def test_the_recall_scope_names_exactly_what_the_lot_reached(world: World) -> None:
    scope = world.scope
    assert scope is not None
    assert {lot.lot_id for lot in scope.lots} == {
        world.lots[name].lot_id for name in ("cucumber", "kitchen", "market")
    }
    assert {venue.venue_id for venue in scope.venues} == set(world.venues.values())
    assert {item.lot_id for item in scope.stock} == {
        world.lots[name].lot_id for name in ("kitchen", "market")
    }
    assert all(item.quarantined for item in scope.stock)
    reached = {world.orders[name] for name in ("paid", "market", "repeated")}
    assert {order.order_id for order in scope.orders} == reached
    assert scope.guest_count == 3
    assert set(scope.guest_ids) == {world.people[name].user_id for name in ("Ada", "Ben", "Chi")}


def test_the_recall_reached_what_the_drill_had_said(world: World) -> None:
    assert world.drill is not None
    recall = world.recalls[-1]
    assert recall.state == recall_pb2.RECALL_STATE_COMPLETE
    assert [each.outstanding for each in recall.progress] == [0] * 8
    expected = {each.kind: each.expected for each in recall.progress}
    assert expected == {each.kind: each.expected for each in world.drill.progress}
    assert expected[recall_pb2.RECALL_ENTRY_KIND_REFUND] == 3
    assert expected[recall_pb2.RECALL_ENTRY_KIND_GUEST] == 3


def test_an_order_is_traced_back_to_every_harvest_it_was_served_from(world: World) -> None:
    assert world.origins is not None
    names = ("cucumber", "kitchen", "romaine-lettuce", "tomato")
    assert {lot.lot_id for lot in world.origins.lots} == {world.lots[name].lot_id for name in names}


def test_a_watched_order_is_seen_in_every_later_state_and_ends_fulfilled(world: World) -> None:
    stages = ["pending", "confirmed", "paid", "fulfilled"]
    assert world.watched[-1] == "fulfilled"
    assert world.watched == [state for state in stages if state in world.watched]
    assert len(world.watched) >= 2, "the first state and the last"


def test_refused_orders_say_why(world: World) -> None:
    assert world.failures == ["PAYMENT_DECLINED", "OUT_OF_STOCK", "MENU_ITEM_UNAVAILABLE"]


def test_the_command_plays_the_story_again_on_a_fleet_that_has_seen_it(fleet: RunningFleet) -> None:
    for _ in range(2):
        played = _command(fleet, "demo")
        assert played.returncode == 0, played.stdout + played.stderr
        assert "The lot is recalled: 3 lots, 2 venues" in played.stdout
        assert "The fleet runs on" in played.stdout


async def test_the_large_demo_makes_exactly_what_it_was_asked_for(fleet: RunningFleet) -> None:
    console = Console(file=io.StringIO(), width=160)
    plan = Plan(lots=75, orders=40, in_flight=8)
    tallies = await run_large(console, fleet.settings, fleet.edge_url, fleet.operator, plan, fresh=True)
    made = {kind: tally.made for kind, tally in tallies.items()}
    assert made == {"lots": 75 - plan.stock_lots, "orders": 40}
    assert not any(tally.refused for tally in tallies.values())


async def test_a_large_demo_that_was_interrupted_goes_on_where_it_was(fleet: RunningFleet) -> None:
    console = Console(file=io.StringIO(), width=160)
    plan = Plan(lots=60, orders=30, in_flight=4)
    file = CheckpointFile(fleet.settings)
    checkpoint = file.open(plan, fresh=True)
    await run_large(console, fleet.settings, fleet.edge_url, fleet.operator, plan)
    # As if it had been killed when some of what it did was not noted yet.
    checkpoint.done = {"lots": 3, "orders": 10}
    file.save(checkpoint)
    again = await run_large(console, fleet.settings, fleet.edge_url, fleet.operator, plan)
    # What was done before is answered again, not made again: the run compares with what the API lists. The
    # lot that the first run recalled cannot be sold any more, but a stored answer stays what it was.
    assert again["orders"].made == 20
    assert not again["orders"].refused


def test_trace_shows_a_lot_by_its_code_and_by_its_id(fleet: RunningFleet, world: World) -> None:
    lot = world.lots["kitchen"]
    by_code = _command(fleet, "trace", lot.lot_code)
    assert by_code.returncode == 0, by_code.stderr
    assert "Snack Cup Kitchen" in by_code.stdout
    assert world.lot_code("01") in by_code.stdout, "the harvest it was split from"
    by_id = _command(fleet, "trace", lot.lot_id, "--json")
    answer = json.loads(by_id.stdout)
    assert answer["journey"]["lot"]["lotCode"] == lot.lot_code
    assert answer["journey"]["custody"][-1]["referenceDocument"].startswith("BOL-")
    assert answer["scope"]["recalled"] is True


def test_trace_of_an_unknown_lot_is_one_sentence(fleet: RunningFleet) -> None:
    unknown = _command(fleet, "trace", "no-such-lot")
    assert unknown.returncode == 1
    assert "There is no lot with the code 'no-such-lot'" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_recall_asks_first_and_then_shows_whom_the_lot_reached(fleet: RunningFleet, world: World) -> None:
    lot = world.lots["tomato"]
    drill = _command(fleet, "recall", lot.lot_code, "--drill")
    assert drill.returncode == 0, drill.stderr
    assert "The recall is a drill: nothing is changed and nobody is told." in drill.stdout
    assert _command(fleet, "recall", lot.lot_code).returncode == 2, "a recall needs a reason"
    declined = _command(fleet, "recall", lot.lot_code, "--reason", "x", stdin="n\n")
    assert declined.returncode == 1
    assert "The lot is not recalled" in _command(fleet, "trace", lot.lot_code).stdout
    done = _command(
        fleet, "recall", lot.lot_code, "--reason", "Potential Salmonella", "--class", "II", "--yes"
    )
    assert done.returncode == 0, done.stderr
    assert "The lot is recalled: 1 lot, 1 venue, 1 stock item" in done.stdout


def test_status_shows_versions_and_what_waits(fleet: RunningFleet) -> None:
    shown = _command(fleet, "status", "--json")
    assert shown.returncode == 0, shown.stdout
    services = [part for part in json.loads(shown.stdout)["parts"] if part["kind"] == "service"]
    assert len(services) == len(SERVICES)
    for part in services:
        assert part["health"] == "SERVING"
        assert part["version"]
        assert (part["parked_keys"], part["stuck_sagas"]) == (0, 0), part
        assert part["outbox_lag_rows"] >= 0
        assert part["consumer_lag"] >= 0


def test_the_operators_password_is_never_sent_to_another_edge(fleet: RunningFleet) -> None:
    elsewhere = _command(fleet, "trace", "some-lot", "--edge-url", "http://127.0.0.1:9")
    assert elsewhere.returncode == 1
    assert "--password-file" in elsewhere.stderr
