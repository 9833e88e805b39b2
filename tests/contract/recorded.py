"""Judges the exchanges that connector processes wrote with STOFLOW_HTTP_RECORD."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.contract.etsy_openapi import EtsyContractChecker
from tests.contract.openapi import ContractChecker, ContractError


def check_recorded(
    file: Path, checker: ContractChecker | EtsyContractChecker
) -> tuple[int, list[ContractError]]:
    """Judges every exchange in a record that the checker's documents cover.

    Returns:
        How many were judged, and every violation.
    """
    judged = 0
    violations: list[ContractError] = []
    for request, response in read_exchanges(file):
        if not checker.covers(request.url.path):
            continue
        judged += 1
        for check in (checker.check_request, partial(checker.check_response, response=response)):
            try:
                check(request)
            except ContractError as error:
                violations.append(error)
    return judged, violations


def read_exchanges(file: Path) -> Iterator[tuple[httpx.Request, httpx.Response]]:
    """Reads a record; a last line that a killed process left half written is passed over."""
    for line in file.read_bytes().split(b"\n"):
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        yield _request(entry), _response(entry)


def _request(entry: dict[str, Any]) -> httpx.Request:
    headers = dict(entry["request_headers"])
    if "authorization" in headers:
        # The token is no part of the record; that there was one is.
        headers["authorization"] = "Bearer 1.redacted"
    if "x-api-key" in headers:
        headers["x-api-key"] = "redacted:redacted"
    return httpx.Request(entry["method"], entry["url"], headers=headers, content=_body(entry, "request_body"))


def _response(entry: dict[str, Any]) -> httpx.Response:
    # The body was decoded when it was recorded, and may be shorter than it was by its secrets.
    passed_over = {"content-encoding", "content-length", "transfer-encoding"}
    headers = {name: value for name, value in entry["response_headers"].items() if name not in passed_over}
    return httpx.Response(entry["status"], headers=headers, content=_body(entry, "response_body"))


def _body(entry: dict[str, Any], name: str) -> bytes:
    if f"{name}_base64" in entry:
        return base64.b64decode(entry[f"{name}_base64"])
    return str(entry.get(name, "")).encode()
