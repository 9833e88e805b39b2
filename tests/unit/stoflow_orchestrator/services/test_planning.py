"""From a manifest to the tasks of a job."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from stoflow.catalog.v1.product_pb2 import Product, ProductImage
from stoflow.connector.v1.manifest_pb2 import ActionSpec, Manifest, OnceEffect, TaskSpec
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_orchestrator.services.planning import find_action, plan_tasks
from stoflow_service_kit.errors import InvalidArgumentError

ACTION = ActionSpec(
    name="publish",
    tasks=[
        TaskSpec(name="upload_image", for_each="images", start_to_close_timeout=Duration(seconds=60)),
        TaskSpec(
            name="create",
            once=OnceEffect(name="listing", settle=Duration(seconds=5)),
            start_to_close_timeout=Duration(seconds=30),
        ),
    ],
)


def test_step_that_fans_out_makes_a_task_for_each_image_in_order() -> None:
    """Three images make three tasks before the next step."""
    snapshot = ProductSnapshot(product=Product(images=[ProductImage() for _ in range(3)]))
    tasks = plan_tasks(ACTION, snapshot)
    assert [(t.name, t.item_index) for t in tasks] == [
        ("upload_image", 0),
        ("upload_image", 1),
        ("upload_image", 2),
        ("create", None),
    ]
    assert len({t.task_id for t in tasks}) == 4


def test_step_keeps_its_effect_and_times() -> None:
    """What the manifest says of a ONCE step is what the task carries."""
    (task,) = plan_tasks(ACTION, ProductSnapshot())
    assert (task.once_name, task.settle_seconds, task.start_to_close_seconds) == ("listing", 5.0, 30.0)


def test_unknown_action_is_refused_and_the_known_ones_are_named() -> None:
    """The error tells what the marketplace can do."""
    manifest = Manifest(display_name="eBay", actions=[ACTION])
    with pytest.raises(InvalidArgumentError, match="publish") as caught:
        find_action(manifest, "fly")
    assert caught.value.reason == "ACTION_NOT_FOUND"
