"""Events that could not be applied, and keys that wait."""

from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict, ParseDict

from chassis.context import caller
from chassis.errors import NotFound
from chassis.inbox import Consumer, ParkedEvent
from chassis.operations.mechanisms import Context, Methods
from chassis.paging import page_size
from chassis.protobuf import timestamp_to_proto
from greenledger.operations.v1 import operations_pb2 as pb


class ParkedMethods(Methods):
    """ListParkedEvents, GetParkedKey, ReplayParkedKey, DiscardParkedEvent, SkipToEvent."""

    async def ListParkedEvents(
        self, request: pb.ListParkedEventsRequest, context: Context
    ) -> pb.ListParkedEventsResponse:
        size, tokens = page_size(request.page_size), self._mechanisms.page_tokens
        query = {"method": "ListParkedEvents"}
        cursor = tokens.decode(request.page_token, query)
        after = cursor["after"] if cursor else 0
        found = [
            event
            for consumer in self._mechanisms.consumers.values()
            for event in await consumer.parked.list(after, size + 1)
        ]
        found.sort(key=lambda event: event.position)
        page, token = tokens.cut(found, size, lambda last: {"after": last.position}, query)
        return pb.ListParkedEventsResponse(parked_events=map(_parked, page), next_page_token=token)

    async def GetParkedKey(self, request: pb.GetParkedKeyRequest, context: Context) -> pb.ParkedKey:
        parked = self._consumer(request.consumer).parked
        events, total = await parked.of_key(request.topic, request.key)
        return pb.ParkedKey(
            consumer=request.consumer,
            topic=request.topic,
            key=request.key,
            events=map(_parked, events),
            total_events=total,
        )

    async def ReplayParkedKey(self, request: pb.ReplayParkedKeyRequest, context: Context) -> Empty:
        parked = self._consumer(request.consumer).parked
        await parked.replay(request.topic, request.key, who=caller().subject, why=request.why)
        return Empty()

    async def DiscardParkedEvent(self, request: pb.DiscardParkedEventRequest, context: Context) -> Empty:
        parked = self._consumer(request.consumer).parked
        who = caller().subject
        await parked.discard(request.topic, request.key, request.event_id, who=who, why=request.why)
        return Empty()

    async def SkipToEvent(self, request: pb.SkipToEventRequest, context: Context) -> Empty:
        parked = self._consumer(request.consumer).parked
        await parked.skip_to(
            request.topic,
            request.key,
            request.source,
            request.sequence,
            who=caller().subject,
            why=request.why,
        )
        return Empty()

    def _consumer(self, group: str) -> Consumer:
        try:
            return self._mechanisms.consumers[group]
        except KeyError:
            raise NotFound("CONSUMER_NOT_FOUND", f"this service has no consumer {group!r}") from None


def _parked(event: ParkedEvent) -> pb.ParkedEvent:
    proto = pb.ParkedEvent(
        consumer=event.consumer,
        topic=event.topic,
        key=event.key,
        key_sequence=event.key_sequence,
        event_id=event.event_id,
        reason=event.reason,
        attempts=event.attempts,
        parked_time=timestamp_to_proto(event.parked_time),
        source=event.source,
    )
    if event.payload is not None:
        ParseDict(MessageToDict(event.payload), proto.payload)
    return proto
