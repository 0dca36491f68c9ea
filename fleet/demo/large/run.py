"""One large run from the first registration to the recall scope, with its figures."""

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fleet.client import CallFailed, Credentials, RpcEdge, Session
from fleet.demo.large.checkpoint import Checkpoint, CheckpointFile
from fleet.demo.large.limits import limits_lifted
from fleet.demo.large.load import Load, Tally
from fleet.demo.large.market import Market
from fleet.demo.large.plan import Names, Plan
from fleet.demo.patience import until
from fleet.errors import FleetError
from fleet.recall_scope import is_stopped, summary, whole
from fleet.settings import FleetSettings
from fleet.trace_view import counts, scope_summary
from greenledger.crops.v1 import crops_pb2
from greenledger.trace.v1 import trace_pb2

_PLAIN_EVERY_S = 10.0


async def run_large(
    console: Console,
    settings: FleetSettings,
    edge_url: str,
    operator: Credentials,
    plan: Plan,
    *,
    fresh: bool = False,
) -> dict[str, Tally]:
    """Make the plan's lots and orders, count them through the API, and recall one lot that was sold.

    A run that was interrupted goes on where it was, with the same people and lots.

    Args:
        fresh: begin anew whatever there is.

    Returns:
        What came of the lots and of the orders, in this call.

    Raises:
        FleetError: the edge does not answer, refuses everything, or lists less than was made.
    """
    file = CheckpointFile(settings)
    checkpoint = file.open(plan, fresh=fresh)
    if checkpoint.started:
        console.print(f"Going on with the run {checkpoint.tag}.", highlight=False)
    async with RpcEdge(edge_url, timeout_s=30.0) as edge:
        market = Market(edge, plan, checkpoint.names, checkpoint.began_at)
        try:
            async with limits_lifted(edge, edge_url, operator, console.print):
                tallies = await _make(console, market, plan, checkpoint, file)
                file.save(checkpoint)
                await _count(console, market, plan, tallies)
                if market.venues:
                    session = await Session.open(edge, operator)
                    await _recall(console, edge, session, market.venues[0].lot_ids[0], checkpoint.names)
        except CallFailed as error:
            raise FleetError(f"The edge at {edge_url} refused a call: {error.code}, {error}.") from error
    file.remove()
    return tallies


async def _make(
    console: Console, market: Market, plan: Plan, checkpoint: Checkpoint, file: CheckpointFile
) -> dict[str, Tally]:
    people = plan.growers + plan.guests + plan.venues
    with _progress(console, "people and venues", people) as advance:
        done = iter(range(1, people + 1))
        await market.open(lambda: advance(next(done)))

    async def load(kind: str, total: int, unit: Callable[[int], Awaitable[int]], per_unit: int) -> Tally:
        first = min(checkpoint.done.get(kind, 0), total)
        with _progress(console, kind, total * per_unit) as advance:
            base = first * per_unit
            advance(base)
            runner = Load(
                plan.in_flight,
                lambda tally: advance(base + tally.made + tally.refused.total() * per_unit),
                file.keeper(checkpoint, kind),
            )
            return await runner.run(first, total, unit)

    # Stock lots are made with the venues; the harvests are the load.
    lots = await load("lots", plan.harvests, market.harvest, 10)
    orders = await load("orders", plan.orders, market.order, 1)
    return {"lots": lots, "orders": orders}


async def _count(console: Console, market: Market, plan: Plan, tallies: dict[str, Tally]) -> None:
    """Say what was made, beside what the API lists."""
    seen = {"lots": await market.lots_seen(), "orders": await market.orders_seen()}
    wanted = {"lots": plan.lots, "orders": plan.orders}
    table = Table(title="Made through the edge", title_justify="left")
    table.add_column("what")
    for heading in ("wanted", "listed", "made now", "a second", "p50 ms", "p99 ms", "retried", "refused"):
        table.add_column(heading, justify="right")
    for kind, tally in tallies.items():
        refused = ", ".join(f"{reason} {count}" for reason, count in tally.refused.items()) or "0"
        table.add_row(
            *(kind, f"{wanted[kind]:,}", f"{seen[kind]:,}", f"{tally.made:,}", f"{tally.rate:,.0f}"),
            *(f"{tally.percentile_ms(50):,.0f}", f"{tally.percentile_ms(99):,.0f}"),
            *(f"{tally.retried:,}", refused),
        )
    console.print(table)
    console.print(
        f"Of the lots, {plan.stock_lots} were made with the {plan.venues} venues that sell from them. "
        "Latencies are of a whole harvest (one mint, one split) and of a whole checkout.",
        highlight=False,
        soft_wrap=True,
    )
    for kind, tally in tallies.items():
        if seen[kind] != wanted[kind] and not tally.refused:
            raise FleetError(f"{wanted[kind]:,} {kind} were answered, but the API lists {seen[kind]:,}.")


async def _recall(console: Console, edge: RpcEdge, operator: Session, lot_id: str, names: Names) -> None:
    request = crops_pb2.RecallLotRequest(
        request_id=names.request_id("recall"),
        lot_id=lot_id,
        reason="Potential Salmonella",
        recall_class=crops_pb2.RecallClass.RECALL_CLASS_I,
    )
    await edge.call(edge.crops.RecallLot, request, operator)
    took_s = 0.0

    async def ask() -> trace_pb2.RecallScope | None:
        nonlocal took_s
        began = time.monotonic()
        scope = await summary(edge, operator, lot_id)
        took_s = time.monotonic() - began
        return scope if is_stopped(scope) else None

    began = time.monotonic()
    scope = await until(ask, "The recall scope", timeout_s=60.0)
    console.print(scope_summary(scope))
    console.print(
        f"The recall was everywhere after {time.monotonic() - began:.2f} s; "
        f"the last answer took {took_s * 1000:.0f} ms.",
        highlight=False,
        soft_wrap=True,
    )
    began = time.monotonic()
    everything = await whole(edge, operator, scope)
    listed = (len(everything.orders), len(everything.guest_ids))
    if listed != (scope.order_count, scope.guest_count):
        raise FleetError(f"The scope counts {counts(scope)}, but its pages list {listed}.")
    console.print(f"Listing all of it took {time.monotonic() - began:.2f} s.", highlight=False)


@contextlib.contextmanager
def _progress(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how far it is: a bar on a terminal, a line every ten seconds elsewhere."""
    if not console.is_terminal:
        with _plain_progress(console, what, total) as advance:
            yield advance
        return
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextlib.contextmanager
def _plain_progress(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    began = said = time.monotonic()
    last = 0

    def advance(done: int) -> None:
        nonlocal said, last
        last = done
        if time.monotonic() - said > _PLAIN_EVERY_S:
            said = time.monotonic()
            console.print(f"{what}: {done:,} of {total:,} after {said - began:.0f} s", highlight=False)

    yield advance
    console.print(f"{what}: {last:,} in {time.monotonic() - began:.1f} s", highlight=False)
