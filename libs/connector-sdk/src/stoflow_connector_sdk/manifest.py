"""From handlers to the manifest that the orchestrator plans jobs from."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import protovalidate
from google.protobuf.duration_pb2 import Duration
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from stoflow.connector.v1 import manifest_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_connector_sdk.connection import CONNECT_ACTION
from stoflow_connector_sdk.handlers import BaseJobHandler
from stoflow_connector_sdk.resolution import resolve
from stoflow_connector_sdk.specs import ConnectionKind, Routing, TaskSpec

if TYPE_CHECKING:
    from stoflow_connector_sdk.definition import ConnectorDefinition

_WEBHOOK_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def build_manifest(definition: "ConnectorDefinition") -> manifest_pb2.Manifest:
    """Builds the manifest; the same definition gives the same bytes."""
    manifest = manifest_pb2.Manifest(
        marketplace=definition.marketplace,
        version=definition.version,
        display_name=definition.display_name,
        account_settings_schema=_schema_text(definition.account_settings_schema),
        actions=[_action(handler) for handler in definition.all_handlers],
        default_mappings=[
            manifest_pb2.DefaultMapping(attribute=attribute, key=key, value=value)
            for attribute, values in sorted(definition.default_mappings.items())
            for key, value in sorted(values.items())
        ],
        # Left out where they are the usual ones, so that the content of earlier versions stays the same.
        connection=manifest_pb2.Connection.ValueType(
            0 if definition.connection is ConnectionKind.OAUTH else definition.connection
        ),
        max_jobs_per_account=definition.max_jobs_per_account,
    )
    if definition.oauth is not None:
        oauth = manifest.oauth
        oauth.authorize_url = definition.oauth.authorize_url
        oauth.client_id = definition.oauth.client_id
        oauth.scopes.extend(definition.oauth.scopes)
        oauth.pkce = definition.oauth.pkce
        oauth.extra_parameters.update(definition.oauth.extra_parameters)
    return manifest


def definition_problems(definition: "ConnectorDefinition") -> list[str]:
    """Returns one sentence for each mistake in a definition."""
    problems = _schema_problems("account_settings_schema", definition.account_settings_schema)
    problems += _connection_problems(definition)
    for handler in definition.handlers:
        owner = type(handler).__name__
        if not getattr(handler, "action", ""):
            problems.append(f"{owner}: the class attribute 'action' is not set")
            continue
        problems += resolve(handler)[1]
        problems += _schema_problems(f"{owner}.options_schema", handler.options_schema)
        problems += _schema_problems(f"{owner}.product_schema", handler.product_schema)
        specs = handler.create_tasks()
        if specs and all(spec.follow_up for spec in specs):
            problems.append(f"{owner}: at least one step must be planned, not appended by results")
        for spec in specs:
            problems += _spec_problems(owner, handler, spec)
    if problems:
        return problems
    for violation in protovalidate.collect_violations(build_manifest(definition)):
        found = violation.proto.field
        path = ".".join(_element(element) for element in found.elements) if found is not None else ""
        problems.append(f"manifest {path or 'as a whole'}: {violation.proto.message}")
    return problems


def _connection_problems(definition: "ConnectorDefinition") -> list[str]:
    problems = []
    if (definition.oauth is None) != (definition.code_exchanger is None):
        problems.append("oauth and code_exchanger belong together: give both or neither")
    if definition.code_exchanger is not None and any(
        getattr(handler, "action", "") == CONNECT_ACTION for handler in definition.handlers
    ):
        problems.append(f"the action {CONNECT_ACTION!r} is the SDK's own, for the code_exchanger")
    paths = [endpoint.path for endpoint in definition.webhooks]
    problems += [
        f"webhook path {path!r} must be of letters, digits, dots, dashes and single slashes"
        for path in paths
        if not _WEBHOOK_PATH.fullmatch(path)
    ]
    if len(set(paths)) < len(paths):
        problems.append("each webhook needs a path of its own")
    return problems


def _spec_problems(owner: str, handler: BaseJobHandler, spec: TaskSpec) -> list[str]:
    problems = []
    if spec.for_each and not handler.requires_product:
        problems.append(
            f"{owner}: step {spec.name!r} repeats for each of {spec.for_each!r},"
            " but the action requires no product"
        )
    if spec.for_each and spec.follow_up:
        problems.append(
            f"{owner}: step {spec.name!r} is appended by results and cannot repeat for each element"
        )
    if spec.once is not None and spec.once.settle_seconds >= spec.start_to_close_timeout_seconds:
        # Settling is waited for inside the attempt: one that may not last that long could never finish.
        problems.append(
            f"{owner}: step {spec.name!r} must have a start_to_close_timeout_seconds"
            f" above its settle_seconds of {spec.once.settle_seconds:g}"
        )
    return problems


def _schema_problems(where: str, schema: Mapping[str, Any] | None) -> list[str]:
    if schema is None:
        return []
    try:
        Draft202012Validator.check_schema(schema)
        json.dumps(schema)
    except SchemaError as error:
        return [f"{where} is no JSON Schema: {error.message}"]
    except (TypeError, ValueError) as error:
        return [f"{where} is not JSON: {error}"]
    return []


def _element(element: Any) -> str:
    subscript = element.subscript
    return f"{element.field_name}[{subscript.value}]" if subscript is not None else str(element.field_name)


def _schema_text(schema: Mapping[str, Any] | None) -> str:
    # Sorted and compact: the registry compares contents, and a dict's order is no content.
    return "" if schema is None else json.dumps(schema, sort_keys=True, separators=(",", ":"))


def _action(handler: BaseJobHandler) -> manifest_pb2.ActionSpec:
    return manifest_pb2.ActionSpec(
        name=handler.action,
        options_schema=_schema_text(handler.options_schema),
        product_schema=_schema_text(handler.product_schema),
        requires_product=handler.requires_product,
        default_priority=job_pb2.Priority.ValueType(handler.default_priority),
        default_max_retries=handler.default_max_retries,
        expire_after=_duration(handler.expire_after_seconds),
        tasks=[_task(spec) for spec in handler.create_tasks()],
        routing=manifest_pb2.Routing.ValueType(0 if handler.routing is Routing.ANY else handler.routing),
    )


def _task(spec: TaskSpec) -> manifest_pb2.TaskSpec:
    message = manifest_pb2.TaskSpec(
        name=spec.name,
        for_each=spec.for_each,
        start_to_close_timeout=_duration(spec.start_to_close_timeout_seconds),
        follow_up=spec.follow_up,
    )
    if spec.schedule_to_start_timeout_seconds is not None:
        message.schedule_to_start_timeout.CopyFrom(_duration(spec.schedule_to_start_timeout_seconds))
    if spec.once is not None:
        message.once.name = spec.once.name
        message.once.settle.CopyFrom(_duration(spec.once.settle_seconds))
    return message


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1_000_000) * 1_000)
    return duration
