"""The outbox: how far the relay is, and sending all of it again."""

from chassis.operations.mechanisms import Context, Methods, order
from chassis.outbox import OutboxPosition
from greenledger.operations.v1 import operations_pb2 as pb


class OutboxMethods(Methods):
    """GetOutbox, ResendOutbox, CancelOutboxResend."""

    async def GetOutbox(self, request: pb.GetOutboxRequest, context: Context) -> pb.OutboxStatus:
        return self._outbox(await self._mechanisms.outbox.position())

    async def ResendOutbox(self, request: pb.ResendOutboxRequest, context: Context) -> pb.OutboxStatus:
        return self._outbox(await self._mechanisms.outbox.resend(request.topic, order(request.why)))

    async def CancelOutboxResend(
        self, request: pb.CancelOutboxResendRequest, context: Context
    ) -> pb.OutboxStatus:
        return self._outbox(await self._mechanisms.outbox.cancel(order(request.why)))

    def _outbox(self, at: OutboxPosition) -> pb.OutboxStatus:
        status = pb.OutboxStatus(
            incarnation=at.incarnation,
            leading=self._mechanisms.relay.leading,
            position=at.position,
            head_position=at.head,
            epoch=at.epoch,
            lag_rows=at.lag.rows,
            lag_seconds=at.lag.seconds,
        )
        if at.resend is not None:
            status.resend.topic = at.resend.topic
            status.resend.until_position = at.resend.until
            status.resend.finished = not at.resending
        return status
