"""Start-time fair queueing: who gets the next slots of a marketplace. Pure.

Each priority is a queue of its own, and a higher one is served first. In a queue each waiting tenant has a start tag;
the least goes first, and each job that it gets raises it by one. The queue's clock is the greatest tag served. Whoever
comes anew starts at the clock, so idleness earns nothing, or at its own tag if it has had more than those who wait.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

CRITICAL = 1
# How far before the clock a newcomer starts: before those who have had their share of this round, after older
# newcomers. Less than one job, so that nobody gains by coming again and again.
NEWCOMER_LEAD = 0.5


class Candidate(NamedTuple):
    """A job that may be admitted now."""

    sequence: int
    job_id: UUID
    account_id: UUID
    # How many more jobs of its account may be admitted; None for any number.
    account_room: int | None


@dataclass(slots=True)
class QueuedTenant:
    """A tenant in one queue.

    Attributes:
        tag: As stored; None without a row.
        is_waiting: Whether it was known to wait.
        jobs: Its oldest ready jobs, in order of creation.
        has_more: Whether there may be others behind them.
    """

    priority: int
    tenant_id: int
    tag: float | None
    is_waiting: bool
    jobs: Sequence[Candidate]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """Free slots.

    Attributes:
        free: For jobs of any priority.
        ordinary: For those that are not CRITICAL, at most; the rest is kept.
    """

    free: int
    ordinary: int

    @classmethod
    def of(cls, capacity: int, admitted: int, admitted_ordinary: int) -> Room:
        """Counts what is free when a tenth, at least one, is kept for CRITICAL; a single slot is for all."""
        kept = max(1, capacity // 10) if capacity > 1 else 0
        return cls(max(0, capacity - admitted), max(0, capacity - kept - admitted_ordinary))


class TenantRow(NamedTuple):
    """What is to be stored of a tenant in a queue."""

    priority: int
    tenant_id: int
    tag: float
    is_waiting: bool


@dataclass(slots=True)
class Queue:
    """What is known of one priority's queue.

    Attributes:
        clock: Greatest start tag served.
        is_whole: Whether every waiting tenant was looked at.
        has_debtors: Whether tenants that do not wait have tags beyond the clock.
    """

    clock: float = 0.0
    is_whole: bool = True
    has_debtors: bool = False


@dataclass(slots=True)
class Choice:
    """What a pass decides.

    Attributes:
        job_ids: To be admitted, in order.
        rows: Tenants to store.
        gone: (priority, tenant) whose rows are to be deleted.
        clocks: Clocks to store, by priority.
        reset: Priorities in which nobody waits any more: all rows are to be deleted.
        left: By priority, how many more of the jobs looked at could be admitted now.
        is_cut: Whether slots are left for jobs that were not looked at.
    """

    job_ids: list[UUID] = field(default_factory=list)
    rows: list[TenantRow] = field(default_factory=list)
    gone: list[tuple[int, int]] = field(default_factory=list)
    clocks: dict[int, float] = field(default_factory=dict)
    reset: list[int] = field(default_factory=list)
    left: dict[int, int] = field(default_factory=dict)
    is_cut: bool = False

    @property
    def changes_queues(self) -> bool:
        """Whether anything of the queues is to be stored."""
        return bool(self.rows or self.gone or self.clocks or self.reset)


class _Place:
    """A tenant's place in its queue during a pass."""

    __slots__ = ("jobs", "start", "taken", "tenant")

    def __init__(self, tenant: QueuedTenant, clock: float) -> None:
        self.tenant = tenant
        # Served from the end.
        self.jobs = list(reversed(tenant.jobs))
        if tenant.is_waiting and tenant.tag is not None:
            self.start = tenant.tag
        else:
            newcomer = clock - NEWCOMER_LEAD
            self.start = newcomer if tenant.tag is None else max(tenant.tag, newcomer)
        self.taken = 0

    @property
    def key(self) -> tuple[float, int]:
        return self.start, self.jobs[-1].sequence

    @property
    def waits(self) -> bool:
        return bool(self.jobs) or self.tenant.has_more


def choose(tenants: Sequence[QueuedTenant], queues: Mapping[int, Queue], room: Room) -> Choice:
    """Fills the free slots: by priority, then fairly between tenants, oldest first within a tenant."""
    choice = Choice()
    by_priority: dict[int, list[QueuedTenant]] = defaultdict(list)
    for tenant in tenants:
        by_priority[tenant.priority].append(tenant)
    account_rooms: dict[UUID, int] = {}
    ordinary_taken = 0
    for priority in sorted(by_priority):
        queue = queues.get(priority, Queue())
        places = [_Place(tenant, queue.clock) for tenant in by_priority[priority]]
        free = room.free - len(choice.job_ids)
        if priority != CRITICAL:
            free = min(free, room.ordinary - ordinary_taken)
        served, clock = _serve(places, queue.clock, free, account_rooms)
        choice.job_ids += served
        if priority != CRITICAL:
            ordinary_taken += len(served)
        if left := sum(len(place.jobs) for place in places):
            choice.left[priority] = left
        if len(served) < free:
            choice.is_cut |= not queue.is_whole or any(place.tenant.has_more for place in places)
        _settle(choice, priority, queue, places, clock)
    return choice


def _serve(
    places: Sequence[_Place], clock: float, free: int, account_rooms: dict[UUID, int]
) -> tuple[list[UUID], float]:
    served: list[UUID] = []
    heap: list[tuple[tuple[float, int], int]] = []

    def offer(number: int) -> None:
        place = places[number]
        # An account that is full has no candidates left in this pass.
        while place.jobs and not _has_room(place.jobs[-1], account_rooms):
            place.jobs.pop()
        if place.jobs:
            heapq.heappush(heap, (place.key, number))

    for number in range(len(places)):
        offer(number)
    while heap and len(served) < free:
        _, number = heapq.heappop(heap)
        place = places[number]
        job = place.jobs[-1]
        # The account may have been filled by another queue's or tenant's place since it was offered.
        if _has_room(job, account_rooms):
            place.jobs.pop()
            if job.account_room is not None:
                account_rooms[job.account_id] = account_rooms.get(job.account_id, job.account_room) - 1
            served.append(job.job_id)
            clock = max(clock, place.start)
            place.start += 1
            place.taken += 1
        offer(number)
    return served, clock


def _has_room(job: Candidate, account_rooms: Mapping[UUID, int]) -> bool:
    return job.account_room is None or account_rooms.get(job.account_id, job.account_room) > 0


def _settle(choice: Choice, priority: int, queue: Queue, places: Sequence[_Place], clock: float) -> None:
    """Notes what is to be stored: nothing at all while nobody has to wait."""
    waiting = [place for place in places if place.waits]
    if not waiting and queue.is_whole:
        # The end of a busy time: everybody is equal again.
        if queue.clock or queue.has_debtors or any(place.tenant.tag is not None for place in places):
            choice.reset.append(priority)
        return
    debtors = [place for place in places if not place.waits and place.start > clock]
    if queue.is_whole and len(waiting) == 1 and not debtors and not queue.has_debtors:
        # Only differences count: a tenant alone stays where it is, so that its passes write nothing.
        waiting[0].start -= clock
        clock = 0.0
    for place in places:
        _note(choice, place, clock)
    if clock != queue.clock:
        choice.clocks[priority] = clock


def _note(choice: Choice, place: _Place, clock: float) -> None:
    tenant = place.tenant
    if place.waits or (place.taken and place.start > clock):
        row = TenantRow(tenant.priority, tenant.tenant_id, place.start, place.waits)
        if (row.tag, row.is_waiting) != (tenant.tag, tenant.is_waiting):
            choice.rows.append(row)
    elif tenant.is_waiting:
        if place.start > clock:
            choice.rows.append(TenantRow(tenant.priority, tenant.tenant_id, place.start, False))
        else:
            choice.gone.append((tenant.priority, tenant.tenant_id))
