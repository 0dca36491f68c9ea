"""The model as EPCIS JSON-LD that the official JSON schema accepts."""

from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.event_shapes import EVENTS, EXTENDED
from services.crops.domain.epcis.jsontext import Json


def render_event(event: m.Event) -> dict[str, Json]:
    """One event as a JSON object; numbers stay `Decimal` (write it with `jsontext.dumps`)."""
    if isinstance(event, m.ExtendedEvent):
        return EXTENDED.write(event)
    return {"type": event.TYPE, **EVENTS[event.TYPE].write(event)}


def render(value: m.Document | m.Event) -> dict[str, Json]:
    """A document or an event as it was parsed."""
    if isinstance(value, m.Event):
        return render_event(value)
    return render_head(value.head, [render_event(event) for event in value.events])


def render_head(head: m.DocumentHead | m.QueryDocumentHead, events: list[Json]) -> dict[str, Json]:
    """A document around events that are rendered already."""
    if isinstance(head, m.DocumentHead):
        written = _present(
            {
                "@context": head.context,
                "id": head.id,
                "type": head.TYPE,
                "schemaVersion": head.schema_version,
                "creationDate": head.creation_date.text,
                "instanceIdentifier": head.instance_identifier,
                "sender": head.sender,
                "receiver": head.receiver,
                "epcisHeader": head.header,
            }
        )
        return {**written, **head.extensions, "epcisBody": {**head.body_extensions, "eventList": events}}
    results_body = _present({"vocabularyList": head.vocabularies}) | dict(head.results_body_extensions)
    results = _present({"subscriptionID": head.subscription_id}) | dict(head.results_extensions)
    written = _present(
        {
            "@context": head.context,
            "id": head.id,
            "type": head.TYPE,
            "schemaVersion": head.schema_version,
            "creationDate": head.creation_date.text if head.creation_date else None,
        }
    )
    body = {
        **head.body_extensions,
        "queryResults": {
            **results,
            "queryName": head.query_name,
            "resultsBody": {**results_body, "eventList": events},
        },
    }
    return {**written, **head.extensions, "epcisBody": body}


def _present(values: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None}
