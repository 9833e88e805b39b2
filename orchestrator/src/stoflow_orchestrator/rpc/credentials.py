"""GetCredentials and SaveCredentials between messages and the credential service."""

from __future__ import annotations

from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from stoflow.connector.v1 import connector_service_pb2 as pb

from stoflow_orchestrator.messages.times import to_datetime, to_timestamp
from stoflow_orchestrator.services.credentials import (
    Abandoned,
    AccessToken,
    Credential,
    CredentialQuery,
    CredentialService,
    GrantHolder,
    Refreshed,
    RefreshGrant,
    RefreshOutcome,
    Refused,
)
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError


async def get_credentials(
    credentials: CredentialService, request: pb.GetCredentialsRequest
) -> pb.GetCredentialsResponse:
    """Serves GetCredentials."""
    query = CredentialQuery(
        tenant_id=request.tenant_id,
        account_id=UUID(request.account_id),
        job_id=UUID(request.job_id),
        task_id=UUID(request.task_id),
        lease_token=UUID(request.lease_token),
        instance_id=UUID(request.instance_id),
        refused_access_token=request.refused_access_token,
    )
    return _credential_message(await credentials.get(query))


def _credential_message(credential: Credential) -> pb.GetCredentialsResponse:
    response = pb.GetCredentialsResponse()
    if isinstance(credential, AccessToken):
        response.access_token.value = credential.value
        response.access_token.expire_time.CopyFrom(to_timestamp(credential.expire_time))
    elif isinstance(credential, RefreshGrant):
        response.refresh_grant.grant_id = str(credential.grant_id)
        response.refresh_grant.refresh_token = credential.refresh_token
        response.refresh_grant.lease.FromTimedelta(credential.lease)
    else:
        delay = Duration()
        delay.FromTimedelta(credential.delay)
        response.retry_after.CopyFrom(delay)
    return response


async def save_credentials(
    credentials: CredentialService, request: pb.SaveCredentialsRequest
) -> pb.SaveCredentialsResponse:
    """Serves SaveCredentials."""
    holder = GrantHolder(
        tenant_id=request.tenant_id,
        account_id=UUID(request.account_id),
        instance_id=UUID(request.instance_id),
        grant_id=UUID(request.grant_id),
    )
    await credentials.save(holder, _outcome(request))
    return pb.SaveCredentialsResponse()


def _outcome(request: pb.SaveCredentialsRequest) -> RefreshOutcome:
    if request.HasField("refused"):
        return Refused(request.refused.message)
    if request.HasField("abandoned"):
        return Abandoned()
    refreshed = request.refreshed
    try:
        expire_time = to_datetime(refreshed.access_token_expire_time)
    except ValueError as error:
        path = "refreshed.access_token_expire_time"
        violation = FieldViolation(path, "must be a time of the years 1970 to 9000")
        raise InvalidArgumentError([violation]) from error
    return Refreshed(refreshed.access_token, expire_time, refreshed.refresh_token)
