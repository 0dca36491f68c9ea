"""Payment facts as domain events."""

from google.protobuf.message import Message

from chassis.database import Database
from chassis.outbox import Outbox, Publication
from chassis.protobuf import money_to_proto
from greenledger.payments.v1 import events_pb2 as pb
from services.payments.domain.events import Declined, PaymentEvent, Refunded, Succeeded, Voided


class PaymentEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def publish(self, event: PaymentEvent) -> None:
        topic, payload = _encode(event)
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [Publication(topic, event.payment.order_id, payload, "payment")])


def _encode(event: PaymentEvent) -> tuple[str, Message]:
    payment = event.payment
    ids = {"payment_id": payment.payment_id, "order_id": payment.order_id}
    match event:
        case Succeeded() if payment.amount is not None:
            amount = money_to_proto(payment.amount)
            return "payment.succeeded", pb.PaymentSucceeded(**ids, payer_id=payment.payer_id, amount=amount)
        case Declined():
            declined = pb.PaymentDeclined(**ids, payer_id=payment.payer_id, decline_code=payment.decline_code)
            return "payment.declined", declined
        case Refunded(amount=amount, total=total, reason=reason):
            return "payment.refunded", pb.PaymentRefunded(
                **ids,
                payer_id=payment.payer_id,
                amount=money_to_proto(amount),
                refunded_total=money_to_proto(total),
                reason=reason,
            )
        case Voided():
            return "payment.voided", pb.PaymentVoided(**ids)
    raise TypeError(f"no topic for {event!r}")
