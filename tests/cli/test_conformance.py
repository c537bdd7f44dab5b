"""The conformance checks tell a good gateway from each kind of bad one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.conformance import witness as witnesses
from app.cli.conformance.checks import Result, Setting, run
from app.cli.conformance.command import ALL
from app.cli.conformance.talk import Line
from app.cli.conformance.witness import Witness
from tests.fakes.crooked_gateway import FAULTS, KEY, crooked_gateway

CAUGHT_BY = {
    "bare_models": {"C03"},
    "cleans_ends": {"C42b"},
    "closed_body": {"C21b"},
    "closed_headers": {"C21"},
    "compresses_events": {"C41"},
    "detail_errors": {"C12", "C12b", "C52", "C58"},
    "drops_betas": {"C20"},
    "flattens_system": {"C21b", "C31"},
    "forwards_key": {"C13"},
    "guesses_models": {"C58"},
    "inspects": {"C07"},
    "no_count": {"C02"},
    "no_ids": {"C59"},
    "loses_ends": {"C41", "C42"},
    "only_bearer": {"C10"},
    "redirects": {"C06"},
    "rewrites_errors": {"C50"},
    "rewrites_ids": {"C41", "C57"},
    "rewrites_turns": {"C21b", "C32"},
    "small_bodies": {"C07b"},
    "strips_retry": {"C53", "C54"},
    "wide_tokens": {"C01b"},
}


@pytest.fixture(scope="module")
def witness() -> Iterator[Witness]:
    with witnesses.running("127.0.0.1", 0) as running:
        yield running


def results(witness: Witness, fault: str = "") -> list[Result]:
    with crooked_gateway(witness.url, fault) as url:
        setting = Setting(Line(url, KEY, timeout_s=20), "claude-a", witness)
        return [run(check, setting) for check in ALL]


def test_a_good_gateway_passes_everything(witness: Witness) -> None:
    told = results(witness)
    assert [(result.check.number, result.said) for result in told if result.outcome == "failed"] == []
    assert [result.check.number for result in told if result.outcome == "skipped"] == ["C43"]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_caught_by_its_checks(witness: Witness, fault: str) -> None:
    failed = {result.check.number for result in results(witness, fault) if result.outcome == "failed"}
    assert failed >= CAUGHT_BY[fault]
    assert fault == "redirects" or failed == CAUGHT_BY[fault]  # nothing comes through a redirect


def test_without_a_witness_the_checks_that_need_one_are_skipped(witness: Witness) -> None:
    witness.forget()
    with crooked_gateway(witness.url) as url:
        told = [run(check, Setting(Line(url, KEY, timeout_s=20), "claude-a")) for check in ALL]
    assert {result.outcome for result in told} == {"passed", "skipped"}


def test_a_gateway_that_is_not_there_fails_every_check() -> None:
    told = [run(check, Setting(Line("http://127.0.0.1:9", KEY), "claude-a")) for check in ALL[:3]]
    assert {result.outcome for result in told} == {"failed"}
    assert all("no answer" in result.said for result in told)


def test_the_page_lists_every_check() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()
    for check in ALL:
        assert f"| {check.number} | {check.title} | {check.level} |" in page
