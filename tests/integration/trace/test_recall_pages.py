"""The pages of a recall scope: of one state of knowledge, complete, without doubles, small."""

import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.context import Principal, RequestContext, use
from chassis.errors import InvalidArgument, NotFound, PermissionDenied
from fleet import recall_scope
from greenledger.trace.v1 import trace_pb2 as pb
from services.trace.adapters.grpc import TraceServicer
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import season
from tests.integration.trace.test_answers import AUDITOR, OPERATOR

MIB = 1024 * 1024
NO_CONTEXT: Any = None
ORDERS = 100_000
# One harvest in 40 lots at 40 venues, a fifth of the orders from two lots, two orders for a guest; and as
# much again of another harvest.
LARGE = f"""
INSERT INTO traced_lot (lot_id, product_code) VALUES ('root', 'p');
INSERT INTO traced_lot (lot_id, product_code, recalled) SELECT 'lot-' || n, 'p', n <= 30
FROM generate_series(1, 80) n;
INSERT INTO lot_edge (parent_id, child_id, position) SELECT 'root', 'lot-' || n, 1
FROM generate_series(1, 40) n;
INSERT INTO stock (stock_item_id, venue_id, lot_id, quarantined, position)
SELECT 's' || n, 'v' || n, 'lot-' || n, n <= 10, 1 FROM generate_series(1, 80) n;
INSERT INTO venue (venue_id, name, owner_id) SELECT 'v' || n, 'Venue ' || n, 'o'
FROM generate_series(1, 80) n;
INSERT INTO menu_item (menu_item_id, venue_id, name, product_codes, lot_ids, revision, position)
SELECT 'm' || n, 'v' || n % 80 + 1, 'Salad', ARRAY['p'], '{{}}', 1, 1 FROM generate_series(1, 1600) n;
INSERT INTO traced_order (order_id, venue_id, guest_id, state, placed_at, consumed, consumed_position)
SELECT uuidv7(), 'v' || n % 80 + 1, lpad(n / 2 || '', 36, 'g'), 4,
       timestamptz '2026-06-01Z' + n * interval '1 s', true, 1
FROM generate_series(0, {2 * ORDERS} - 1) n;
INSERT INTO allocation (order_id, stock_item_id, menu_item_id, lot_id, consumed, consumed_position)
SELECT order_id, 's', 'm', 'lot-' || substr(venue_id, 2), true, 1 FROM traced_order;
INSERT INTO allocation (order_id, stock_item_id, menu_item_id, lot_id, consumed, consumed_position)
SELECT order_id, 's2', 'm', 'lot-' || substr(venue_id, 2)::int - 1, true, 1 FROM traced_order
WHERE substr(venue_id, 2)::int % 5 = 2;
INSERT INTO learned (position, at) VALUES (nextval('learned_position'), '2026-06-03Z');
ANALYZE;
"""
KINDS = ("lot", "stock", "venue", "menu_item", "order", "guest_id", "shipment")


@pytest.fixture
def servicer(trace: Trace) -> TraceServicer:
    return trace.servicer()


async def pages(
    servicer: TraceServicer, lot_id: str, actor: Principal = OPERATOR, **asked: Any
) -> AsyncIterator[pb.ListRecallScopeEntriesResponse]:
    request = pb.ListRecallScopeEntriesRequest(lot_id=lot_id, **asked)
    while True:
        with use(RequestContext(principal=actor)):
            page = await servicer.ListRecallScopeEntries(request, NO_CONTEXT)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def listed(
    servicer: TraceServicer, lot_id: str, actor: Principal = OPERATOR, **asked: Any
) -> dict[str, list[str]]:
    """The ids of the entries by kind, in the order in which they came."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    async for page in pages(servicer, lot_id, actor, **asked):
        for entry in page.entries:
            found[entry.WhichOneof("entry") or ""].append(entry_id(entry))
    return found


def entry_id(entry: pb.RecallScopeEntry) -> str:
    kind = entry.WhichOneof("entry")
    id_of = {"stock": "stock_item_id"}.get(str(kind), f"{kind}_id")
    return entry.guest_id if kind == "guest_id" else str(getattr(getattr(entry, str(kind)), id_of))


REACHED = {
    "lot": ["a", "a1", "a2", "a3"],
    "stock": ["s1", "s2"],
    "venue": ["v1", "v2"],
    "menu_item": ["salad", "special"],
    "order": ["again", "eaten", "open"],
    "guest_id": ["g1", "g2"],
    "shipment": [],
}


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
async def test_pages_of_any_size_hold_everything_once(
    trace: Trace, servicer: TraceServicer, page_size: int
) -> None:
    await trace.hear(season().events)
    assert await listed(servicer, "a", page_size=page_size) == REACHED
    for kind in pb.RecallScopeKind.values()[1:]:
        name = KINDS[kind - 1]
        only = {other: REACHED[name] if other == name else [] for other in KINDS}
        assert await listed(servicer, "a", page_size=page_size, kind=kind) == only


async def test_what_happens_meanwhile_changes_no_page(trace: Trace, servicer: TraceServicer) -> None:
    story = season()
    await trace.hear(story.events)
    so_far = len(story.events)
    scope = await trace.scopes.summary(OPERATOR, "a")
    walk = pages(servicer, "a", page_size=1)
    first = [entry_id(entry) for entry in (await anext(walk)).entries]

    story.split("a", 40, a0=5, a9=5)
    story.receive("s0", "v0", "a0", 5)
    story.menu("salad", "v1", 3, product="kale")
    story.menu("salad", "v1", 4, product="kale")
    story.menu("kale-soup", "v1", 2, product="romaine")
    story.menu("special", "v2", 2, lot="c")
    story.release("open", "v2")
    story.fail("again", "g1", "v1")
    story.reserve("aaa", "v1", ("s1", "a1", "salad"))
    story.confirm("aaa", "g0", "v1")
    await trace.hear(story.events[so_far:])

    rest = [entry_id(entry) async for page in walk for entry in page.entries]
    assert first + rest == [each for kind in KINDS for each in REACHED[kind]]
    assert await listed(servicer, "a", position=scope.position) == REACHED
    assert await trace.scopes.summary(OPERATOR, "a") != scope
    assert await listed(servicer, "a") == {
        "lot": ["a", "a0", "a1", "a2", "a3", "a9"],
        "stock": ["s0", "s1", "s2"],
        "venue": ["v0", "v1", "v2"],
        "menu_item": ["kale-soup"],
        "order": ["aaa", "eaten"],
        "guest_id": ["g0", "g1"],
        "shipment": [],
    }


async def test_an_item_that_changes_all_the_time_keeps_a_limited_past(trace: Trace) -> None:
    story = season()
    for revision in range(3, 60):
        story.menu("salad", "v1", revision, product="romaine")
    await trace.hear(story.events, at_once=1)
    assert await trace.database.fetchval("SELECT count(*) FROM menu_item_past") == 20


async def test_a_position_is_given_only_when_everything_up_to_it_is_known(trace: Trace) -> None:
    reader = trace.scopes._graph
    async with trace.database.transaction() as tx:
        before = await reader.present()
        late = await tx.fetchval("SELECT learn($1)", datetime(2026, 6, 1, tzinfo=UTC))
        other = await trace.database._acquire()
        try:
            await other.execute("SELECT learn(now())")
        finally:
            trace.database._pool.release(other)
        assert await reader.present() == before < late
    assert await reader.present() == late + 1


async def test_guests_are_listed_only_to_those_who_may_know(trace: Trace, servicer: TraceServicer) -> None:
    await trace.hear(season().events)
    assert await listed(servicer, "a", AUDITOR) == REACHED | {"guest_id": []}
    async for page in pages(servicer, "a", AUDITOR):
        assert not any(entry.order.guest_id for entry in page.entries)
    with pytest.raises(PermissionDenied):
        await listed(servicer, "a", AUDITOR, kind=pb.RECALL_SCOPE_KIND_GUEST)
    # A token does not carry the permissions of the one whom it was given to.
    first = await anext(pages(servicer, "a", kind=pb.RECALL_SCOPE_KIND_GUEST, page_size=1))
    with pytest.raises(PermissionDenied):
        await listed(
            servicer, "a", AUDITOR, kind=pb.RECALL_SCOPE_KIND_GUEST, page_token=first.next_page_token
        )


async def test_requests_that_make_no_sense_are_refused(trace: Trace, servicer: TraceServicer) -> None:
    await trace.hear(season().events)
    with pytest.raises(NotFound, match="lot nothing"):
        await listed(servicer, "nothing")
    with pytest.raises(InvalidArgument) as refused:
        await listed(servicer, "a", position=10**12)
    assert refused.value.reason == "POSITION_UNKNOWN"
    token = (await anext(pages(servicer, "a", page_size=1))).next_page_token
    for other in ({"lot_id": "a1"}, {"lot_id": "a", "kind": 1}, {"lot_id": "a", "position": 1}):
        with pytest.raises(InvalidArgument) as refused:
            await listed(servicer, page_token=token, **other)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_a_page_of_large_entries_ends_early(trace: Trace, servicer: TraceServicer) -> None:
    await trace.database.execute(
        """
        INSERT INTO traced_lot (lot_id) VALUES ('l');
        INSERT INTO traced_order (order_id) SELECT 'o' || n FROM generate_series(1, 500) n;
        INSERT INTO allocation (order_id, stock_item_id, menu_item_id, lot_id, consumed)
        SELECT 'o' || n, 's', repeat('m', 90) || item, 'l', true
        FROM generate_series(1, 500) n, generate_series(1, 100) item;
        """
    )
    kind = pb.RECALL_SCOPE_KIND_ORDER
    sizes = [page.ByteSize() async for page in pages(servicer, "l", kind=kind, page_size=1000)]
    assert len(sizes) > 1
    assert max(sizes) < 1.01 * MIB
    assert len((await listed(servicer, "l", kind=kind, page_size=1000))["order"]) == 500


class InProcess:
    """The servicer in the place of an edge."""

    def __init__(self, servicer: TraceServicer, actor: Principal) -> None:
        self.trace = servicer
        self._actor = actor

    async def call(self, method: Any, request: Any, session: Any) -> Any:
        with use(RequestContext(principal=self._actor)):
            return await method(request, NO_CONTEXT)


@pytest.mark.parametrize("personal", [True, False])
async def test_a_caller_gets_the_whole_of_a_large_scope(
    trace: Trace, servicer: TraceServicer, personal: bool
) -> None:
    story = season()
    for number in range(250):
        order = f"many-{number:03}"
        story.reserve(order, "v1", ("s1", "a1", "salad"))
        story.confirm(order, f"g{number:03}", "v1")
    await trace.hear(story.events, at_once=50)
    edge: Any = InProcess(servicer, OPERATOR if personal else AUDITOR)
    scope = await recall_scope.summary(edge, NO_CONTEXT, "a")
    assert not scope.complete
    assert len(scope.orders) == 100
    filled = await recall_scope.whole(edge, NO_CONTEXT, scope)
    assert len({order.order_id for order in filled.orders}) == len(filled.orders) == scope.order_count == 253
    assert len(set(filled.guest_ids)) == len(filled.guest_ids) == (252 if personal else 0)
    assert (len(filled.lots), len(filled.stock)) == (scope.lot_count, scope.stock_count)
    assert filled.complete
    assert recall_scope.is_stopped(filled, recalled=4)
    assert not recall_scope.is_stopped(filled, recalled=5)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_scope_of_a_hundred_thousand_orders(trace: Trace, servicer: TraceServicer) -> None:
    await trace.database.execute(LARGE)
    with use(RequestContext(principal=OPERATOR)):
        scope = await servicer.GetRecallScope(pb.GetRecallScopeRequest(lot_id="root"), NO_CONTEXT)
    expected = {
        "lot": 41,
        "stock": 40,
        "venue": 40,
        "menu_item": 800,
        "order": ORDERS,
        "guest_id": ORDERS // 2,
        "shipment": 0,
    }
    counts = (scope.lot_count, scope.stock_count, scope.venue_count, scope.menu_item_count)
    assert (*counts, scope.order_count, scope.guest_count, scope.shipment_count) == tuple(expected.values())
    assert (scope.recalled_lot_count, scope.quarantined_stock_count) == (30, 10)
    assert (len(scope.orders), len(scope.guest_ids), scope.complete) == (100, 100, False)
    assert scope.ByteSize() < MIB // 10

    for kind, name in zip(pb.RecallScopeKind.values()[1:], KINDS, strict=True):
        asked: dict[str, Any] = {"kind": kind, "position": scope.position, "page_size": 20_000}
        found: list[str] = []
        async for page in pages(servicer, "root", **asked):
            assert page.ByteSize() < 1.01 * MIB
            found += map(entry_id, page.entries)
        assert len(found) == len(set(found)) == expected[name], name

    for kind in (pb.RECALL_SCOPE_KIND_ORDER, pb.RECALL_SCOPE_KIND_GUEST):
        tracemalloc.start()
        await anext(pages(servicer, "root", kind=kind, page_size=20_000))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 32 * MIB
