"""What each method is asked here, and how it refuses what does not exist and what its state forbids.

A method, or an id in a request, that is not in the table fails the tests: whoever adds one says what it answers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import json_format
from PIL import Image
from stoflow.catalog.v1.product_service_pb2 import AddProductImageRequest, ImportProductsRequest
from stoflow.connector.v1 import manifest_pb2

from tests.integration.orchestrator_engine.connector import manifest, step
from tests.integration.rpc_refusals.world import DAY, PAIRING_TOKEN, TAKEN_SKU, World, as_fields

# The call is answered with OK and changes nothing.
ANSWERED: Final = "OK"
# The answer, with what was refused in it, is remembered under the request_id.
REMEMBERED: Final = "REMEMBERED"
# The caller chooses it; it names nothing that must exist.
CHOSEN: Final = "CHOSEN"

NO_TENANT: Final = "NOT_FOUND TENANT_NOT_FOUND"
NO_ACCOUNT: Final = "NOT_FOUND ACCOUNT_NOT_FOUND"
NO_PRODUCT: Final = "NOT_FOUND PRODUCT_NOT_FOUND"
NO_JOB: Final = "NOT_FOUND JOB_NOT_FOUND"
NO_BATCH: Final = "NOT_FOUND BATCH_NOT_FOUND"
NO_MARKETPLACE: Final = "NOT_FOUND MARKETPLACE_NOT_FOUND"
NO_CONNECTOR: Final = "NOT_FOUND CONNECTOR_NOT_FOUND"
NO_EFFECT: Final = "NOT_FOUND EFFECT_NOT_FOUND"
NO_ORCHESTRATOR: Final = "FAILED_PRECONDITION ORCHESTRATOR_NOT_SET"
NO_LISTING: Final = "NOT_FOUND LISTING_NOT_FOUND"
LISTING_LINKED: Final = "FAILED_PRECONDITION LISTING_LINKED"
NO_PAIRING: Final = "NOT_FOUND PAIRING_NOT_FOUND"
NO_ORDER: Final = "NOT_FOUND ORDER_NOT_FOUND"
NO_LEASE: Final = "FAILED_PRECONDITION LEASE_REQUIRED"
NO_GRANT: Final = "FAILED_PRECONDITION GRANT_LOST"
ETAG: Final = "ABORTED ETAG_MISMATCH"
JOB_STATE: Final = "FAILED_PRECONDITION JOB_STATE_INVALID"
BATCH_STATE: Final = "FAILED_PRECONDITION BATCH_STATE_INVALID"
EFFECT_STATE: Final = "FAILED_PRECONDITION EFFECT_STATE_INVALID"

Fields = Callable[[World], Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """One method.

    Attributes:
        fields: A request whose every part is right by itself.
        unknown: What becomes of the request when an id in it names nothing.
        states: Requests that the state of what they name forbids, and how they are refused.
        following: Messages that a stream sends behind the request.
    """

    fields: Fields
    unknown: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, tuple[Fields, str]] = field(default_factory=dict)
    following: Callable[[], list[bytes]] = list


def _tenant(w: World) -> dict[str, Any]:
    return {"tenant_id": w.tenant_id}


def _job(state: str) -> Fields:
    return lambda w: {**_tenant(w), "job_id": w.jobs[state]}


def _job_call(state: str) -> Fields:
    return lambda w: as_fields(**_job(state)(w))


def _batch(state: str) -> Fields:
    return lambda w: {**_tenant(w), "batch_id": w.batches[state]}


def _batch_call(state: str) -> Fields:
    return lambda w: as_fields(**_batch(state)(w))


def _account(w: World) -> dict[str, Any]:
    return {**_tenant(w), "account_id": w.account_id}


def _account_call(w: World) -> dict[str, Any]:
    return as_fields(**_account(w))


def _new_job(w: World) -> dict[str, Any]:
    return as_fields(**_account(w), product_id=w.product_id, action="publish")


def _new_batch(w: World) -> dict[str, Any]:
    return as_fields(**_account(w), product_ids=[w.product_id], action="publish")


_CONTENT: Final = {
    "sku": "new",
    "title": "Linen dress",
    "price": {"currency_code": "USD", "amount_minor": 3900},
    "category": "clothing/women/dresses",
    "condition": "CONDITION_VERY_GOOD",
}


def _product(sku: str) -> Fields:
    return lambda w: as_fields(**_tenant(w), content={**_CONTENT, "sku": sku})


def _registration(content: manifest_pb2.Manifest, w: World) -> dict[str, Any]:
    shown = json_format.MessageToDict(content, preserving_proto_field_name=True)
    return {"instance_id": w.instance_id, "slots": 1, "manifest": shown}


def _lease(w: World) -> dict[str, Any]:
    return {"job_id": w.jobs["pending"], "task_id": w.task_id, "lease_token": w.used_request_id}


def _start(job_id: str, w: World) -> dict[str, Any]:
    command = {**_tenant(w), "job_id": job_id, "task_id": w.task_id, "dispatch": 1}
    return {
        "instance_id": w.foreign["job_id"],
        "starts": [{"command": command, "lease_token": w.used_request_id}],
    }


def _session(w: World) -> dict[str, Any]:
    return {"account_id": w.account_id, "epoch": 1}


def _report(w: World) -> dict[str, Any]:
    failure = {
        "error_class": "ERROR_CLASS_RETRYABLE",
        "effect_outcome": "EFFECT_OUTCOME_NOT_SENT",
        "message": "It went wrong.",
    }
    return {"instance_id": w.instance_id, "reports": [{**_tenant(w), **_lease(w), "failure": failure}]}


def _picture() -> list[bytes]:
    file = io.BytesIO()
    Image.new("RGB", (600, 600), "red").save(file, "PNG")
    return [AddProductImageRequest(chunk=file.getvalue()).SerializeToString()]


def _rows() -> list[bytes]:
    row = {"number": 1, "content": _CONTENT}
    return [json_format.ParseDict({"rows": {"rows": [row]}}, ImportProductsRequest()).SerializeToString()]


def _first_state(w: World) -> dict[str, Any]:
    return as_fields(**_tenant(w), product_id=w.product_id, etag="v1")


def _settle(state: str) -> Fields:
    return lambda w: as_fields(effect_id=w.effects[state], not_sent={})


def _linked_listing(w: World) -> dict[str, Any]:
    return as_fields(**_tenant(w), listing_id=w.linked_listing_id, product_id=w.product_id)


_LEASE_IDS: Final = dict.fromkeys(("leases.job_id", "leases.task_id", "leases.lease_token"), ANSWERED)
_JOB_IDS: Final = {"tenant_id": NO_TENANT, "job_id": NO_JOB}
_BATCH_IDS: Final = {"tenant_id": NO_TENANT, "batch_id": NO_BATCH}
_PRODUCT_IDS: Final = {"tenant_id": NO_TENANT, "product_id": NO_PRODUCT}
_ACCOUNT_IDS: Final = {"tenant_id": NO_TENANT, "account_id": NO_ACCOUNT}
_FILTER_IDS: Final = dict.fromkeys(
    ("filter.marketplace", "filter.account_id", "filter.product_id", "filter.batch_id"), ANSWERED
)

_TENANTS: Final = {
    "TenantService.CreateTenant": Entry(
        lambda w: as_fields(display_name="Shop"),
        {"tenant_id": CHOSEN},
        {
            "id taken": (
                lambda w: as_fields(display_name="Shop", tenant_id=w.tenant_id),
                "ALREADY_EXISTS TENANT_EXISTS",
            )
        },
    ),
    "TenantService.GetTenant": Entry(_tenant, {"tenant_id": NO_TENANT}),
    "TenantService.ListTenants": Entry(lambda w: {}),
}
_RED: Final = {"attribute": "REFERENCE_ATTRIBUTE_COLOR", "key": "red"}
_CATALOG: Final = {
    "ProductService.CreateProduct": Entry(
        _product("new"),
        {"tenant_id": NO_TENANT, "content.overrides.marketplace": CHOSEN},
        {"SKU taken": (_product(TAKEN_SKU), "ALREADY_EXISTS SKU_EXISTS")},
    ),
    "ProductService.UpdateProduct": Entry(
        lambda w: {**_first_state(w), "content": {"title": "Silk"}, "update_mask": "title"},
        _PRODUCT_IDS,
        {
            "changed since": (
                lambda w: {**_first_state(w), "etag": "v9", "content": {**_CONTENT, "sku": "other"}},
                ETAG,
            ),
            "SKU taken": (
                lambda w: {
                    **_first_state(w),
                    "product_id": w.busy_product_id,
                    "content": {"sku": TAKEN_SKU},
                    "update_mask": "sku",
                },
                "ALREADY_EXISTS SKU_EXISTS",
            ),
        },
    ),
    "ProductService.DeleteProduct": Entry(
        _first_state,
        _PRODUCT_IDS,
        {
            "changed since": (lambda w: {**_first_state(w), "etag": "v9"}, ETAG),
            "in use": (
                lambda w: {**_first_state(w), "product_id": w.busy_product_id},
                "FAILED_PRECONDITION PRODUCT_IN_USE",
            ),
        },
    ),
    "ProductService.ImportProducts": Entry(
        lambda w: {"header": as_fields(**_tenant(w))},
        {"header.tenant_id": NO_TENANT},
        {"no header": (lambda w: {"rows": {"rows": [{"number": 1}]}}, "INVALID_ARGUMENT INVALID_ARGUMENT")},
        following=_rows,
    ),
    "ProductService.FetchProductImage": Entry(
        lambda w: as_fields(**_tenant(w), product_id=w.product_id, url="http://127.0.0.1/x.jpg"),
        _PRODUCT_IDS,
        {
            "address of this machine": (
                lambda w: as_fields(**_tenant(w), product_id=w.product_id, url="http://127.0.0.1/x.jpg"),
                "INVALID_ARGUMENT IMAGE_ADDRESS_REFUSED",
            )
        },
    ),
    "ProductService.ArrangeProductImages": Entry(
        lambda w: {**_first_state(w), "image_ids": []},
        {**_PRODUCT_IDS, "image_ids": "INVALID_ARGUMENT INVALID_ARGUMENT"},
        {"changed since": (lambda w: {**_first_state(w), "etag": "v9"}, ETAG)},
    ),
    "ProductService.AddProductImage": Entry(
        lambda w: {"header": as_fields(**_tenant(w), product_id=w.product_id)},
        {"header.tenant_id": NO_TENANT, "header.product_id": NO_PRODUCT},
        {"no header": (lambda w: {"chunk": "YQ=="}, "INVALID_ARGUMENT INVALID_ARGUMENT")},
        following=_picture,
    ),
    "ProductService.GetProduct": Entry(lambda w: {**_tenant(w), "product_id": w.product_id}, _PRODUCT_IDS),
    "ProductService.ListProducts": Entry(_tenant, {"tenant_id": NO_TENANT, "product_ids": ANSWERED}),
    "ListingService.ListListings": Entry(
        _tenant,
        {"tenant_id": NO_TENANT, "product_id": ANSWERED, "account_id": ANSWERED, "marketplace": ANSWERED},
    ),
    "ListingService.LinkListing": Entry(
        lambda w: as_fields(**_tenant(w), listing_id=w.listing_id, product_id=w.product_id),
        {"tenant_id": NO_TENANT, "listing_id": NO_LISTING, "product_id": NO_PRODUCT},
        {"linked to another": (_linked_listing, "FAILED_PRECONDITION LISTING_LINKED")},
    ),
    "ListingService.UnlinkListing": Entry(
        lambda w: as_fields(**_tenant(w), listing_id=w.linked_listing_id, product_id=w.busy_product_id),
        {"tenant_id": NO_TENANT, "listing_id": NO_LISTING, "product_id": LISTING_LINKED},
        {"linked to another": (_linked_listing, "FAILED_PRECONDITION LISTING_LINKED")},
    ),
    "ListingService.GetUpdatePolicy": Entry(_account, _ACCOUNT_IDS),
    "ListingService.SetUpdatePolicy": Entry(_account_call, _ACCOUNT_IDS),
    "OrderService.GetOrder": Entry(
        lambda w: {**_tenant(w), "order_id": w.order_id}, {"tenant_id": NO_TENANT, "order_id": NO_ORDER}
    ),
    "OrderService.ListOrders": Entry(
        _tenant, {"tenant_id": NO_TENANT, "account_id": ANSWERED, "product_id": ANSWERED}
    ),
}
_REFERENCE: Final = {
    "ReferenceService.ListReferenceValues": Entry(lambda w: {"attribute": "REFERENCE_ATTRIBUTE_COLOR"}),
    "ReferenceService.ImportReferenceValues": Entry(
        lambda w: as_fields(
            values=[{"attribute": "REFERENCE_ATTRIBUTE_COLOR", "key": "teal", "name": "Teal"}]
        ),
        states={
            "condition": (
                lambda w: as_fields(
                    values=[{"attribute": "REFERENCE_ATTRIBUTE_CONDITION", "key": "SHABBY", "name": "Shabby"}]
                ),
                "INVALID_ARGUMENT INVALID_ARGUMENT",
            )
        },
    ),
    "ReferenceService.ListMappings": Entry(
        lambda w: {"marketplace": w.marketplace}, {"marketplace": ANSWERED}
    ),
    "ReferenceService.ListUnmappedValues": Entry(
        lambda w: {"marketplace": w.marketplace, "attribute": "REFERENCE_ATTRIBUTE_COLOR"},
        {"marketplace": ANSWERED},
    ),
    "ReferenceService.ImportMappings": Entry(
        lambda w: as_fields(marketplace=w.marketplace, mappings=[{"key": _RED, "value": "1"}]),
        {"marketplace": NO_MARKETPLACE},
    ),
    "ReferenceService.DeleteMappings": Entry(
        lambda w: as_fields(marketplace=w.marketplace, keys=[_RED]), {"marketplace": REMEMBERED}
    ),
}
_PRICES: Final = {
    "PriceService.GetPriceRule": Entry(_account, _ACCOUNT_IDS),
    "PriceService.SetPriceRule": Entry(
        lambda w: {**_account_call(w), "etag": "v0", "rule": {"coefficient": "1.1"}},
        _ACCOUNT_IDS,
        {"changed since": (lambda w: {**_account_call(w), "etag": "v7"}, "ABORTED ETAG_MISMATCH")},
    ),
    "PriceService.PreviewPrices": Entry(_account, {**_ACCOUNT_IDS, "product_ids": NO_PRODUCT}),
    "PreviewService.PreviewPublish": Entry(
        lambda w: {**_account(w), "product_id": w.product_id},
        {**_ACCOUNT_IDS, "product_id": NO_PRODUCT},
        {
            "no such action": (
                lambda w: {**_account(w), "product_id": w.product_id, "action": "dance"},
                "INVALID_ARGUMENT ACTION_NOT_FOUND",
            ),
            "no such site": (
                lambda w: {**_account(w), "product_id": w.product_id, "site": "MOON"},
                "INVALID_ARGUMENT SITE_NOT_ALLOWED",
            ),
        },
    ),
}
_ACCOUNTS: Final = {
    "AccountService.CreateAccount": Entry(
        lambda w: as_fields(
            **_tenant(w),
            marketplace=w.marketplace,
            display_name="Account",
            credentials={"refresh_token": "r"},
        ),
        {"tenant_id": NO_TENANT, "marketplace": NO_MARKETPLACE},
    ),
    "AccountService.ReconnectAccount": Entry(
        lambda w: {**_account_call(w), "credentials": {"refresh_token": "r"}}, _ACCOUNT_IDS
    ),
    "AccountService.BeginConnect": Entry(
        lambda w: as_fields(**_tenant(w), marketplace=w.marketplace, redirect_uri="https://app.test/back"),
        {**_ACCOUNT_IDS, "marketplace": NO_MARKETPLACE},
        {
            "no OAuth": (
                lambda w: as_fields(**_account(w), redirect_uri="https://app.test/back"),
                "FAILED_PRECONDITION CONNECT_NOT_SUPPORTED",
            )
        },
    ),
    "AccountService.CompleteConnect": Entry(
        lambda w: as_fields(**_tenant(w), state="s", code="c"),
        {"tenant_id": NO_TENANT},
        {
            "no such state": (
                lambda w: as_fields(**_tenant(w), state="s", code="c"),
                "FAILED_PRECONDITION CONNECT_STATE_INVALID",
            )
        },
    ),
    "AccountService.CancelConnect": Entry(
        lambda w: as_fields(**_tenant(w), state="s"), {"tenant_id": NO_TENANT}
    ),
    "AccountService.GetSyncPolicies": Entry(_account, _ACCOUNT_IDS),
    "AccountService.SetSyncPolicy": Entry(
        lambda w: {**_account_call(w), "kind": "SYNC_KIND_ORDERS", "interval": "600s"}, _ACCOUNT_IDS
    ),
    "AccountService.GetAccount": Entry(_account, _ACCOUNT_IDS),
    "AccountService.ListAccounts": Entry(_tenant, {"tenant_id": NO_TENANT}),
    "AccountService.CreatePairingCode": Entry(
        _account_call,
        _ACCOUNT_IDS,
        {"no browser": (_account_call, "FAILED_PRECONDITION PAIRING_NOT_SUPPORTED")},
    ),
    "AccountService.ListPairings": Entry(_account, _ACCOUNT_IDS),
    "AccountService.RevokePairing": Entry(
        lambda w: as_fields(**_tenant(w), pairing_id=w.pairing_id),
        {"tenant_id": NO_TENANT, "pairing_id": NO_PAIRING},
    ),
}
_JOBS: Final = {
    "JobService.CreateJob": Entry(
        _new_job,
        {**_ACCOUNT_IDS, "product_id": NO_PRODUCT},
        {
            "live job": (
                lambda w: {**_new_job(w), "product_id": w.busy_product_id},
                "ALREADY_EXISTS JOB_EXISTS",
            ),
            "no such action": (
                lambda w: {**_new_job(w), "action": "dance"},
                "INVALID_ARGUMENT ACTION_NOT_FOUND",
            ),
            "no such site": (lambda w: {**_new_job(w), "site": "MOON"}, "INVALID_ARGUMENT SITE_NOT_ALLOWED"),
        },
    ),
    "JobService.GetJob": Entry(_job("completed"), _JOB_IDS),
    "JobService.ListJobs": Entry(_tenant, {"tenant_id": NO_TENANT, **_FILTER_IDS}),
    "JobService.WatchJob": Entry(_job("completed"), _JOB_IDS),
    "JobService.CountJobs": Entry(_tenant, {"tenant_id": NO_TENANT, **_FILTER_IDS}),
    "JobService.CancelJob": Entry(
        _job_call("pending"),
        _JOB_IDS,
        {state: (_job_call(state), JOB_STATE) for state in ("completed", "failed")},
    ),
    "JobService.PauseJob": Entry(
        _job_call("pending"),
        _JOB_IDS,
        {state: (_job_call(state), JOB_STATE) for state in ("completed", "failed", "cancelled")},
    ),
    "JobService.ResumeJob": Entry(
        _job_call("paused"),
        _JOB_IDS,
        {state: (_job_call(state), JOB_STATE) for state in ("completed", "failed", "cancelled")},
    ),
    "JobService.RetryJob": Entry(
        _job_call("failed"),
        _JOB_IDS,
        {state: (_job_call(state), JOB_STATE) for state in ("completed", "cancelled", "pending", "paused")},
    ),
    "JobService.ListJobEvents": Entry(_job("completed"), _JOB_IDS),
    "BatchService.CreateBatch": Entry(
        _new_batch,
        {**_ACCOUNT_IDS, "product_ids": NO_PRODUCT},
        {
            "live job": (
                lambda w: {**_new_batch(w), "product_ids": [w.busy_product_id]},
                "ALREADY_EXISTS JOB_EXISTS",
            ),
            "no such action": (
                lambda w: {**_new_batch(w), "action": "dance"},
                "INVALID_ARGUMENT ACTION_NOT_FOUND",
            ),
        },
    ),
    "BatchService.GetBatch": Entry(_batch("pending"), _BATCH_IDS),
    "BatchService.ListBatches": Entry(_tenant, {"tenant_id": NO_TENANT}),
    "BatchService.CancelBatch": Entry(_batch_call("pending"), _BATCH_IDS),
    "BatchService.RetryBatch": Entry(
        _batch_call("pending"),
        _BATCH_IDS,
        {state: (_batch_call(state), BATCH_STATE) for state in ("pending", "cancelled")},
    ),
    "BatchService.WatchBatch": Entry(_batch("cancelled"), _BATCH_IDS),
}
_CONNECTORS: Final = {
    "ConnectorService.RegisterConnector": Entry(
        lambda w: _registration(manifest(w.marketplace, step("only"), expire_after=DAY), w),
        {"instance_id": CHOSEN, "manifest.marketplace": CHOSEN},
        {
            "other content": (
                lambda w: _registration(manifest(w.marketplace, step("another")), w),
                "ALREADY_EXISTS MANIFEST_CONFLICT",
            )
        },
    ),
    "ConnectorService.StartTasks": Entry(
        lambda w: _start(w.jobs["pending"], w),
        {
            "instance_id": "FAILED_PRECONDITION CONNECTOR_NOT_REGISTERED",
            **dict.fromkeys(
                ("starts.command.tenant_id", "starts.command.job_id", "starts.command.task_id"), ANSWERED
            ),
            "starts.lease_token": CHOSEN,
        },
        {
            "not registered": (
                lambda w: _start(w.jobs["pending"], w),
                "FAILED_PRECONDITION CONNECTOR_NOT_REGISTERED",
            )
        },
    ),
    "ConnectorService.HeartbeatTasks": Entry(
        lambda w: {"instance_id": w.foreign["job_id"], "leases": [_lease(w)]},
        {"instance_id": ANSWERED, **_LEASE_IDS},
    ),
    "ConnectorService.ReportTasks": Entry(
        _report,
        {
            "instance_id": ANSWERED,
            **dict.fromkeys(
                ("reports.tenant_id", "reports.job_id", "reports.task_id", "reports.lease_token"), ANSWERED
            ),
            "reports.next_lease_token": CHOSEN,
        },
    ),
    "ConnectorService.ReleaseTasks": Entry(
        lambda w: {"instance_id": w.foreign["job_id"], "leases": [_lease(w)]},
        {"instance_id": ANSWERED, **_LEASE_IDS},
    ),
    "ConnectorService.GetCredentials": Entry(
        lambda w: {"instance_id": w.instance_id, **_account(w), **_lease(w)},
        {**_ACCOUNT_IDS, **dict.fromkeys(("instance_id", "job_id", "task_id", "lease_token"), NO_LEASE)},
        {"no lease": (lambda w: {"instance_id": w.instance_id, **_account(w), **_lease(w)}, NO_LEASE)},
    ),
    "ConnectorService.SaveCredentials": Entry(
        lambda w: {
            "instance_id": w.instance_id,
            **_account(w),
            "grant_id": w.used_request_id,
            "abandoned": {},
        },
        {**_ACCOUNT_IDS, "instance_id": NO_GRANT, "grant_id": NO_GRANT},
    ),
    "ConnectorService.GetAuthorization": Entry(
        lambda w: {"instance_id": w.instance_id, **_account(w), **_lease(w)},
        {
            "tenant_id": NO_TENANT,
            **dict.fromkeys(("instance_id", "account_id", "job_id", "task_id", "lease_token"), NO_LEASE),
        },
        {"no lease": (lambda w: {"instance_id": w.instance_id, **_account(w), **_lease(w)}, NO_LEASE)},
    ),
    "ConnectorService.SubmitHint": Entry(
        lambda w: {
            "marketplace": w.marketplace,
            "hint_id": "n",
            "remote_account_id": "seller",
            "kind": "HINT_KIND_ORDERS",
        },
        {"marketplace": NO_MARKETPLACE},
    ),
    "ConnectorService.EraseAccountData": Entry(
        lambda w: {"marketplace": w.marketplace, "remote_account_id": "seller"}, {"marketplace": ANSWERED}
    ),
    "ConnectorService.GetListings": Entry(
        lambda w: {"instance_id": w.instance_id, "tenant_id": _account(w)["tenant_id"], **_lease(w)},
        {
            "tenant_id": NO_TENANT,
            **dict.fromkeys(("instance_id", "job_id", "task_id", "lease_token"), NO_LEASE),
        },
    ),
    "ConnectorService.GetSyncState": Entry(
        lambda w: {"instance_id": w.instance_id, "tenant_id": _account(w)["tenant_id"], **_lease(w)},
        {
            "tenant_id": NO_TENANT,
            **dict.fromkeys(("instance_id", "job_id", "task_id", "lease_token"), NO_LEASE),
        },
    ),
    "ConnectorService.VerifyPairing": Entry(
        lambda w: {
            "instance_id": w.instance_id,
            "marketplace": w.marketplace,
            "token": "t" * 40,
            "client_id": w.used_request_id,
        },
        {"instance_id": CHOSEN, "marketplace": NO_PAIRING, "client_id": NO_PAIRING},
        {
            "no such code": (
                lambda w: {
                    "instance_id": w.instance_id,
                    "marketplace": w.marketplace,
                    "code": "AAAA-AAAA",
                    "token": "t" * 40,
                    "client_id": w.used_request_id,
                },
                NO_PAIRING,
            )
        },
    ),
    "ConnectorService.DropPairing": Entry(
        lambda w: {"instance_id": w.instance_id, "pairing_id": w.used_request_id, "token": "t" * 40},
        {"instance_id": ANSWERED, "pairing_id": ANSWERED},
    ),
    "ConnectorService.AcquireSession": Entry(
        lambda w: {
            "instance_id": w.instance_id,
            "pairing_id": w.pairing_id,
            "token": PAIRING_TOKEN,
            "remote_user_id": "1001",
        },
        {"instance_id": "FAILED_PRECONDITION CONNECTOR_NOT_REGISTERED", "pairing_id": NO_PAIRING},
    ),
    "ConnectorService.RenewSessions": Entry(
        lambda w: {"instance_id": w.instance_id, "sessions": [_session(w)]},
        {"instance_id": ANSWERED, "sessions.account_id": ANSWERED},
    ),
    "ConnectorService.ReleaseSession": Entry(
        lambda w: {"instance_id": w.instance_id, "session": _session(w)},
        {"instance_id": ANSWERED, "session.account_id": ANSWERED},
    ),
    "ConnectorService.StopAccount": Entry(
        lambda w: {
            "instance_id": w.instance_id,
            **_account(w),
            "reason": "ACCOUNT_STOP_REASON_NEEDS_HUMAN",
        },
        {**_ACCOUNT_IDS, "instance_id": CHOSEN},
    ),
    "ConnectorService.ResumeStoppedAccount": Entry(
        lambda w: {"instance_id": w.instance_id, **_account(w)}, {**_ACCOUNT_IDS, "instance_id": CHOSEN}
    ),
}
_ADMIN: Final = {
    "AdminService.ListQueues": Entry(lambda w: {}, {"marketplace": ANSWERED}),
    "AdminService.ListConnectors": Entry(lambda w: {}, {"marketplace": ANSWERED}),
    "AdminService.DrainConnector": Entry(
        lambda w: as_fields(instance_id=w.instance_id), {"instance_id": NO_CONNECTOR}
    ),
    "AdminService.PauseMarketplace": Entry(
        lambda w: as_fields(marketplace=w.marketplace), {"marketplace": NO_MARKETPLACE}
    ),
    "AdminService.ResumeMarketplace": Entry(
        lambda w: as_fields(marketplace=w.marketplace), {"marketplace": NO_MARKETPLACE}
    ),
    "AdminService.PauseAccount": Entry(_account_call, dict.fromkeys(_ACCOUNT_IDS, NO_ACCOUNT)),
    "AdminService.ResumeAccount": Entry(_account_call, dict.fromkeys(_ACCOUNT_IDS, NO_ACCOUNT)),
    "AdminService.SetLimits": Entry(
        lambda w: as_fields(account=_account(w), max_admitted_jobs=1),
        {"marketplace": NO_MARKETPLACE, "account.tenant_id": NO_ACCOUNT, "account.account_id": NO_ACCOUNT},
    ),
    "AdminService.ListDeadLetters": Entry(
        lambda w: {}, {"filter.tenant_id": ANSWERED, "filter.marketplace": ANSWERED}
    ),
    "AdminService.ReplayDeadLetters": Entry(
        lambda w: as_fields(ids={"job_ids": [w.jobs["failed"]]}),
        {"ids.job_ids": REMEMBERED, "filter.tenant_id": REMEMBERED, "filter.marketplace": REMEMBERED},
    ),
    "AdminService.ListEffects": Entry(lambda w: {}, {"tenant_id": ANSWERED}),
    "AdminService.SettleEffect": Entry(
        _settle("UNRESOLVED"), {"effect_id": NO_EFFECT}, {"settled": (_settle("DONE"), EFFECT_STATE)}
    ),
    "AdminService.ListEvents": Entry(lambda w: {}, {"tenant_id": ANSWERED, "marketplace": ANSWERED}),
}
_OF_ALL: Final = {"tenant_id": ANSWERED, "marketplace": ANSWERED}
_STATS: Final = {
    "StatsService.GetMarketplaceStats": Entry(_tenant, _OF_ALL),
    "StatsService.GetDailySummary": Entry(_tenant, _OF_ALL),
    "StatsService.GetTaskStats": Entry(_tenant, _OF_ALL),
    "StatsService.ListErrors": Entry(_tenant, _OF_ALL),
    "StatsService.ListSlowTasks": Entry(_tenant, _OF_ALL),
    "StatsService.RebuildStats": Entry(
        lambda w: as_fields(), {}, {"alone": (lambda w: as_fields(), NO_ORCHESTRATOR)}
    ),
    "StatsService.GetRebuild": Entry(lambda w: {"generation": w.rebuild}),
    "StatsService.ReconcileDay": Entry(
        lambda w: {"day": "2026-01-05"}, {}, {"alone": (lambda w: {"day": "2026-01-05"}, NO_ORCHESTRATOR)}
    ),
}
TABLE: Final[Mapping[str, Entry]] = {
    **_TENANTS,
    **_CATALOG,
    **_REFERENCE,
    **_PRICES,
    **_ACCOUNTS,
    **_JOBS,
    **_CONNECTORS,
    **_ADMIN,
    **_STATS,
}
