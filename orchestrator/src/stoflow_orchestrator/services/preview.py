"""What a job would send, before it exists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from stoflow.catalog.v1.preview_pb2 import PublishPreview, TranslatedWord
from stoflow.catalog.v1.preview_service_pb2 import PreviewPublishRequest
from stoflow.common.v1.failure_pb2 import Violation
from stoflow.common.v1.money_pb2 import Money
from stoflow.connector.v1.manifest_pb2 import ActionSpec
from stoflow.connector.v1.task_pb2 import ProductSnapshot
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest

from stoflow_orchestrator.messages.price import calculation_message
from stoflow_orchestrator.messages.reference import attribute_of
from stoflow_orchestrator.services.image_addresses import ImageAddresses
from stoflow_orchestrator.services.planning import plan_tasks, product_violations
from stoflow_orchestrator.services.product_checks import product_not_found
from stoflow_orchestrator.services.snapshots import Snapshot, SnapshotLoader
from stoflow_orchestrator.services.submission import Submission, Submissions
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError

DEFAULT_ACTION = "publish"


class PreviewService:
    """Resolves products as the creation of jobs does, and collects what that would refuse."""

    def __init__(
        self,
        tenants: TenantDirectory,
        submissions: Submissions,
        snapshots: SnapshotLoader,
        addresses: ImageAddresses,
    ) -> None:
        self._tenants = tenants
        self._submissions = submissions
        self._snapshots = snapshots
        self._addresses = addresses

    async def preview(self, request: PreviewPublishRequest) -> PublishPreview:
        """Returns what would be sent, and all that is wrong with it.

        Raises:
            InvalidArgumentError: ACTION_NOT_FOUND or SITE_NOT_ALLOWED.
            NotFoundError: TENANT_NOT_FOUND, ACCOUNT_NOT_FOUND, PRODUCT_NOT_FOUND or MARKETPLACE_NOT_FOUND.
        """
        check_storable(request)
        await self._tenants.require(request.tenant_id)
        violations: list[FieldViolation] = []
        account = await self._submissions.find_account(request.tenant_id, UUID(request.account_id))
        submission = await self._submissions.check(_job_request(request), account, violations)
        product_id = UUID(request.product_id)
        found = await self._snapshots.load(
            request.tenant_id, [product_id], submission.marketplace, submission.price_rule
        )
        if product_id not in found:
            raise product_not_found(product_id)
        snapshot = found[product_id]
        violations += product_violations(submission.action.product_schema, snapshot.message, "product")
        violations += snapshot.price.violations("product")
        violations += snapshot.listed_violations(
            submission.action, submission.account_id, submission.site, "product"
        )
        steps = _plan(submission.action, snapshot.message, violations)
        self._sign_images(request.tenant_id, snapshot.message)
        return _preview(submission, snapshot, steps, violations)

    def _sign_images(self, tenant_id: int, snapshot: ProductSnapshot) -> None:
        for image in snapshot.product.images:
            image.url = self._addresses.sign(tenant_id, image.content_sha256)


def _job_request(request: PreviewPublishRequest) -> CreateJobRequest:
    return CreateJobRequest(
        tenant_id=request.tenant_id,
        account_id=request.account_id,
        product_id=request.product_id,
        action=request.action or DEFAULT_ACTION,
        site=request.site,
        options=request.options if request.HasField("options") else None,
    )


def _plan(action: ActionSpec, snapshot: ProductSnapshot, violations: list[FieldViolation]) -> list[str]:
    try:
        return [task.name for task in plan_tasks(action, snapshot)]
    except InvalidArgumentError as refused:
        violations += refused.violations
        return []


def _preview(
    submission: Submission, snapshot: Snapshot, steps: list[str], violations: Iterable[FieldViolation]
) -> PublishPreview:
    price = snapshot.price
    product = snapshot.message.product
    calculation = calculation_message(
        Money(currency_code=price.base_currency, amount_minor=price.base_minor),
        None if price.problem else product.content.price,
        price.source,
        price.problem,
        product.product_id,
    )
    return PublishPreview(
        marketplace=submission.marketplace,
        site=submission.site,
        action=submission.action.name,
        manifest_version=submission.manifest_version,
        product=product,
        price=calculation,
        mappings=snapshot.message.mappings,
        words=_translations(snapshot),
        steps=steps,
        violations=[Violation(field=v.field, description=v.description, code=v.rule) for v in violations],
    )


def _translations(snapshot: Snapshot) -> Iterator[TranslatedWord]:
    for word, value in snapshot.words:
        yield TranslatedWord(attribute=attribute_of(word.attribute), word=word.word, value=value or "")
