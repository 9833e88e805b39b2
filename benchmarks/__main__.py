"""`python -m benchmarks`: measures the workloads, or profiles the orchestrator under one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from benchmarks.contenders.stoflow import StoFlow
from benchmarks.measuring import measure
from benchmarks.plan import WORKLOADS, Plan
from benchmarks.profiling import profile
from benchmarks.results import FILE, QUICK_FILE, merge, show, write
from benchmarks.servers import Servers
from benchmarks.usage import Meter

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
FOLDER = Path("var/bench")


async def _profile(workload: str, seconds: float, process: str, target: Path, *, with_graph: bool) -> None:
    with Servers(FOLDER) as servers:
        stoflow = StoFlow(servers, products=10_000)
        await stoflow.start()
        has_batches = stoflow.has_batches

        async def work() -> None:
            with Meter({**servers.roles, **stoflow.roles}) as meter:
                tasks_run = 4
                if workload == "W2":
                    figure = f"{await stoflow.run_one() * 1000:.1f} ms"
                else:
                    jobs, tasks = (10_000, 1) if workload == "W3" else (1_000, 4)
                    is_bulk = has_batches and workload != "W1calls"
                    run = stoflow.run_bulk if is_bulk else stoflow.run_calls
                    took = await run(jobs, tasks)
                    tasks_run = jobs * tasks
                    figure = f"{took:.2f} s, {jobs * tasks / took:.0f} tasks/s{'' if is_bulk else ' (calls)'}"
            typer.echo(f"{figure}; {meter.usage.bound()}; {meter.usage.per(tasks_run)}")

        await work()
        await profile(stoflow.roles[process], work, seconds, target, with_graph=with_graph)
        await stoflow.stop()
    typer.echo(target.with_suffix(".top.txt").read_text())
    typer.echo(f"written: {target}.* (top.txt, collapsed{', svg' if with_graph else ''})")


@app.command("run")
def run_command(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds over all workloads and contenders.")] = 3,
    only: Annotated[str, typer.Option(help=f"Some of {','.join(WORKLOADS)}; empty for all.")] = "",
    quick: Annotated[bool, typer.Option(help="A tenth of everything, to see that it works.")] = False,
    file: Annotated[Path | None, typer.Option(help="Receives the result as JSON.")] = None,
) -> None:
    """Measure the workloads beside the peers, on real servers with durable settings."""
    chosen = tuple(only.split(",")) if only else WORKLOADS
    if unknown := [name for name in chosen if name not in WORKLOADS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(WORKLOADS)}")
    plan = Plan(rounds, chosen, quick, FOLDER)
    content = uvloop.run(measure(plan, typer.echo))
    if quick or file:
        target = file or QUICK_FILE
    else:
        target = FILE
        content = merge(content, target, chosen)
    write(content, target)
    show(content)
    typer.echo(f"written: {target}")


@app.command("profile")
def profile_command(
    workload: Annotated[str, typer.Argument(help="W1, W1calls, W2 or W3")],
    seconds: Annotated[float, typer.Option(help="How long to sample, at least one run.")] = 30.0,
    process: Annotated[str, typer.Option(help="orchestrator or connector")] = "orchestrator",
    graph: Annotated[bool, typer.Option(help="Draw a flame graph as well.")] = False,
) -> None:
    """Run a workload again and again and sample one process with py-spy; writes to build/profile/."""
    target = Path("build/profile") / f"{workload}-{process}"
    uvloop.run(_profile(workload, seconds, process, target, with_graph=graph))


if __name__ == "__main__":
    app()
