"""What a model name asked for means."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalog import Catalog, undated
from app.domain.pricing import PriceSchedule, PriceSheet, always
from tests.domain.records import EPOCH, FREE, deployment, flat_rates, model


def priced(provider: str, upstream_model: str) -> PriceSchedule:
    return always(PriceSheet(f"{provider}:{upstream_model}", "bundled", flat_rates(1)))


CLAUDE_ANY = model("claude-*", deployment("claude-*", prices=priced("any", "*")), listed=False)
ANTHROPIC_ANY = model("anthropic/*", deployment("*", prices=priced("any", "*")), listed=False)


def test_a_name_is_found_exactly_before_anything_else() -> None:
    exact = model("claude-x")
    catalog = Catalog((CLAUDE_ANY, exact))

    assert catalog.resolve("claude-x") is exact


def test_an_alias_is_another_exact_name() -> None:
    exact = model("claude-x")
    catalog = Catalog((exact,), {"best": "claude-x"})

    assert catalog.resolve("best") is exact


def test_a_provider_before_a_name_means_the_model_that_it_serves() -> None:
    exact = model("claude-x")
    catalog = Catalog((exact,))

    assert catalog.resolve("anthropic/claude-x") is exact
    assert catalog.resolve("openai/claude-x") is None


def test_a_wildcard_is_filled_in_and_priced_for_the_model_that_is_meant() -> None:
    catalog = Catalog((ANTHROPIC_ANY,), price_of=priced)

    found = catalog.resolve("anthropic/claude-opus-4-5-20251101")

    assert found is not None
    assert found.name == "anthropic/claude-opus-4-5-20251101"
    assert found.deployments[0].upstream_model == "claude-opus-4-5-20251101"
    assert found.deployments[0].prices.at(EPOCH).version == "anthropic:claude-opus-4-5-20251101"
    assert set(found.names) >= {"claude-opus-4-5", "anthropic/claude-opus-4-5", "claude-opus-4-5-20251101"}
    assert catalog.resolve("anthropic/claude-opus-4-5-20251101") is found


def test_a_wildcard_with_a_price_of_its_own_keeps_it() -> None:
    catalog = Catalog((model("team/*", deployment("*", prices=FREE)),), price_of=priced)

    found = catalog.resolve("team/claude-x")

    assert found is not None
    assert found.deployments[0].prices is FREE


def test_a_renamed_wildcard_lends_no_other_name_to_allow_lists() -> None:
    found = Catalog((model("team/*", deployment("*")),)).resolve("team/claude-x")

    assert found is not None
    assert found.names == ("team/claude-x",)


def test_the_wildcard_with_the_most_letters_is_meant() -> None:
    catalog = Catalog(tuple(model(name, deployment("*")) for name in ("*", "a/*", "a/b-*")))

    found = [catalog.resolve(name) for name in ("a/b-1", "a/c", "z")]

    assert [hit.deployments[0].upstream_model if hit else None for hit in found] == ["1", "c", "z"]


def test_a_dated_id_stands_for_its_undated_model_and_the_reverse() -> None:
    undated_model, dated_model = model("claude-opus-4-5"), model("gpt-5-2025-08-07")
    catalog = Catalog((undated_model, dated_model))

    assert catalog.resolve("claude-opus-4-5-20251101") is undated_model
    assert catalog.resolve("gpt-5") is dated_model


def test_an_undated_name_of_two_snapshots_is_not_guessed() -> None:
    catalog = Catalog((model("gpt-4o-2024-05-13"), model("gpt-4o-2024-08-06")))

    assert catalog.resolve("gpt-4o") is None
    assert catalog.resolve("gpt-4o-2024-11-20") is None


def test_a_pinned_snapshot_stays_pinned_where_a_wildcard_takes_it() -> None:
    found = Catalog((model("claude-opus-4-5"), CLAUDE_ANY)).resolve("claude-opus-4-5-20251101")

    assert found is not None
    assert found.deployments[0].upstream_model == "claude-opus-4-5-20251101"


def test_the_wildcard_of_everything_comes_after_the_date() -> None:
    undated_model = model("claude-opus-4-5")
    catalog = Catalog((undated_model, model("*", deployment("*", "openai"))))

    assert catalog.resolve("claude-opus-4-5-20251101") is undated_model


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("gpt-5-2025-08-07", "gpt-5"),
        ("claude-opus-4-5-20251399", None),
        ("claude-opus-4-5-99990101", None),
        ("claude-opus-4-5", None),
        ("20251101", None),
    ],
)
def test_only_real_dates_are_dates(name: str, plain: str | None) -> None:
    assert undated(name) == plain


@pytest.mark.parametrize(
    "name", ["", "*", "anthropic/*", "claude-*", "x" * 10_000, "claude-\x00", "claude-\n", "claude-x y", "claude-é"]
)
def test_a_name_that_no_host_could_have_is_unknown(name: str) -> None:
    assert Catalog((ANTHROPIC_ANY, CLAUDE_ANY)).resolve(name) is None


@given(st.text(max_size=300))
def test_any_text_is_answered_without_an_error(name: str) -> None:
    Catalog((model("claude-x"), ANTHROPIC_ANY)).resolve(name)


def test_what_wildcards_have_been_filled_with_is_forgotten_in_time() -> None:
    catalog = Catalog((ANTHROPIC_ANY,))
    first = catalog.resolve("anthropic/first")
    for number in range(3000):
        catalog.resolve(f"anthropic/{number}")

    assert catalog.resolve("anthropic/first") is not first


def test_nearest_names_are_at_most_three_and_the_likest_first() -> None:
    catalog = Catalog(())
    names = ["claude-opus-4-5", "claude-opus-4-1", "claude-sonnet-4-5", "gpt-5", "claude-opus-5"]

    assert catalog.nearest("claude-opus-45", names)[0] == "claude-opus-4-5"
    assert len(catalog.nearest("Claude-Opus-4-5", names)) == 3
    assert catalog.nearest("zzzz", names) == []
    assert catalog.nearest("x" * 10_000, names) == []


def test_a_known_name_is_found_in_about_a_microsecond() -> None:
    catalog = Catalog(tuple(model(f"model-{number}") for number in range(500)))
    best_s = min(_time_of_a_thousand(catalog) for _ in range(20))

    assert best_s < 0.002  # two microseconds each, on a busy machine


def _time_of_a_thousand(catalog: Catalog) -> float:
    begun = time.perf_counter()
    for _ in range(1000):
        catalog.resolve("model-250")
    return time.perf_counter() - begun
