import dataclasses
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from stoflow.jobs.v1 import job_pb2

from stoflow_connector_sdk import (
    Absent,
    ConnectorDefinition,
    DefinitionError,
    DirectAPIJobHandler,
    Found,
    Once,
    Priority,
    TaskContext,
    TaskResult,
    TaskSpec,
    Unclear,
)


class Service:
    async def upload(self, task: TaskContext) -> TaskResult:
        return TaskResult()

    async def publish(self, task: TaskContext) -> TaskResult:
        return TaskResult(remote_id="1")

    async def more(self, task: TaskContext) -> TaskResult:
        return TaskResult()

    async def probe(self, task: TaskContext) -> Found | Absent | Unclear:
        return Absent()


class Handler(DirectAPIJobHandler):
    action = "publish"
    requires_product = True
    options_schema: ClassVar[dict[str, Any]] = {"type": "object", "properties": {"b": {}, "a": {}}}
    default_priority = Priority.HIGH
    default_max_retries = 5
    expire_after_seconds = 7200.5

    def get_service(self) -> Service:
        return Service()

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [
            TaskSpec("upload", 30, for_each="images"),
            TaskSpec("publish", 60, once=Once("listing", probe="probe", settle_seconds=12.5)),
            TaskSpec("more", 60, schedule_to_start_timeout_seconds=5.5, follow_up=True),
        ]


def make_definition(**fields: Any) -> ConnectorDefinition:
    defaults: dict[str, Any] = {
        "marketplace": "ebay",
        "display_name": "eBay",
        "version": "1",
        "handlers": [Handler()],
        "account_settings_schema": {"type": "object"},
    }
    return ConnectorDefinition(**{**defaults, **fields})


def test_manifest_says_what_the_handlers_declare() -> None:
    """Every declared value arrives in the manifest."""
    manifest = make_definition(
        default_mappings={"condition": {"GOOD": "3000"}, "category": {"b": "2", "a": "1"}}
    ).manifest()
    action = manifest.actions[0]
    assert (manifest.marketplace, manifest.version, manifest.display_name) == ("ebay", "1", "eBay")
    assert json.loads(manifest.account_settings_schema) == {"type": "object"}
    assert [(m.attribute, m.key, m.value) for m in manifest.default_mappings] == [
        ("category", "a", "1"),
        ("category", "b", "2"),
        ("condition", "GOOD", "3000"),
    ]
    assert (action.name, action.requires_product, action.default_max_retries) == ("publish", True, 5)
    assert action.default_priority == job_pb2.PRIORITY_HIGH
    assert action.expire_after.ToTimedelta().total_seconds() == 7200.5
    assert action.options_schema == '{"properties":{"a":{},"b":{}},"type":"object"}'
    assert action.product_schema == ""
    upload, publish, more = action.tasks
    assert (upload.name, upload.for_each, upload.HasField("once")) == ("upload", "images", False)
    assert upload.start_to_close_timeout.seconds == 30
    assert (publish.once.name, publish.once.settle.ToTimedelta().total_seconds()) == ("listing", 12.5)
    assert not publish.HasField("schedule_to_start_timeout")
    assert (more.follow_up, more.schedule_to_start_timeout.ToTimedelta().total_seconds()) == (True, 5.5)


def test_priorities_are_those_of_the_contract() -> None:
    """The SDK's priorities translate by number, name for name."""
    for priority in Priority:
        assert job_pb2.Priority.Name(job_pb2.Priority.ValueType(priority)) == f"PRIORITY_{priority.name}"


def test_connector_may_register_under_another_name() -> None:
    """registered_as changes the marketplace's name and nothing else."""
    other = make_definition().registered_as("ebay-sandbox")
    assert other.manifest().marketplace == "ebay-sandbox"
    assert dataclasses.replace(other, marketplace="ebay").manifest() == make_definition().manifest()


class Nameless(Handler):
    action = ""


class BadSchemas(Handler):
    action = "bad_schemas"
    options_schema: ClassVar[dict[str, Any]] = {"type": "no such type"}
    product_schema: ClassVar[dict[str, Any]] = {"const": {1, 2}}


class Appended(Handler):
    action = "appended"

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [TaskSpec("upload", 30, for_each="images", follow_up=True)]


class Impatient(Handler):
    action = "impatient"
    requires_product = False

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [
            TaskSpec("upload", 30, for_each="images"),
            TaskSpec("publish", 10, once=Once("listing", probe="probe", settle_seconds=10)),
        ]


def test_all_mistakes_are_listed_at_once() -> None:
    """Mistakes of several handlers and of the definition itself are one message."""
    definition = make_definition(
        handlers=[Nameless(), BadSchemas(), Appended(), Impatient()],
        account_settings_schema={"required": "x"},
    )
    with pytest.raises(DefinitionError) as caught:
        definition.manifest()
    problems = "\n".join(caught.value.problems)
    assert "account_settings_schema is no JSON Schema: 'x' is not of type 'array'" in problems
    assert "Nameless: the class attribute 'action' is not set" in problems
    assert "BadSchemas.options_schema is no JSON Schema" in problems
    assert "BadSchemas.product_schema is not JSON" in problems
    assert (
        "Impatient: step 'upload' repeats for each of 'images', but the action requires no product"
        in problems
    )
    assert (
        "Impatient: step 'publish' must have a start_to_close_timeout_seconds above its settle_seconds"
        in problems
    )


def test_rules_of_the_contract_are_checked_before_registering() -> None:
    """What the orchestrator would refuse is found at start, with the field's path."""
    with pytest.raises(DefinitionError) as caught:
        make_definition(marketplace="E Bay", version="", handlers=[Handler(), Handler()]).check()
    problems = "\n".join(caught.value.problems)
    assert "manifest marketplace: does not match regex pattern" in problems
    assert "manifest version: " in problems
    assert "action names must be unique" in problems
