"""How large a storm is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StormSize:
    """What a storm consists of.

    Attributes:
        tenants: Sellers.
        jobs: Of all sellers together; as many for each.
        connectors: Processes.
        slots: Of each connector.
        sending_seconds: Over how long the sellers spread what they do, if the machine keeps up.
        end_seconds: After this a storm that has not ended has failed.
    """

    tenants: int
    jobs: int
    connectors: int
    slots: int
    sending_seconds: float
    end_seconds: float

    @property
    def jobs_of_tenant(self) -> int:
        return self.jobs // self.tenants


SMALL = StormSize(tenants=4, jobs=200, connectors=3, slots=8, sending_seconds=8, end_seconds=240)
FULL = StormSize(tenants=20, jobs=5_000, connectors=3, slots=32, sending_seconds=60, end_seconds=900)
