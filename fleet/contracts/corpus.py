"""Recorded events of every topic, which must decode for ever: `python -m fleet.contracts.corpus`.

A recording is one `Event` with every field of its payload set, as bytes and as JSON: the bytes hold
field numbers, the JSON holds names and meaning. The command adds what is missing and never touches what is
there; after a change of a payload's meaning, record it again: `--version 2 --topic user.updated`.
"""

import argparse
import json
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from fleet.contracts import compiler
from fleet.contracts.compiler import ROOT
from fleet.contracts.model import Contracts, is_map, map_entry

CORPUS = ROOT / "tests" / "contract" / "corpus"
_WHEN = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
_DEEPEST = 4  # levels of messages; deeper ones, such as those of a recursive type, stay empty
_FLOATS = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)


def record(
    contracts: Contracts, version: int, folder: Path = CORPUS, topics: Collection[str] = ()
) -> list[str]:
    """Writes the recordings of `version` that do not exist yet, of `topics` or all; returns their topics."""
    added = []
    for topic, message in sorted(contracts.events()):
        target = folder / topic / f"v{version}.binpb"
        if target.exists() or (topics and topic not in topics):
            continue
        event = contracts.new(contracts.pool.FindMessageTypeByName("greenledger.events.v1.Event"))
        _fill(event, 0)
        event.type, event.schema_version = topic, version
        payload = contracts.new(message)
        _fill(payload, 0)
        event.payload.Pack(payload, deterministic=True)
        text = json_format.MessageToDict(event, descriptor_pool=contracts.pool)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(event.SerializeToString(deterministic=True))
        target.with_suffix(".json").write_text(json.dumps(text, indent=2) + "\n")
        added.append(topic)
    return added


def _fill(message: Any, depth: int) -> None:
    kind: Descriptor = message.DESCRIPTOR
    if kind.full_name == "google.protobuf.Timestamp":
        message.FromDatetime(_WHEN)
        return
    if kind.full_name == "google.protobuf.Any" or depth > _DEEPEST:
        return
    for field in kind.fields:
        if is_map(field):
            _fill_map(getattr(message, field.name), field, depth)
        elif field.message_type is not None:
            targets = [getattr(message, field.name).add() for _ in range(2)] if field.is_repeated else []
            for target in targets or [getattr(message, field.name)]:
                target.SetInParent()
                _fill(target, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend([_scalar(field), _scalar(field)])
        else:
            setattr(message, field.name, _scalar(field))


def _fill_map(target: Any, field: FieldDescriptor, depth: int) -> None:
    key, value = map_entry(field)
    if value.message_type is not None:
        _fill(target[_scalar(key)], depth + 1)
    else:
        target[_scalar(key)] = _scalar(value)


def _scalar(field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return max(field.enum_type.values_by_number)
    if field.type == FieldDescriptor.TYPE_STRING:
        return f"{field.name} {field.number}"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return field.name.encode()
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    return field.number + 0.5 if field.type in _FLOATS else field.number


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m fleet.contracts.corpus", description=__doc__)
    parser.add_argument("--version", type=int, default=1, help="schema version to record (default: 1)")
    parser.add_argument("--topic", action="append", default=[], help="only this one (default: all topics)")
    arguments = parser.parse_args()
    added = record(Contracts(compiler.compile_image()), arguments.version, topics=arguments.topic)
    print(f"{len(added)} topics recorded: {', '.join(added) or 'none was missing'}")


if __name__ == "__main__":
    main()
