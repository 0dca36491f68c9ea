"""Settings as the contract shows them."""

from chassis.protobuf import timestamp_to_proto
from greenledger.control.v1 import config_pb2 as pb
from services.control.application.config import Setting
from services.control.domain.catalogue import Kind

_KINDS = {
    Kind.INTEGER: pb.CONFIG_KIND_INTEGER,
    Kind.NUMBER: pb.CONFIG_KIND_NUMBER,
    Kind.BOOLEAN: pb.CONFIG_KIND_BOOLEAN,
    Kind.DURATION: pb.CONFIG_KIND_DURATION,
    Kind.CHOICE: pb.CONFIG_KIND_CHOICE,
}


def setting_to_proto(setting: Setting) -> pb.ConfigEntry:
    """An entry as it is: version 0 says that it has its default, now as in the beginning."""
    version = setting.stored.version if setting.stored.value is not None else 0
    return _entry(setting, version)


def version_to_proto(setting: Setting) -> pb.ConfigEntry:
    """An entry as it was: every version has its number."""
    return _entry(setting, setting.stored.version)


def _entry(setting: Setting, version: int) -> pb.ConfigEntry:
    entry, stored = setting.entry, setting.stored
    return pb.ConfigEntry(
        name=setting.name,
        value=setting.value,
        kind=_KINDS[entry.kind],
        description=entry.description,
        version=version,
        etag=stored.etag,
        update_time=timestamp_to_proto(stored.updated_at) if stored.updated_at else None,
        updated_by=stored.updated_by,
        why=stored.why,
        default_value=entry.default,
    )
