"""Who gets the next slots, whatever waits: driven pass by pass, with the rows stored as the repository stores them."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.engine.contention import Contention
from stoflow_orchestrator.engine.fairness import (
    Candidate,
    Choice,
    Queue,
    QueuedTenant,
    Room,
    choose,
)

CRITICAL, HIGH, NORMAL, LOW = 1, 2, 3, 4
LOOK_BEYOND = 8
# Two tenants that wait all the time differ by less than this, however long.
CONSTANT = 2.5


@dataclass
class Model:
    """The tables of a marketplace, and passes over them as engine.admission makes them."""

    waiting: dict[tuple[int, int], deque[Candidate]] = field(default_factory=dict)
    rows: dict[tuple[int, int], tuple[float, bool]] = field(default_factory=dict)
    clocks: dict[int, float] = field(default_factory=dict)
    sequences: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    told: set[int] = field(default_factory=set)

    def add(self, tenant_id: int, jobs: int, priority: int = NORMAL, room: int | None = None) -> None:
        queue = self.waiting.setdefault((priority, tenant_id), deque())
        for _ in range(jobs):
            sequence = next(self.sequences)
            queue.append(Candidate(sequence, UUID(int=sequence), UUID(int=tenant_id), room))
        self.told.add(tenant_id)

    def run(self, room: Room) -> Counter[int]:
        """Runs passes until the slots are full or nothing is left; returns jobs admitted by tenant."""
        admitted: Counter[int] = Counter()
        while True:
            choice = self._pass(Room(room.free - admitted.total(), room.ordinary - admitted.total()))
            admitted += self._take(choice.job_ids)
            if not choice.is_cut:
                return admitted

    def _pass(self, room: Room) -> Choice:
        look = room.free + LOOK_BEYOND
        seen: list[tuple[int, int]] = []
        queues: dict[int, Queue] = {}
        for priority in (CRITICAL, HIGH, NORMAL, LOW):
            known = sorted(k for k, (_, waits) in self.rows.items() if k[0] == priority and waits)
            known = sorted(known, key=lambda k: self.rows[k][0])
            told = [(priority, t) for t in self.told if self.waiting.get((priority, t))]
            seen += known[:look] + [k for k in told if k not in known]
            clock = self.clocks.get(priority, 0.0)
            queues[priority] = Queue(
                clock=clock,
                is_whole=len(known) < look,
                has_debtors=any(
                    k[0] == priority and not waits and tag > clock for k, (tag, waits) in self.rows.items()
                ),
            )
        sizes = Counter(priority for priority, _ in seen)
        tenants = []
        for key in seen:
            share = min(look, max(2, -(-2 * look // sizes[key[0]])))
            jobs = list(itertools.islice(self.waiting.get(key, ()), share))
            tag, waits = self.rows.get(key, (None, False))
            tenants.append(QueuedTenant(*key, tag, waits, jobs, len(jobs) == share))
        self.told.clear()
        choice = choose(tenants, queues, room)
        self._store(choice)
        return choice

    def _store(self, choice: Choice) -> None:
        for key in list(self.rows):
            if key[0] in choice.reset or key in choice.gone:
                del self.rows[key]
        for priority in choice.reset:
            self.clocks.pop(priority, None)
        for row in choice.rows:
            self.rows[row.priority, row.tenant_id] = (row.tag, row.is_waiting)
        self.clocks.update(choice.clocks)

    def _take(self, job_ids: Iterable[UUID]) -> Counter[int]:
        taken: Counter[int] = Counter()
        wanted = set(job_ids)
        for (_, tenant_id), queue in self.waiting.items():
            while queue and queue[0].job_id in wanted:
                queue.popleft()
                taken[tenant_id] += 1
        # Oldest first, without a gap, or some would be left.
        assert taken.total() == len(wanted)
        return taken


@given(
    tenants=st.integers(2, 12),
    slots=st.lists(st.integers(0, 25), min_size=1, max_size=60),
    others=st.lists(
        st.lists(st.tuples(st.integers(100, 110), st.integers(1, 4)), max_size=3), min_size=60, max_size=60
    ),
)
def test_tenants_that_always_wait_share_alike(
    tenants: int, slots: list[int], others: list[list[tuple[int, int]]]
) -> None:
    """Whatever others come and go, tenants with endless backlogs get as much as one another, up to a constant."""
    model = Model()
    for tenant_id in range(1, tenants + 1):
        model.add(tenant_id, 60 * 25)
    total: Counter[int] = Counter()
    for free, coming in zip(slots, others, strict=False):
        for tenant_id, jobs in coming:
            model.add(tenant_id, jobs)
        total += model.run(Room(free, free))
        shares = [total[tenant_id] for tenant_id in range(1, tenants + 1)]
        assert max(shares) - min(shares) <= CONSTANT


@given(
    idle_passes=st.integers(0, 30),
    slots=st.lists(st.integers(1, 10), min_size=5, max_size=40),
    rounds=st.integers(1, 4),
)
def test_idleness_earns_nothing(idle_passes: int, slots: list[int], rounds: int) -> None:
    """A tenant that comes back gets no more than its equal share from then on, up to a constant, again and again."""
    model = Model()
    model.add(1, 4_000)
    model.add(2, 4_000)
    for _ in range(rounds):
        for _ in range(idle_passes):
            model.run(Room(4, 4))
        model.add(3, 600)
        since: Counter[int] = Counter()
        for free in slots:
            since += model.run(Room(free, free))
            assert since[3] <= since.total() / 3 + CONSTANT
            assert since[3] >= since.total() / 3 - CONSTANT
        model.waiting[NORMAL, 3].clear()
        model.told.add(3)


@given(parallel=st.integers(1, 8), passes=st.integers(10, 80))
def test_coming_again_and_again_earns_nothing(parallel: int, passes: int) -> None:
    """A tenant that always submits anew what it was given does not outrun one that waits all the time."""
    model = Model()
    model.add(1, 200)
    model.add(2, parallel)
    total: Counter[int] = Counter()
    for _ in range(passes):
        admitted = model.run(Room(2, 2))
        total += admitted
        if admitted[2]:
            model.add(2, admitted[2])
    assert total[2] <= total[1] + CONSTANT


@given(
    backlog=st.lists(
        st.tuples(st.integers(1, 6), st.integers(1, 8), st.sampled_from([CRITICAL, HIGH, NORMAL, LOW])),
        min_size=1,
        max_size=20,
    ),
    free=st.integers(0, 40),
    kept=st.integers(0, 5),
)
def test_higher_priority_goes_strictly_first_and_kept_slots_stay_free(
    backlog: list[tuple[int, int, int]], free: int, kept: int
) -> None:
    """No job is admitted while one of a higher priority waits, and only CRITICAL takes the kept slots."""
    model = Model()
    for tenant_id, jobs, priority in backlog:
        model.add(tenant_id, jobs, priority)
    before = {p: sum(len(q) for (qp, _), q in model.waiting.items() if qp == p) for p in range(1, 5)}
    ordinary = max(0, free - kept)
    choice = model._pass(Room(free, ordinary))
    model._take(choice.job_ids)
    taken = {
        p: before[p] - sum(len(q) for (qp, _), q in model.waiting.items() if qp == p) for p in range(1, 5)
    }
    assert taken[CRITICAL] == min(before[CRITICAL], free)
    left = min(ordinary, free - taken[CRITICAL])
    for priority in (HIGH, NORMAL, LOW):
        if choice.is_cut and taken[priority] < min(before[priority], left):
            # Shares bound what one pass looks at; lower priorities wait for the next one all the same.
            return
        assert taken[priority] == min(before[priority], left)
        left -= taken[priority]


@given(
    limits=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    priorities=st.lists(st.sampled_from([CRITICAL, NORMAL]), min_size=1, max_size=2, unique=True),
)
def test_accounts_keep_their_limits_over_all_priorities(limits: list[int], priorities: list[int]) -> None:
    """However many of its jobs wait at whatever priorities, an account gets no more than it may."""
    model = Model()
    for tenant_id, limit in enumerate(limits, start=1):
        for priority in priorities:
            model.add(tenant_id, 5, priority, room=limit)
    choice = model._pass(Room(100, 100))
    admitted = model_accounts(choice, model)
    assert all(admitted[tenant_id] <= limit for tenant_id, limit in enumerate(limits, start=1))


def model_accounts(choice: Choice, model: Model) -> Counter[int]:
    chosen = set(choice.job_ids)
    return Counter(
        job.account_id.int for queue in model.waiting.values() for job in queue if job.job_id in chosen
    )


def test_nothing_is_written_while_nobody_has_to_wait() -> None:
    """A pass that serves everybody leaves no trace, and so does each pass of a tenant that waits alone."""
    model = Model()
    model.add(1, 3)
    assert not model._pass(Room(5, 5)).changes_queues
    model = Model()
    model.add(1, 100)
    first = model._pass(Room(5, 5))
    model._take(first.job_ids)
    assert first.changes_queues
    second = model._pass(Room(5, 5))
    assert len(second.job_ids) == 5
    assert not second.changes_queues


def test_newcomer_goes_before_all_that_had_their_share() -> None:
    """Among a thousand waiting tenants, one that comes anew gets the next slot."""
    model = Model()
    for tenant_id in range(1, 1_001):
        model.add(tenant_id, 3)
    for _ in range(50):
        model.run(Room(27, 27))
    model.add(5_000, 1)
    assert model.run(Room(1, 1)) == Counter({5_000: 1})


@pytest.mark.parametrize(
    ("capacity", "admitted", "ordinary", "room"),
    [
        (1, 0, 0, Room(1, 1)),
        (2, 0, 0, Room(2, 1)),
        (20, 0, 0, Room(20, 18)),
        (20, 18, 18, Room(2, 0)),
        (20, 4, 2, Room(16, 16)),
        (200, 0, 0, Room(200, 180)),
        (4, 9, 9, Room(0, 0)),
        (0, 0, 0, Room(0, 0)),
    ],
)
def test_a_tenth_of_the_slots_is_kept(capacity: int, admitted: int, ordinary: int, room: Room) -> None:
    """A tenth, at least one, is kept for CRITICAL; a single slot is for all, and none is ever negative."""
    assert Room.of(capacity, admitted, ordinary) == room


def test_running_job_yields_once_for_each_that_waits_above_it() -> None:
    """Two waiting HIGH jobs make two lower ones yield, no equal one, and no third."""
    contention = Contention()
    contention.report("ebay", {HIGH: 2, LOW: 7})
    assert not contention.take("ebay", HIGH)
    assert not contention.take("ebay", CRITICAL)
    assert not contention.take("etsy", LOW)
    assert [contention.take("ebay", NORMAL) for _ in range(3)] == [True, True, False]
    contention.report("ebay", {})
    assert not contention.take("ebay", LOW)
