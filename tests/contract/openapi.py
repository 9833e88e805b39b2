"""Judges HTTP exchanges by eBay's official OpenAPI documents.

The documents are read from the folder that STOFLOW_CONTRACTS names (default: ../shared/contracts beside the
checkout); they are test input and no part of the project. Unknown fields are forbidden in requests and
responses.

Deviations from the documents, each because the live API deviates:

- An error body is {"errors": [Error, ...]}; the documents name a bare `Error`, or nothing.
- 401, 403, 429 and gateway errors (502, 503, 504) come from in front of every operation; few list them.
- The body of a picture upload is multipart and is left unread.
- The token endpoint has no document.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

HOST = "https://api.ebay.com"
DOCUMENTS = {
    "/sell/inventory/v1": "sell_inventory_v1",
    "/sell/account/v1": "sell_account_v1",
    "/sell/fulfillment/v1": "sell_fulfillment_v1",
    "/sell/metadata/v1": "sell_metadata_v1",
    "/commerce/media/v1_beta": "commerce_media_v1_beta",
    "/commerce/taxonomy/v1": "commerce_taxonomy_v1",
    "/commerce/identity/v1": "commerce_identity_v1",
    "/commerce/notification/v1": "commerce_notification_v1",
    "/developer/analytics/v1_beta": "developer_analytics_v1_beta",
}
UNDOCUMENTED_PATHS = {"/identity/v1/oauth2/token": "token"}
# Answered in front of the operations: no document lists them for all.
FRONT_STATUSES = frozenset({401, 403, 429, 502, 503, 504})
METHODS = frozenset({"get", "put", "post", "delete", "patch"})


class ContractError(AssertionError):
    """An exchange that the official document does not allow; says which operation and every violation."""

    def __init__(self, operation: str, side: str, violations: list[str]) -> None:
        super().__init__(f"{operation}: the {side} violates the contract: " + "; ".join(violations))
        self.operation = operation
        self.side = side
        self.violations = violations


def contracts_folder() -> Path:
    """Return where the official documents should be."""
    default = Path(__file__).resolve().parents[2] / ".." / "shared" / "contracts"
    return Path(os.environ.get("STOFLOW_CONTRACTS") or default).resolve()


@dataclass(slots=True)
class Operation:
    """One operation of a document, and how to recognize it."""

    name: str
    method: str
    pattern: re.Pattern[str]
    content: dict[str, Any]

    def allows_status(self, status: int) -> bool:
        return str(status) in self.content["responses"] or "default" in self.content["responses"]

    @property
    def has_upload(self) -> bool:
        return "multipart/form-data" in self.content.get("requestBody", {}).get("content", {})

    @property
    def query_names(self) -> set[str]:
        return {one["name"] for one in self.content.get("parameters", []) if one["in"] == "query"}


@dataclass(slots=True)
class Document:
    """One official document, ready to judge."""

    prefix: str
    api: OpenAPI
    operations: list[Operation]

    def find(self, method: str, path: str) -> Operation | None:
        # A literal segment beats a parameter: /offer/get_listing_fees is no offer.
        found = [
            one for one in self.operations if one.method == method.lower() and one.pattern.fullmatch(path)
        ]
        return min(found, key=lambda one: one.pattern.pattern.count("[^/]+"), default=None)


@dataclass(slots=True)
class JudgedRequest:
    """The request in openapi-core's terms."""

    method: str
    path: str
    body: bytes | None
    content_type: str
    parameters: RequestParameters
    host_url: str = HOST


@dataclass(slots=True)
class JudgedResponse:
    """The response in openapi-core's terms."""

    status_code: int
    data: bytes | None
    content_type: str
    headers: Headers


@dataclass(slots=True)
class ContractChecker:
    """Judges exchanges and counts what was exercised; a document is read when its first exchange comes."""

    folder: Path = field(default_factory=contracts_folder)
    exercised: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def absent_reason(self) -> str | None:
        """Why nothing can be judged, or None: use it to skip."""
        missing = [name for name in DOCUMENTS.values() if not (self.folder / f"{name}_oas3.json").is_file()]
        if not missing:
            return None
        return f"no official documents {', '.join(missing)} in {self.folder}: set STOFLOW_CONTRACTS"

    def covers(self, path: str) -> bool:
        """Say whether a path belongs to eBay's API, rather than to a picture server or a control API."""
        return path in UNDOCUMENTED_PATHS or _prefix(path) is not None

    def check(self, request: httpx.Request, response: httpx.Response) -> None:
        """Judge both sides of one exchange and count it; raises ContractError. Bodies must have been read."""
        self.check_request(request)
        self.check_response(request, response)

    def check_request(self, request: httpx.Request) -> None:
        path = request.url.path
        if path in UNDOCUMENTED_PATHS:
            return
        document, operation = self._find(request)
        violations = list(_request_violations(document, operation, request))
        if violations:
            raise ContractError(operation.name, "request", violations)

    def check_response(self, request: httpx.Request, response: httpx.Response) -> None:
        path = request.url.path
        if path in UNDOCUMENTED_PATHS:
            self.exercised[UNDOCUMENTED_PATHS[path], response.status_code] += 1
            return
        document, operation = self._find(request)
        violations = list(_response_violations(document, operation, request, response))
        if violations:
            raise ContractError(operation.name, "response", violations)
        self.exercised[operation.name, response.status_code] += 1

    def report(self) -> dict[str, dict[str, int]]:
        """Return how often each operation was exercised, by status: {"createOffer": {"201": 3}}."""
        lines: dict[str, dict[str, int]] = {}
        for (operation, status), count in sorted(self.exercised.items()):
            lines.setdefault(operation, {})[str(status)] = count
        return lines

    def _find(self, request: httpx.Request) -> tuple[Document, Operation]:
        path = request.url.path
        prefix = _prefix(path)
        document = read_document(self.folder, prefix) if prefix is not None else None
        operation = document.find(request.method, path) if document is not None else None
        if document is None or operation is None:
            raise ContractError(f"{request.method} {path}", "request", ["no document has this operation"])
        return document, operation


@cache
def read_document(folder: Path, prefix: str) -> Document:
    """Read one document; once for the process, since it takes most of a second."""
    return load_document(prefix, json.loads((folder / f"{DOCUMENTS[prefix]}_oas3.json").read_text()))


def load_document(prefix: str, source: dict[str, Any]) -> Document:
    """Return a document with the deviations that the module's docstring lists."""
    source["servers"] = [{"url": HOST + prefix}]
    schemas = source["components"]["schemas"]
    schemas.setdefault("Error", schemas.get("ErrorDetailV3", {"type": "object"}))
    schemas["ContractErrors"] = {
        "type": "object",
        "required": ["errors"],
        "properties": {
            "errors": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Error"}},
            "warnings": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
        },
    }
    operations = []
    for path, method, content in operations_of(source):
        for status, response in content["responses"].items():
            if status.startswith(("4", "5")):
                wrapped = {"schema": {"$ref": "#/components/schemas/ContractErrors"}}
                response["content"] = {"application/json": wrapped}
        # openapi-core knows no OAuth; the bearer token is looked for by hand.
        content["security"] = []
        pattern = re.compile(re.escape(prefix) + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        operations.append(Operation(content["operationId"], method, pattern, content))
    config = Config(additional_properties_default_policy="forbid")
    return Document(prefix, OpenAPI.from_dict(source, config=config), operations)


def operations_of(source: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in source["paths"].items():
        for method, content in item.items():
            if method in METHODS:
                yield path, method, content


def _prefix(path: str) -> str | None:
    return next((prefix for prefix in DOCUMENTS if path.startswith(prefix + "/")), None)


def _request_violations(document: Document, operation: Operation, request: httpx.Request) -> Iterator[str]:
    if not request.headers.get("authorization", "").startswith("Bearer "):
        yield "no bearer token"
    for name in sorted(set(request.url.params) - operation.query_names):
        yield f"query parameter {name} is not in the document"
    if operation.has_upload:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            yield "an upload must be multipart/form-data"
        return
    if request.content and "requestBody" not in operation.content:
        yield "the operation takes no body"
    yield from explain(document.api.iter_request_errors(judged(request)))


def _response_violations(
    document: Document, operation: Operation, request: httpx.Request, response: httpx.Response
) -> Iterator[str]:
    status = response.status_code
    if status == 429 or (status >= 500 and not operation.allows_status(status)):
        return
    if not operation.allows_status(status):
        if status not in FRONT_STATUSES:
            yield f"status {status} is not in the document"
        elif not _has_errors(response):
            yield f"status {status} without eBay's errors"
        return
    described = operation.content["responses"].get(str(status), {})
    if response.content and "content" not in described:
        yield f"status {status} has no body in the document"
    answer = JudgedResponse(
        status_code=status,
        data=response.content or None,
        content_type=response.headers.get("content-type", ""),
        headers=Headers(list(response.headers.items())),
    )
    yield from explain(document.api.iter_response_errors(judged(request), answer))


def _has_errors(response: httpx.Response) -> bool:
    try:
        content = response.json()
    except ValueError:
        return False
    errors = content.get("errors") if isinstance(content, dict) else None
    return isinstance(errors, list) and all(isinstance(one.get("errorId"), int) for one in errors)


def judged(request: httpx.Request) -> JudgedRequest:
    return JudgedRequest(
        method=request.method.lower(),
        path=request.url.path,
        body=request.content or None,
        content_type=request.headers.get("content-type", ""),
        parameters=RequestParameters(
            query=ImmutableMultiDict(request.url.params.multi_items()),
            header=Headers(list(request.headers.items())),
        ),
    )


def explain(errors: Iterable[Exception]) -> Iterator[str]:
    """Say what openapi-core found, down to the field."""
    for error in errors:
        cause = error.__cause__
        details = [
            f"{'.'.join(str(part) for part in one.absolute_path) or 'body'}: {one.message}"
            for one in getattr(cause, "schema_errors", ())
        ]
        yield f"{error} ({'; '.join(details)})" if details else str(cause or error)
