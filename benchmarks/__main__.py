"""The benchmark's command: start, measure, print the tables, end every process."""

import argparse
import asyncio
import dataclasses
import json
import pstats
import signal
import sys
from pathlib import Path

import uvloop

from benchmarks.load import CallFailedError, Target
from benchmarks.measure import Bench, Row
from benchmarks.servers import Gateway, ServerFailedError, choose_cores, pinned_to, running_upstream
from benchmarks.translation import measure_translation, render_matrices

WHOLE_RUN_S = 240.0
PROFILE_LINES = 25


def main() -> None:
    """Exits with 1 when a server does not start or a call fails: such a run measures nothing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="profile the gateway (slower) into FILE")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended then too
    try:
        translation = measure_translation()
        rows = _run(arguments.profile)
    except (ServerFailedError, CallFailedError, ExceptionGroup, TimeoutError) as error:
        sys.exit(f"the benchmark failed: {_reason(error)}")
    print(render_table(rows))
    print("\nTranslation, in one process alone:\n\n" + render_matrices(translation))
    if arguments.json:
        written = [dataclasses.asdict(row) for row in (*rows, *translation)]
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")
    if arguments.profile:
        pstats.Stats(str(arguments.profile)).sort_stats("tottime").print_stats(PROFILE_LINES)


def _run(profile: Path | None) -> list[Row]:
    gateway_core, load_core = choose_cores()
    with running_upstream(load_core) as (upstream_port, upstream_pid):
        gateway = Gateway(upstream_port, gateway_core, profile)
        try:
            ready_s = gateway.wait_until_ready()
            direct = Target(upstream_port, "sk-direct")
            bench = Bench(gateway.house, upstream_pid, gateway.create_key(), direct)
            with pinned_to(load_core):
                rows = uvloop.run(_bounded(bench))
        except (CallFailedError, ExceptionGroup, TimeoutError):
            print(gateway.log_tail(), file=sys.stderr)
            raise
        finally:
            gateway.stop()
    return [*rows, Row("start on an empty home, until ready", "s", ready_s)]


async def _bounded(bench: Bench) -> list[Row]:
    async with asyncio.timeout(WHOLE_RUN_S):
        return await bench.run()


def _reason(error: BaseException) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def render_table(rows: list[Row]) -> str:
    """Plain text; an empty cell means that the figure has no direct counterpart."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}  {'unit':>4} {'gateway':>10} {'direct':>10} {'added':>10} {'ratio':>7}"]
    for row in rows:
        cells = (_number(row.through), _number(row.direct), _number(row.added))
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        line = f"{row.name:{width}}  {row.unit:>4} {cells[0]:>10} {cells[1]:>10} {cells[2]:>10} {ratio:>7}  {row.note}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    main()
