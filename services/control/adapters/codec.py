"""Instances: protobuf to domain and back."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from chassis.protobuf import timestamp_from_proto, timestamp_to_proto
from greenledger.control.v1 import control_pb2 as pb
from services.control.domain.instances import Health, HealthCheck, Instance
from services.control.domain.registration import DEFAULT_LEASE, HEARTBEATS_PER_LEASE, Announcement

_DEFAULT_CHECK = HealthCheck()
_HEALTH = {
    Health.UNKNOWN: pb.INSTANCE_HEALTH_UNKNOWN,
    Health.PASSING: pb.INSTANCE_HEALTH_PASSING,
    Health.CRITICAL: pb.INSTANCE_HEALTH_CRITICAL,
    Health.DRAINING: pb.INSTANCE_HEALTH_DRAINING,
}
_FROM_HEALTH = {value: health for health, value in _HEALTH.items()}


def duration_to_proto(time: timedelta) -> Duration:
    """A length of time."""
    proto = Duration()
    proto.FromTimedelta(time)
    return proto


def announcement_from_proto(request: pb.RegisterRequest) -> Announcement:
    """What an instance registers with; what is not given has its default."""
    told = request.instance
    return Announcement(
        instance_id=told.instance_id,
        service=told.service,
        version=told.version,
        address=told.address,
        port=told.port,
        lease=request.lease.ToTimedelta() if request.HasField("lease") else DEFAULT_LEASE,
        health_check=_check_from_proto(told.health_check),
        dependencies=tuple(told.dependencies),
        metadata=dict(told.metadata),
    )


def registration_to_proto(instance: Instance) -> pb.Registration:
    """What an instance learns of its lease."""
    return pb.Registration(
        instance_id=instance.instance_id,
        lease_expire_time=timestamp_to_proto(instance.lease_expires_at),
        heartbeat_interval=duration_to_proto(instance.lease / HEARTBEATS_PER_LEASE),
    )


def instance_to_proto(instance: Instance) -> pb.Instance:
    """An instance as the contract shows it."""
    check = instance.health_check
    return pb.Instance(
        instance_id=instance.instance_id,
        service=instance.service,
        version=instance.version,
        address=instance.address,
        port=instance.port,
        health_check=pb.HealthCheck(
            service=check.service,
            interval=duration_to_proto(check.interval),
            timeout=duration_to_proto(check.timeout),
            critical_timeout=duration_to_proto(check.critical_timeout),
        ),
        dependencies=instance.dependencies,
        metadata=dict(instance.metadata),
        health=_HEALTH[instance.health],
        register_time=timestamp_to_proto(instance.registered_at),
        lease_expire_time=timestamp_to_proto(instance.lease_expires_at),
        health_change_time=timestamp_to_proto(instance.health_changed_at),
        health_detail=instance.health_detail,
    )


def instance_from_proto(proto: pb.Instance, lease: timedelta) -> Instance:
    """An instance as it was saved."""
    return Instance(
        instance_id=proto.instance_id,
        service=proto.service,
        version=proto.version,
        address=proto.address,
        port=proto.port,
        lease=lease,
        registered_at=timestamp_from_proto(proto.register_time),
        lease_expires_at=timestamp_from_proto(proto.lease_expire_time),
        health_changed_at=timestamp_from_proto(proto.health_change_time),
        health_check=_check_from_proto(proto.health_check),
        dependencies=tuple(proto.dependencies),
        metadata=dict(proto.metadata),
        health=_FROM_HEALTH.get(proto.health, Health.UNKNOWN),
        health_detail=proto.health_detail,
    )


def _check_from_proto(proto: pb.HealthCheck) -> HealthCheck:
    given = {field.name: getattr(proto, field.name) for field, _ in proto.ListFields()}

    def time(name: str, default: timedelta) -> timedelta:
        return given[name].ToTimedelta() if name in given else default

    return HealthCheck(
        service=proto.service,
        interval=time("interval", _DEFAULT_CHECK.interval),
        timeout=time("timeout", _DEFAULT_CHECK.timeout),
        critical_timeout=time("critical_timeout", _DEFAULT_CHECK.critical_timeout),
    )
