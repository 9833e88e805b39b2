"""The official documents, or the reason why they cannot be used."""

import pytest

from tests.contract.openapi import ContractChecker


@pytest.fixture(scope="session")
def contract_checker() -> ContractChecker:
    """One checker for the run; without the documents what uses it skips."""
    checker = ContractChecker()
    if reason := checker.absent_reason:
        pytest.skip(reason)
    return checker
