"""Counts result events the plain way: standard library only, nothing of the project.

Reads events from standard input, one in proto3's JSON a line, repeated and in any order. Writes JSON: for each tenant
the rows of runs and attempts by UTC hour, and errors, all from whole lists of durations.

    python -I plain_count.py < events.jsonl > figures.json
"""

import json
import sys
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

OUTCOMES = {"COMPLETED": "success", "FAILED": "failure", "CANCELLED": "cancelled", "EXPIRED": "expired"}


def microseconds(text: str) -> int:
    return int(Decimal(text.removesuffix("s")) * 1_000_000)


def hour(text: str) -> str:
    # "2026-03-29T01:59:59.999999Z": the text is UTC already, so its first part names the hour.
    return text[:13] + ":00:00Z"


def measured(values: list[int]) -> dict[str, int] | None:
    if not values:
        return None
    ordered = sorted(values)

    def at(fraction: float) -> int:
        return ordered[int(fraction * (len(ordered) - 1))]

    return {
        "count": len(ordered),
        "total": sum(ordered),
        "min": ordered[0],
        "max": ordered[-1],
        "p50": at(0.50),
        "p95": at(0.95),
        "p99": at(0.99),
    }


def main() -> None:
    events = {}
    for line in sys.stdin:
        event = json.loads(line)
        events[event["eventId"]] = event
    runs: dict[Any, list[Any]] = defaultdict(list)
    attempts: dict[Any, list[Any]] = defaultdict(list)
    errors: Counter[Any] = Counter()
    for event in events.values():
        place = (event["tenantId"], event["marketplace"], event["action"])
        fact = event.get("runFinished") or event["attemptFinished"]
        is_run = "runFinished" in event
        if is_run:
            runs[(*place, hour(event["occurTime"]))].append((event, fact))
        else:
            attempts[(*place, fact["taskName"], hour(event["occurTime"]))].append(fact)
        if "failure" in fact:
            failure = fact["failure"]
            scope = "RUN" if is_run else "ATTEMPT"
            errors[(*place, scope, failure["errorClass"], failure.get("code", ""))] += 1
    json.dump(
        {
            "runs": [[*key, run_row(rows)] for key, rows in sorted(runs.items())],
            "attempts": [[*key, attempt_row(rows)] for key, rows in sorted(attempts.items())],
            "errors": [[*key, count] for key, count in sorted(errors.items())],
        },
        sys.stdout,
    )


def run_row(rows: list[Any]) -> dict[str, Any]:
    states = Counter(OUTCOMES[fact["state"].removeprefix("JOB_STATE_")] for _, fact in rows)
    ended = states["success"] + states["failure"]
    return {
        "total": len(rows),
        **{name: states[name] for name in OUTCOMES.values()},
        "retried": sum(event["run"] > 1 for event, _ in rows),
        "success_rate": states["success"] / ended if ended else None,
        "run": measured([microseconds(fact["runDuration"]) for _, fact in rows if "runDuration" in fact]),
        "queue": measured(
            [microseconds(fact["queueDuration"]) for _, fact in rows if "queueDuration" in fact]
        ),
    }


def attempt_row(rows: list[Any]) -> dict[str, Any]:
    outcomes = Counter(fact["outcome"].removeprefix("ATTEMPT_OUTCOME_").lower() for fact in rows)
    return {
        "total": len(rows),
        **{name: outcomes[name] for name in ("completed", "retried", "failed")},
        "duration": measured([microseconds(fact["duration"]) for fact in rows if "duration" in fact]),
    }


if __name__ == "__main__":
    main()
