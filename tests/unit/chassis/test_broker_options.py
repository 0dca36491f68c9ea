"""Options of an external broker: read, kept secret, and kept off what the guarantees rest on."""

import ast
from pathlib import Path

import pytest

from chassis.broker import Broker, BrokerSettings
from chassis.broker_options import BrokerOptions, BrokerOptionsError

ROOT = Path(__file__).parents[3]
SECRET = "hunter2-is-secret"


def test_options_come_from_the_variable_and_the_file(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(f"# the account\nsasl.username=ann\n\n  sasl.password = {SECRET},=# \n")
    options = BrokerOptions.read("security.protocol=SASL_SSL, sasl.mechanism=SCRAM-SHA-512,", str(file))
    assert dict(options) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": f"{SECRET},=#",
    }
    assert len(BrokerOptions.read("", "")) == 0


def test_values_show_nowhere() -> None:
    options = BrokerOptions({"sasl.password": SECRET, "sasl.username": "ann"})
    for text in (repr(options), str(options), repr(BrokerSettings("h:1", options=options))):
        assert SECRET not in text
        assert "sasl.password" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"sasl.username=ann,{SECRET}", "entry 2 is not name=value"),
        (f"={SECRET}", "entry 1 is not name=value"),
        (f"sasl.password={SECRET},sasl.password={SECRET}", "sasl.password is given twice"),
    ],
    ids=["no equals sign", "no name", "twice"],
)
def test_malformed_options_are_refused_without_showing_them(text: str, expected: str) -> None:
    with pytest.raises(BrokerOptionsError, match=expected) as refused:
        BrokerOptions.read(text, "")
    assert SECRET not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokerOptionsError, match=r"nowhere, which cannot be read: No such file"):
        BrokerOptions.read("", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("acks", "all replicas"),
        ("request.required.acks", "all replicas"),
        ("enable.idempotence", "once and in order"),
        ("enable.auto.commit", "after its database has committed"),
        ("auto.commit.interval.ms", "after its database has committed"),
        ("isolation.level", "only what was committed"),
        ("transactional.id", "fence"),
        ("group.id", "incarnation"),
        ("partitioner", "one partition"),
        ("message.max.bytes", "GREENLEDGER_KAFKA_MAX_MESSAGE_BYTES"),
        ("bootstrap.servers", "GREENLEDGER_KAFKA_BOOTSTRAP"),
        ("debug", "secrets"),
    ],
)
def test_what_the_guarantees_rest_on_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(BrokerOptionsError, match=rf"^{name} must not be set: .*{why}"):
        BrokerOptions.read(f"{name}=1", "")


def test_every_property_that_the_chassis_sets_itself_is_refused() -> None:
    ours = set()
    for name in ("broker.py", "outbox/sender.py", "inbox/group_client.py"):
        for node in ast.walk(ast.parse((ROOT / "chassis" / name).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "client_options":
                ours |= {keyword.arg.replace("_", ".") for keyword in node.keywords if keyword.arg}
    assert {"acks", "transactional.id", "isolation.level", "linger.ms"} <= ours
    for name in ours:
        with pytest.raises(BrokerOptionsError):
            BrokerOptions({name: "1"})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"no.such.property": SECRET}, "no.such.property"),
        ({"security.protocol": SECRET}, "security.protocol"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}, "sasl.username"),
    ],
    ids=["unknown", "value", "incomplete"],
)
async def test_what_librdkafka_does_not_take_is_told_before_anything_connects(
    options: dict[str, str], expected: str
) -> None:
    broker = Broker(BrokerSettings("127.0.0.1:1", options=BrokerOptions(options)))
    with pytest.raises(BrokerOptionsError, match=expected) as refused:
        broker.check_options()
    assert SECRET not in str(refused.value)
