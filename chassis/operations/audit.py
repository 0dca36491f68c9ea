"""What operators did."""

from chassis import audit
from chassis.operations.mechanisms import Context, Methods
from chassis.paging import page_size
from chassis.protobuf import timestamp_to_proto
from greenledger.operations.v1 import operations_pb2 as pb


class AuditMethods(Methods):
    """ListOperatorActions."""

    async def ListOperatorActions(
        self, request: pb.ListOperatorActionsRequest, context: Context
    ) -> pb.ListOperatorActionsResponse:
        size, tokens = page_size(request.page_size), self._mechanisms.page_tokens
        query = {"method": "ListOperatorActions", "subject": request.subject}
        cursor = tokens.decode(request.page_token, query)
        found = await audit.actions(
            self._mechanisms.database,
            request.subject or None,
            before=cursor["before"] if cursor else None,
            limit=size + 1,
        )
        page, token = tokens.cut(found, size, lambda last: {"before": last.number}, query)
        return pb.ListOperatorActionsResponse(actions=map(_action, page), next_page_token=token)


def _action(action: audit.Action) -> pb.OperatorAction:
    return pb.OperatorAction(
        subject=action.subject,
        who=action.who,
        what=action.what,
        why=action.why,
        time=timestamp_to_proto(action.at),
    )
