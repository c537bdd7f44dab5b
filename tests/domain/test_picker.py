"""Names for Claude Code's picker: they begin as it asks, lead back to the model, and spare what would fail there."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.ids import DeploymentId
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.picker import picker_name, plain_name
from app.domain.pricing import PriceSheet, Rates, always

SHEET = always(PriceSheet("v1", "config", Rates(1, 1, 1, 1, 1, 1, 1, 1)))
KEPT_BY_ANY_VERSION = re.compile("claude|anthropic", re.IGNORECASE)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"), min_size=1, max_size=60)


def model(
    name: str, window: int | None = None, claude_code_name: str | None = None, *, generates_text: bool = True
) -> Model:
    deployment = Deployment(DeploymentId("dep_1"), "openai", name, "https://api.openai.com/v1", None, SHEET)
    return Model(
        name,
        (deployment,),
        name,
        "",
        max_input_tokens=window,
        generates_text=generates_text,
        claude_code_name=claude_code_name,
    )


@given(NAMES)
def test_every_model_has_a_name_that_the_picker_keeps_and_that_leads_back_to_it(name: str) -> None:
    listed = model(name)
    shown = picker_name(listed)
    if shown is None:
        assert KEPT_BY_ANY_VERSION.search(name)
        shown = name
    else:
        assert KEPT_BY_ANY_VERSION.match(shown)
    assert Catalog((listed,)).resolve(shown) is listed
    assert plain_name(listed, shown) == name


def test_a_name_of_the_operators_own_leads_back_too() -> None:
    listed = model("gpt-5", claude_code_name="claude-fast")
    catalog = Catalog((listed,), {"claude-fast": "gpt-5"})
    assert picker_name(listed) == "claude-fast"
    assert catalog.resolve("claude-fast") is catalog.resolve("anthropic-gateway/gpt-5") is listed
    assert plain_name(listed, "claude-fast") == "gpt-5"
    assert plain_name(listed, "gpt-5-2025-08-07") == "gpt-5-2025-08-07"


def test_what_a_wildcard_takes_is_reached_behind_the_prefix_and_an_unknown_name_is_not() -> None:
    catalog = Catalog((model("openai/*"), model("*")))
    filled = catalog.resolve("anthropic-gateway/openai/gpt-5")
    assert filled is not None
    assert filled.name == "openai/gpt-5"
    assert Catalog((model("gpt-5"),)).resolve("anthropic-gateway/gpt-6") is None
    assert Catalog((model("gpt-5"),)).resolve("anthropic-gateway/") is None


@pytest.mark.parametrize(
    ("given_model", "shown"),
    [
        (model("llama", 99_999), None),
        (model("llama", 100_000), "anthropic-gateway/llama"),
        (model("llama", None), "anthropic-gateway/llama"),
        (model("llama", 32_000, "claude-small"), "claude-small"),
        (model("text-embedding-3-small", generates_text=False), None),
        (model("claude-sonnet-4-6"), None),
        (model("router/anthropic/some"), None),
    ],
)
def test_a_window_that_is_too_small_and_what_writes_no_text_are_not_offered_unless_the_operator_says_so(
    given_model: Model, shown: str | None
) -> None:
    assert picker_name(given_model) == shown
