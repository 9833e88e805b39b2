"""What a connector process records can be judged afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from stoflow_connector_sdk.http.hooks import response_hooks
from stoflow_connector_sdk.http.record import record_exchanges
from tests.contract.connector_ebay.publishing import Publishing
from tests.contract.openapi import ContractChecker
from tests.contract.recorded import check_recorded


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Path]:
    """A file that this process's exchanges are appended to."""
    before = list(response_hooks)
    record_exchanges(tmp_path / "exchanges.jsonl")
    yield tmp_path / "exchanges.jsonl"
    response_hooks[:] = before


@pytest.fixture
def fresh_checker(contract_checker: ContractChecker) -> ContractChecker:
    """A checker whose counts are no part of the run's report: each exchange counts there once."""
    return ContractChecker(contract_checker.folder)


async def test_recorded_publish_obeys_the_documents(
    publishing: Publishing, record: Path, fresh_checker: ContractChecker
) -> None:
    """Every exchange of a whole publish is in the record without secrets, and none violates a document."""
    await publishing.until("publish_offer")
    judged, violations = check_recorded(record, fresh_checker)
    assert violations == []
    # Two tokens, two kinds of quotas, eight looks before the first write; three images, the item and what it was
    # before, the offer, its state, the publication.
    assert judged == 20
    text = record.read_text()
    assert publishing.tokens.token not in text
    assert publishing.seller.refresh_token not in text


async def test_spoilt_record_is_seen(
    publishing: Publishing, record: Path, fresh_checker: ContractChecker
) -> None:
    """A recorded request without a required header, or an answer with an unknown field, is found."""
    await publishing.until("create_offer")
    lines = [orjson.loads(line) for line in record.read_bytes().splitlines()]
    created = next(line for line in lines if line["url"].endswith("/offer"))
    del created["request_headers"]["content-language"]
    created["response_body"] = '{"offerId": "1", "colour": "red"}'
    record.write_bytes(b"\n".join(orjson.dumps(line) for line in lines) + b'\n{"method": "GE')
    _, violations = check_recorded(record, fresh_checker)
    assert [(one.operation, one.side) for one in violations] == [
        ("createOffer", "request"),
        ("createOffer", "response"),
    ]
