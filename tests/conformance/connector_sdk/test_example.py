import pytest
from stoflow.catalog.v1.product_pb2 import Product, ProductImage
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_connector_sdk import ConnectorDefinition, TaskContext, TaskResult, TaskSpec
from stoflow_connector_sdk.conformance import ConnectorConformance
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from stoflow_service_kit.structs import struct_to_dict
from tests.conformance.connector_sdk import example


class TestExampleConformance(ConnectorConformance):
    def make_definition(self) -> ConnectorDefinition:
        return example.make_definition()


class BadHandler(example.ExamplePublishHandler):
    supported = 0

    def create_tasks(self) -> list[TaskSpec]:
        BadHandler.supported += 1
        return [TaskSpec("upload_image", BadHandler.supported, for_each="images")]


class BrokenConformance(ConnectorConformance):
    def make_definition(self) -> ConnectorDefinition:
        return ConnectorDefinition(
            marketplace="shelf",
            display_name="The shelf",
            version="1",
            handlers=[BadHandler(example.ExamplePublicationService(example.Shelf()))] * 2,
            supported_versions=["1"],
        )


@pytest.mark.parametrize(
    "check",
    [
        "test_definition_holds_together",
        "test_manifest_is_the_same_at_every_start",
        "test_steps_do_not_depend_on_how_often_they_are_asked_for",
        "test_every_action_has_one_handler",
        "test_supported_versions_are_earlier_ones",
    ],
)
def test_suite_finds_what_is_wrong_with_a_connector(check: str) -> None:
    """Each check of the suite fails for a connector that breaks its rule."""
    with pytest.raises(Exception, match=r"assert|mistake"):
        getattr(BrokenConformance(), check)()


async def test_example_publishes_with_the_outputs_of_its_pictures() -> None:
    """A job of the example runs through all its steps and leaves one listing with three pictures in order."""
    shelf = example.Shelf()
    definition = example.make_definition(shelf)
    product = ProductSnapshot(
        product=Product(product_id="p1", images=[ProductImage(image_id=name) for name in ("a", "b", "c")])
    )
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "publish", product=product)
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert shelf.pictures == ["a", "b", "c"]
    success = job.task("create_listing").accepted[0].success
    assert list(shelf.listings.values()) == [success.remote_id] == [success.listing.remote_id]
    assert struct_to_dict(success.output) == {"pictures": [1, 2, 3]}


async def test_example_adopts_the_listing_of_an_attempt_that_was_never_reported() -> None:
    """A listing made by an attempt whose lease was lost is found by the probe and not made again."""
    shelf = example.Shelf()
    service = example.ExamplePublicationService(shelf)
    reached: list[TaskContext] = []

    class Slow(example.ExamplePublicationService):
        async def create_listing(self, task: TaskContext) -> TaskResult:
            result = await service.create_listing(task)
            reached.append(task)
            await task.wait(60)
            return result

    definition = ConnectorDefinition(
        marketplace="shelf",
        display_name="The shelf",
        version="1",
        handlers=[example.ExamplePublishHandler(Slow(shelf))],
    )
    product = ProductSnapshot(product=Product(product_id="p1", images=[ProductImage(image_id="a")]))
    async with (
        InMemoryOrchestrator(heartbeat_seconds=0.05) as orchestrator,
        run_against(orchestrator, definition),
    ):
        job = orchestrator.submit(definition.manifest(), "publish", product=product)
        await orchestrator.wait_until(lambda: bool(reached))
        orchestrator.take_lease_away(job.task("create_listing"))
        await orchestrator.wait_for(job)
    task = job.task("create_listing")
    assert job.state == "COMPLETED"
    assert task.modes == ["EXECUTE", "PROBE"]
    assert task.accepted[0].success.output["adopted"] is True
    assert len(shelf.listings) == 1
