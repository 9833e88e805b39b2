"""What the orchestrator knows of the listings of a running task's product, and of its account."""

from collections.abc import Sequence
from datetime import UTC

from stoflow.connector.v1 import connector_service_pb2 as pb
from stoflow.connector.v1 import task_pb2

from stoflow_connector_sdk.errors import EffectOutcome, RetryableError
from stoflow_connector_sdk.http.transport import effect_so_far
from stoflow_connector_sdk.runtime.calls import CALL_TIMEOUT_SECONDS, CallError, OrchestratorClient
from stoflow_connector_sdk.task import AccountListing, ProductListing, SyncState, TaskContext
from stoflow_service_kit.structs import struct_to_dict


class ListingReader:
    """Asks under the task's lease."""

    def __init__(self, client: OrchestratorClient, instance_id: str) -> None:
        self._client = client
        self._instance_id = instance_id

    async def get_listings(self, task: TaskContext) -> Sequence[ProductListing]:
        """Returns the product's listings on the task's account, the one that shows the newest product first.

        Raises:
            RetryableError: The orchestrator did not answer before the lease ended, or refused.
        """
        request = pb.GetListingsRequest(
            instance_id=self._instance_id,
            tenant_id=task.tenant_id,
            job_id=task.job_id,
            task_id=task.task_id,
            lease_token=task.lease_token,
        )
        try:
            answer = await self._client.until_answered(
                "GetListings",
                lambda: self._client.stub.GetListings(request, timeout=CALL_TIMEOUT_SECONDS),
                may_go_on=lambda: task.lease.remaining_seconds() > 0,
            )
        except CallError as error:
            # Asking sends nothing to the marketplace, but the attempt may have sent something before.
            is_clean = not task.state.possible_effects
            raise RetryableError(
                f"The orchestrator named no listings: {error.status.message}",
                effect=EffectOutcome.NOT_SENT if is_clean else EffectOutcome.UNKNOWN,
                code=error.status.reason or error.status.code.name,
            ) from error
        return [product_listing(message) for message in answer.listings]

    async def get_sync_state(self, task: TaskContext, page_size: int, page_token: str) -> SyncState:
        """Returns what a sync compares the marketplace with.

        Raises:
            RetryableError: The orchestrator did not answer before the lease ended, or refused.
        """
        request = pb.GetSyncStateRequest(
            instance_id=self._instance_id,
            tenant_id=task.tenant_id,
            job_id=task.job_id,
            task_id=task.task_id,
            lease_token=task.lease_token,
            page_size=page_size,
            page_token=page_token,
        )
        try:
            answer = await self._client.until_answered(
                "GetSyncState",
                lambda: self._client.stub.GetSyncState(request, timeout=CALL_TIMEOUT_SECONDS),
                may_go_on=lambda: task.lease.remaining_seconds() > 0,
            )
        except CallError as error:
            raise RetryableError(
                f"The orchestrator told nothing of the account: {error.status.message}",
                effect=effect_so_far(),
                code=error.status.reason or error.status.code.name,
            ) from error
        return sync_state(answer)


def sync_state(answer: pb.GetSyncStateResponse) -> SyncState:
    """Converts an answer."""
    has_time = answer.HasField("last_complete_time")
    return SyncState(
        last_complete_time=answer.last_complete_time.ToDatetime(tzinfo=UTC) if has_time else None,
        listings=[AccountListing(one.remote_id, one.sku) for one in answer.listings],
        next_page_token=answer.next_page_token,
    )


def product_listing(message: task_pb2.ProductListing) -> ProductListing:
    """Converts a listing."""
    return ProductListing(
        remote_id=message.remote_id,
        site=message.site,
        state=message.state,
        url=message.url,
        product_version=message.product_version,
        notes=struct_to_dict(message.notes),
    )
