"""Judges HTTP exchanges by Etsy's official OpenAPI document; see `openapi` for where it is found.

Deviations from the document, each because the live API deviates:

- 401, 403, 429 and gateway errors come from in front of every operation; few list them. 429 has none.
- Beside `error`, an error of the OAuth layer has an `error_description`.
- An array in a form or a query may be one comma-separated value, as real clients send it.
- The body of an image upload is multipart and is left unread.
- A nullable field with a list of values may be null, although the list does not say so.
- The token endpoint has no operation in the document.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_schema_validator import OAS30WriteValidator
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.contract.openapi import (
    FRONT_STATUSES,
    ContractError,
    Document,
    JudgedRequest,
    JudgedResponse,
    Operation,
    contracts_folder,
    explain,
    operations_of,
)

HOST = "https://openapi.etsy.com"
PREFIX = "/v3/application"
FILE = "etsy_openapi_v3_2026-02-12.json"
TOKEN_PATH = "/v3/public/oauth/token"
FORM = "application/x-www-form-urlencoded"
_KEY = re.compile(r"[^:]+:[^:]+")


@dataclass(slots=True)
class EtsyContractChecker:
    """Judges exchanges and counts what was exercised."""

    folder: Path = field(default_factory=contracts_folder)
    exercised: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def absent_reason(self) -> str | None:
        """Why nothing can be judged, or None: use it to skip."""
        if (self.folder / FILE).is_file():
            return None
        return f"no official document {FILE} in {self.folder}: set STOFLOW_CONTRACTS"

    def covers(self, path: str) -> bool:
        """Say whether a path belongs to Etsy's API, rather than to a picture server or a control API."""
        return path == TOKEN_PATH or path.startswith(f"{PREFIX}/")

    def check(self, request: httpx.Request, response: httpx.Response) -> None:
        """Judge both sides of one exchange and count it; raises ContractError. Bodies must have been read."""
        self.check_request(request)
        self.check_response(request, response)

    def check_request(self, request: httpx.Request) -> None:
        if request.url.path == TOKEN_PATH:
            return
        document, operation = self._find(request)
        violations = list(_request_violations(document, operation, request))
        if violations:
            raise ContractError(operation.name, "request", violations)

    def check_response(self, request: httpx.Request, response: httpx.Response) -> None:
        if request.url.path == TOKEN_PATH:
            self.exercised["token", response.status_code] += 1
            return
        document, operation = self._find(request)
        violations = list(_response_violations(document, operation, request, response))
        if violations:
            raise ContractError(operation.name, "response", violations)
        self.exercised[operation.name, response.status_code] += 1

    def report(self) -> dict[str, dict[str, int]]:
        """Return how often each operation was exercised, by status."""
        lines: dict[str, dict[str, int]] = {}
        for (operation, status), count in sorted(self.exercised.items()):
            lines.setdefault(operation, {})[str(status)] = count
        return lines

    def _find(self, request: httpx.Request) -> tuple[Document, Operation]:
        document = read_etsy_document(self.folder)
        operation = document.find(request.method, request.url.path)
        if operation is None:
            name = f"{request.method} {request.url.path}"
            raise ContractError(name, "request", ["the document has no such operation"])
        return document, operation


@cache
def read_etsy_document(folder: Path) -> Document:
    """Read the document once for the process."""
    source = json.loads((folder / FILE).read_text())
    source["servers"] = [{"url": HOST}]
    source["components"]["schemas"]["ErrorSchema"]["properties"]["error_description"] = {"type": "string"}
    _admit_null(source)
    operations = []
    for path, method, content in operations_of(source):
        # openapi-core knows no OAuth; key and token are looked for by hand.
        content["x-needs-token"] = any("oauth2" in one for one in content.get("security", ()))
        content["security"] = []
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        operations.append(Operation(content["operationId"], method, pattern, content))
    config = Config(additional_properties_default_policy="forbid")
    return Document(PREFIX, OpenAPI.from_dict(source, config=config), operations)


def _admit_null(node: Any) -> None:
    if isinstance(node, list):
        for each in node:
            _admit_null(each)
    elif isinstance(node, dict):
        if node.get("nullable") and isinstance(node.get("enum"), list):
            node["enum"].append(None)
        for each in node.values():
            _admit_null(each)


def _request_violations(document: Document, operation: Operation, request: httpx.Request) -> Iterator[str]:
    if not _KEY.fullmatch(request.headers.get("x-api-key", "")):
        yield "x-api-key must be keystring:shared_secret"
    if operation.content["x-needs-token"]:
        if not re.fullmatch(r"Bearer \d+\..+", request.headers.get("authorization", "")):
            yield "no bearer token of the form {user_id}.{token}"
    for name in sorted(set(request.url.params) - operation.query_names):
        yield f"query parameter {name} is not in the document"
    body = operation.content.get("requestBody", {}).get("content", {})
    media_type = request.headers.get("content-type", "").partition(";")[0]
    if request.content and media_type not in body:
        yield f"the operation takes no body of {media_type or 'no type'}"
    elif FORM in body:
        yield from _form_violations(body[FORM]["schema"], request.content)
    elif not operation.has_upload:
        yield from explain(document.api.iter_request_errors(_judged(operation, request)))


def _form_violations(schema: dict[str, Any], body: bytes) -> Iterator[str]:
    """Judge a form by its schema, after reading each field as the type that the schema gives it."""
    known = schema["properties"]
    fields: dict[str, Any] = {}
    for raw_name, text in parse_qsl(body.decode(), keep_blank_values=True):
        name = re.sub(r"\[\d*\]$", "", raw_name)
        if name not in known:
            yield f"{raw_name}: not in the document"
        elif known[name]["type"] == "array":
            parts = [_typed(part, known[name]["items"]) for part in text.split(",")] if text else []
            fields.setdefault(name, []).extend(parts)
        else:
            fields[name] = _typed(text, known[name])
    for error in OAS30WriteValidator(schema).iter_errors(fields):
        yield f"{'.'.join(str(part) for part in error.absolute_path) or 'body'}: {error.message}"


def _typed(text: str, schema: dict[str, Any]) -> Any:
    try:
        match schema["type"]:
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text]
    except (ValueError, KeyError):
        return text
    return text


def _response_violations(
    document: Document, operation: Operation, request: httpx.Request, response: httpx.Response
) -> Iterator[str]:
    status = response.status_code
    if not operation.allows_status(status):
        if status not in FRONT_STATUSES and status < 500:
            yield f"status {status} is not in the document"
        elif not _has_error(response):
            yield f"status {status} without Etsy's error"
        return
    if response.content and "content" not in operation.content["responses"][str(status)]:
        yield f"status {status} has no body in the document"
    judged = JudgedResponse(
        status_code=status,
        data=response.content or None,
        content_type=response.headers.get("content-type", ""),
        headers=Headers(list(response.headers.items())),
    )
    yield from explain(document.api.iter_response_errors(_judged(operation, request), judged))


def _has_error(response: httpx.Response) -> bool:
    try:
        content = response.json()
    except ValueError:
        return False
    return isinstance(content, dict) and isinstance(content.get("error"), str)


def _judged(operation: Operation, request: httpx.Request) -> JudgedRequest:
    arrays = {
        one["name"]
        for one in operation.content.get("parameters", [])
        if one["in"] == "query" and one["schema"].get("type") == "array"
    }
    query = [
        (name, part)
        for name, value in request.url.params.multi_items()
        for part in (value.split(",") if name in arrays else [value])
    ]
    return JudgedRequest(
        method=request.method.lower(),
        path=request.url.path,
        body=request.content or None,
        content_type=request.headers.get("content-type", ""),
        parameters=RequestParameters(
            query=ImmutableMultiDict(query), header=Headers(list(request.headers.items()))
        ),
        host_url=HOST,
    )
