"""Every public method, from the descriptors, and requests of it that are wrong in one place."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stoflow
from buf.validate import validate_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

MARKER = "~~here~~"
UNKNOWN_TENANT = 987_654_321
UNKNOWN_MARKETPLACE = "nowhere"
# One more than the service's transport takes.
OVERSIZED_BYTES = 8 * 1024 * 1024 + 1
_RESERVED = ("google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.Struct")


@dataclass(frozen=True)
class Method:
    """One RPC."""

    descriptor: MethodDescriptor

    def __str__(self) -> str:
        return f"{self.descriptor.containing_service.name}.{self.descriptor.name}"

    @property
    def path(self) -> str:
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def is_client_streaming(self) -> bool:
        return bool(self.descriptor.client_streaming)

    @property
    def is_server_streaming(self) -> bool:
        return bool(self.descriptor.server_streaming)

    def new_request(self) -> Any:
        return message_factory.GetMessageClass(self.descriptor.input_type)()

    @property
    def fields(self) -> list[Place]:
        return list(_walk(self.descriptor.input_type, (), frozenset()))


@dataclass(frozen=True)
class Place:
    """A field of a request, however deep; of repeated ones the first."""

    names: tuple[str, ...]
    field: FieldDescriptor
    labels: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)

    @property
    def violation(self) -> str:
        """The path under which a violation of the value names it."""
        return ".".join(self.labels)

    @property
    def rules(self) -> Any:
        return self.field.GetOptions().Extensions[validate_pb2.field]

    @property
    def is_message(self) -> bool:
        return self.field.message_type is not None

    def is_type(self, full_name: str) -> bool:
        return self.field.message_type is not None and self.field.message_type.full_name == full_name

    @property
    def is_text(self) -> bool:
        return self.field.cpp_type == FieldDescriptor.CPPTYPE_STRING and (
            self.field.type == FieldDescriptor.TYPE_STRING
        )

    @property
    def is_enum(self) -> bool:
        return self.field.enum_type is not None

    @property
    def is_uuid(self) -> bool:
        return bool(self.rules.string.uuid or self.rules.repeated.items.string.uuid)

    @property
    def is_id(self) -> bool:
        """Whether it names something that may not exist."""
        return self.field.name in ("tenant_id", "marketplace") or (
            self.is_uuid and self.field.name != "request_id"
        )

    @property
    def is_required(self) -> bool:
        """Whether leaving it out breaks a rule of its own."""
        rules = self.rules
        if rules.required:
            return True
        if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE or self.is_message:
            return False
        if self.field.is_repeated:
            return bool(rules.repeated.min_items)
        if self.field.has_presence:
            return False
        text, number = rules.string, rules.int64
        return bool(
            text.uuid or text.pattern or text.min_len or number.HasField("gt") or 0 in rules.enum.not_in
        )

    def unknown_value(self) -> Any:
        """A well-formed value that names nothing."""
        if self.field.name == "tenant_id":
            return UNKNOWN_TENANT
        return UNKNOWN_MARKETPLACE if self.field.name == "marketplace" else str(uuid.uuid4())

    def put(self, request: Any, value: Any) -> None:
        holder = self._holder(request)
        if self.is_message:
            target = getattr(holder, self.field.name)
            if self.field.is_repeated:
                del target[:]
                target.add().CopyFrom(value)
            else:
                target.CopyFrom(value)
        elif self.field.is_repeated:
            getattr(holder, self.field.name)[:] = [value]
        else:
            setattr(holder, self.field.name, value)

    def clear(self, request: Any) -> None:
        self._holder(request).ClearField(self.field.name)

    def _holder(self, request: Any) -> Any:
        for name in self.names[:-1]:
            value = getattr(request, name)
            if request.DESCRIPTOR.fields_by_name[name].is_repeated:
                request = value[0] if value else value.add()
            else:
                # Chooses it where it is one of a oneof.
                value.SetInParent()
                request = value
        return request


def public_methods() -> list[Method]:
    """Returns the methods of every service in the generated stubs."""
    methods: list[Method] = []
    for root in stoflow.__path__:
        for file in sorted(Path(root).rglob("*_service_pb2.py")):
            parts = file.relative_to(root).with_suffix("").parts
            module = importlib.import_module(".".join(("stoflow", *parts)))
            for service in module.DESCRIPTOR.services_by_name.values():
                methods.extend(Method(method) for method in service.methods)
    return methods


def oversized() -> bytes:
    """A message that any type would parse: one unknown field, and too long."""
    return b"\xfa\xff\x03" + _varint(OVERSIZED_BYTES) + b"x" * OVERSIZED_BYTES


def required_oneofs(descriptor: Descriptor) -> list[str]:
    """Names the oneofs of a message of which one member must be set."""
    return [
        oneof.name
        for oneof in descriptor.oneofs
        if oneof.GetOptions().Extensions[validate_pb2.oneof].required
    ]


def _walk(descriptor: Descriptor, above: tuple[Place, ...], seen: frozenset[str]) -> Iterator[Place]:
    for field in descriptor.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        names = tuple(place.field.name for place in above)
        labels = tuple(place.labels[-1] for place in above)
        label = f"{field.name}[0]" if field.is_repeated else field.name
        place = Place((*names, field.name), field, (*labels, label))
        yield place
        nested = field.message_type
        if place.rules.ignore == validate_pb2.IGNORE_ALWAYS:
            # Its handler judges it, and answers in a way of its own.
            continue
        if nested is not None and nested.full_name not in (*_RESERVED, *seen):
            yield from _walk(nested, (*above, place), seen | {nested.full_name})


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
