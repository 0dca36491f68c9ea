"""Projections: how far they are, and building them anew."""

from collections.abc import Mapping, Sequence

from chassis.operations.mechanisms import Context, Methods, order
from chassis.paging import page_size
from chassis.projection import Checksum, ProjectionState, ProjectionStatus
from chassis.protobuf import timestamp_to_proto
from greenledger.operations.v1 import operations_pb2 as pb

_STATES = {
    "live": pb.PROJECTION_STATE_LIVE,
    "building": pb.PROJECTION_STATE_BUILDING,
    "differs": pb.PROJECTION_STATE_DIFFERS,
}


class ProjectionMethods(Methods):
    """ListProjections, GetProjection, RebuildProjection, CancelProjectionRebuild, SwapProjection."""

    async def ListProjections(
        self, request: pb.ListProjectionsRequest, context: Context
    ) -> pb.ListProjectionsResponse:
        size, tokens = page_size(request.page_size), self._mechanisms.page_tokens
        query = {"method": "ListProjections"}
        cursor = tokens.decode(request.page_token, query)
        found = await self._mechanisms.projections.page(cursor["after"] if cursor else "", size + 1)
        page, token = tokens.cut(found, size, lambda last: {"after": last.name}, query)
        return pb.ListProjectionsResponse(projections=map(_projection, page), next_page_token=token)

    async def GetProjection(self, request: pb.GetProjectionRequest, context: Context) -> pb.Projection:
        projections = self._mechanisms.projections
        sums = await projections.checksums(request.projection) if request.checksums else {}
        return _projection(await projections.get(request.projection), sums)

    async def RebuildProjection(
        self, request: pb.RebuildProjectionRequest, context: Context
    ) -> pb.Projection:
        return _projection(await self._mechanisms.projections.rebuild(request.projection, order(request.why)))

    async def CancelProjectionRebuild(
        self, request: pb.CancelProjectionRebuildRequest, context: Context
    ) -> pb.Projection:
        return _projection(await self._mechanisms.projections.cancel(request.projection, order(request.why)))

    async def SwapProjection(self, request: pb.SwapProjectionRequest, context: Context) -> pb.Projection:
        return _projection(
            await self._mechanisms.projections.swap(
                request.projection, order(request.why), accept_difference=request.accept_difference
            )
        )


_CHECKSUMS = 1 << 128
_NONE: Mapping[int, Sequence[Checksum]] = {}


def _projection(state: ProjectionState, sums: Mapping[int, Sequence[Checksum]] = _NONE) -> pb.Projection:
    return pb.Projection(
        projection=state.name,
        live=_version(state.live, sums) if state.live else None,
        building=_version(state.building, sums) if state.building else None,
        head_position=state.head,
    )


def _version(status: ProjectionStatus, sums: Mapping[int, Sequence[Checksum]]) -> pb.ProjectionVersion:
    return pb.ProjectionVersion(
        version=status.version,
        state=_STATES[status.status],
        logic_version=status.logic_version,
        position=status.position,
        lag=status.lag,
        last_error=status.last_error or "",
        update_time=timestamp_to_proto(status.updated_at),
        checksums=[
            pb.TableChecksum(table=entry.table, rows=entry.rows, checksum=f"{entry.value % _CHECKSUMS:032x}")
            for entry in sums.get(status.version, ())
        ],
    )
