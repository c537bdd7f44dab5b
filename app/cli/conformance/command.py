"""``keyhouse conformance``: run the checks against one gateway and print the table."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec

from app.cli.conformance import from_outside, with_witness
from app.cli.conformance.checks import Result, Setting, run
from app.cli.conformance.talk import Line
from app.cli.conformance.witness import Witness, running
from app.cli.connecting.gateway import find_gateway

ALL = (*from_outside.CHECKS, *with_witness.CHECKS)
_SIGNS = {"passed": "ok", "failed": "FAILED", "skipped": "-"}
_SLOW_S = 120.0


@click.command()
@click.option("--url", help="The gateway, of any make; KEYHOUSE_URL, or the one of this machine, unless given.")
@click.option("--key", help="A key of that gateway; KEYHOUSE_KEY or ANTHROPIC_AUTH_TOKEN unless given.")
@click.option("--model", required=True, help="A model that the key may use.")
@click.option("--witness", metavar="HOST:PORT", help="Listen there as the model's provider, and look at what comes.")
@click.option("--slow", is_flag=True, help="Also what takes its time: a silence of 35 s.")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON.")
def conformance(
    url: str | None, key: str | None, model: str, witness: str | None, *, slow: bool, as_json: bool
) -> None:
    """What Claude Code needs of a gateway, tried on any gateway; exit status 1 when a must of it fails.

    Without --witness it costs a few tokens and sees what a client sees. With it MODEL must be one whose provider is, to
    the gateway, at http://HOST:PORT (an Anthropic api_base): nothing is paid, and the bytes on both sides are compared.

    Example: keyhouse conformance --url https://gateway.example.com --key sk-… --model claude-sonnet-4-6
    """
    gateway = find_gateway(url, key)
    if not gateway.has_key:
        raise click.UsageError("no key: give one of that gateway with --key, or in KEYHOUSE_KEY")
    line = Line(gateway.url, gateway.key, _SLOW_S if slow else 60.0)
    with _watched(witness) as watched:
        results = []
        for check in ALL:
            results.append(run(check, Setting(line, model, watched)))
            if not as_json:
                click.echo(_row(results[-1]))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_told(result) for result in results]), indent=2))
    else:
        _sum_up(results, gateway.url)
    if any(result.outcome == "failed" and result.check.level == "must" for result in results):
        sys.exit(1)


@contextmanager
def _watched(address: str | None) -> Iterator[Witness | None]:
    if address is None:
        yield None
        return
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise click.UsageError(f'--witness "{address}" is no HOST:PORT, such as 127.0.0.1:9100')
    with running(host.strip("[]") or "127.0.0.1", int(port)) as witness:
        yield witness


def _row(result: Result) -> str:
    level = "" if result.check.level == "must" else " (should)"
    return f"{_SIGNS[result.outcome]:7}{result.check.number:6}{result.check.title + level:50}  {result.said}".rstrip()


def _sum_up(results: list[Result], url: str) -> None:
    count = {outcome: sum(result.outcome == outcome for result in results) for outcome in _SIGNS}
    click.echo(f"\n{url}: {count['passed']} passed, {count['failed']} failed, {count['skipped']} not tried")


def _told(result: Result) -> dict[str, str]:
    check = result.check
    return {
        "number": check.number,
        "title": check.title,
        "level": check.level,
        "outcome": result.outcome,
        "said": result.said,
    }
