"""For whom a call acts."""

from dataclasses import replace

from chassis.context import Principal, caller
from chassis.errors import PermissionDenied
from services.crops.adapters.codec import id_from_proto


def acting_for(named: str) -> Principal:
    """The caller; where a service names somebody, that person with the service's permissions.

    Raises:
        PermissionDenied: NOT_OWNER, a person names someone else.
    """
    actor, subject = caller(), id_from_proto(named)
    if not subject or subject == actor.subject:
        return actor
    if actor.kind != "service":
        raise PermissionDenied("NOT_OWNER", "only services act on behalf of others")
    return replace(actor, subject=subject)
