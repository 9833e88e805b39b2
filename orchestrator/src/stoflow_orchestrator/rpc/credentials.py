"""GetCredentials, GetAuthorization and SaveCredentials between messages and their services."""

from __future__ import annotations

from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from stoflow.connector.v1 import connector_service_pb2 as pb

from stoflow_orchestrator.messages.times import to_datetime, to_timestamp
from stoflow_orchestrator.services.authorizations import AuthorizationService, Connected
from stoflow_orchestrator.services.credentials import (
    Abandoned,
    AccessToken,
    Credential,
    CredentialQuery,
    CredentialService,
    GrantHolder,
    Refreshed,
    RefreshGrant,
    Refused,
    grant_lost,
)
from stoflow_orchestrator.storable import check_storable
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


async def get_authorization(
    authorizations: AuthorizationService, request: pb.GetAuthorizationRequest
) -> pb.GetAuthorizationResponse:
    """Serves GetAuthorization."""
    found = await authorizations.get(
        CredentialQuery(
            tenant_id=request.tenant_id,
            account_id=UUID(request.account_id),
            job_id=UUID(request.job_id),
            task_id=UUID(request.task_id),
            lease_token=UUID(request.lease_token),
            instance_id=UUID(request.instance_id),
        )
    )
    response = pb.GetAuthorizationResponse()
    if found is None:
        response.already_connected.SetInParent()
        return response
    response.authorization.grant_id = str(found.grant_id)
    response.authorization.code = found.code
    response.authorization.redirect_uri = found.redirect_uri
    response.authorization.code_verifier = found.code_verifier
    return response


async def save_credentials(
    credentials: CredentialService,
    authorizations: AuthorizationService,
    request: pb.SaveCredentialsRequest,
) -> pb.SaveCredentialsResponse:
    """Serves SaveCredentials: of a refresh, or of the exchange of an authorization code."""
    holder = GrantHolder(
        tenant_id=request.tenant_id,
        account_id=UUID(request.account_id),
        instance_id=UUID(request.instance_id),
        grant_id=UUID(request.grant_id),
    )
    kind = request.WhichOneof("result")
    if kind == "refreshed":
        tokens = _tokens(request.refreshed, "refreshed")
        await credentials.save(holder, tokens)
    elif kind == "connected":
        check_storable(request)
        if not await authorizations.save(holder, _connected(request.connected)):
            raise grant_lost(holder.account_id)
    else:
        outcome = Refused(request.refused.message) if kind == "refused" else Abandoned()
        # Both kinds of grants may be refused; their ids never meet.
        if not await authorizations.save(holder, outcome):
            await credentials.save(holder, outcome)
    return pb.SaveCredentialsResponse()


def _connected(message: pb.ConnectedAccount) -> Connected:
    return Connected(
        tokens=_tokens(message.tokens, "connected.tokens"),
        remote_account_id=message.remote_account_id,
        display_name=message.display_name,
        sites=list(message.sites),
        settings=MessageToDict(message.settings),
    )


def _tokens(message: pb.RefreshedTokens, path: str) -> Refreshed:
    try:
        expire_time = to_datetime(message.access_token_expire_time)
    except ValueError as error:
        violation = FieldViolation(
            f"{path}.access_token_expire_time", "must be a time of the years 1970 to 9000"
        )
        raise InvalidArgumentError([violation]) from error
    return Refreshed(message.access_token, expire_time, message.refresh_token)
