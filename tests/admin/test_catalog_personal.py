"""Personal tokens (claude_code_native): off until somebody answers for them, and each for one user."""

from datetime import date
from pathlib import Path

import pytest

from app.admin.catalog import build_catalog
from app.domain.catalog import Catalog
from app.providers.price_book import PriceBook
from app.settings import load_settings
from app.settings.errors import SettingsError
from tests.fakes.prices import bundled_prices

TOKEN = {"CLAUDE_CODE_API_KEY": "sk-ant-oat01-x"}
ON = "claude_code_native: {enabled: true}\n"
ENTRY = "model_list:\n  - {model_name: mine, litellm_params: {model: claude_code_native/claude-sonnet-4-5%s}}\n"


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(bundled_prices(), date(2026, 11, 21))


def built(book: PriceBook, folder: Path, text: str, environ: dict[str, str] = TOKEN) -> tuple[Catalog, list[str]]:
    path = folder / "config.yaml"
    path.write_text(text)
    settings = load_settings(environ, {"config_path": path})
    catalog, notices = build_catalog(settings, book)
    return catalog, [*settings.notices, *notices]


def owner(catalog: Catalog, name: str) -> str | None:
    model = catalog.resolve(name)
    assert model is not None
    (deployment,) = model.deployments
    assert "owner_user_id" not in deployment.options
    return deployment.owner_user_id


def test_it_is_off_and_the_notice_says_how_to_switch_it_on_and_what_the_terms_are(
    book: PriceBook, tmp_path: Path
) -> None:
    catalog, notices = built(book, tmp_path, ENTRY % ", owner_user_id: ada")

    assert catalog.resolve("mine") is None
    assert len(notices) == 1
    for said in ('model "mine" is left out', "claude_code_native.enabled: true", "KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED"):
        assert said in notices[0]
    assert "for the one person who signed in" in notices[0]


def test_a_token_in_the_environment_alone_is_off_as_well(book: PriceBook) -> None:
    catalog, notices = build_catalog(load_settings(TOKEN, {}), book)

    assert catalog.resolve("claude_code_native/claude-sonnet-4-5") is None
    assert [model.name for model in catalog.models if model.listed][:1] == ["demo/echo"]
    assert len(notices) == 1
    assert notices[0].startswith("CLAUDE_CODE_API_KEY is not used: ")


def test_switched_on_it_serves_its_owner_and_repeats_the_terms(book: PriceBook, tmp_path: Path) -> None:
    catalog, notices = built(book, tmp_path, ON + ENTRY % ", owner_user_id: ada")

    assert owner(catalog, "mine") == "ada"
    assert len(notices) == 1
    assert "personal token is for the one person" in notices[0]
    assert '"ada"' in notices[0]


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("claude_code_native: {enabled: true, owner_user_id: bob}\n", {}),
        (ON, {"KEYHOUSE_CLAUDE_CODE_OWNER": "bob"}),
        ("", {"KEYHOUSE_CLAUDE_CODE_OWNER": "bob", "KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED": "true"}),
        ("claude_code_native: {enabled: false, owner_user_id: ada}\n", {
            "KEYHOUSE_CLAUDE_CODE_OWNER": "bob", "KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED": "true"}),
    ],
)  # fmt: skip
def test_an_owner_of_all_tokens_can_be_named_once(
    book: PriceBook, tmp_path: Path, text: str, environ: dict[str, str]
) -> None:
    catalog, _ = built(book, tmp_path, text + ENTRY % "", TOKEN | environ)
    own, _ = built(book, tmp_path, text + ENTRY % ", owner_user_id: ada", TOKEN | environ)

    assert (owner(catalog, "mine"), owner(own, "mine")) == ("bob", "ada")


def test_a_token_that_is_nobodys_is_refused_with_the_three_ways_to_say_whose(book: PriceBook, tmp_path: Path) -> None:
    catalog, notices = built(book, tmp_path, ON + ENTRY % "")
    alone, said = build_catalog(load_settings(TOKEN | {"KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED": "true"}, {}), book)

    assert catalog.resolve("mine") is None
    assert alone.resolve("claude_code_native/claude-sonnet-4-5") is None
    for notice in (*notices, *said):
        for way in ("litellm_params.owner_user_id", "claude_code_native.owner_user_id", "KEYHOUSE_CLAUDE_CODE_OWNER"):
            assert way in notice


def test_the_environment_alone_is_enough_once_it_names_the_owner(book: PriceBook) -> None:
    environ = TOKEN | {"KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED": "true", "KEYHOUSE_CLAUDE_CODE_OWNER": "ada"}
    catalog, notices = build_catalog(load_settings(environ, {}), book)

    assert owner(catalog, "claude_code_native/claude-opus-4-20250514") == "ada"
    assert owner(catalog, "claude_code_native/claude-opus-4-5") == "ada"
    assert catalog.resolve("claude-opus-4-5") is None
    assert len(notices) == 1


def test_one_model_of_the_command_line_obeys_the_same(book: PriceBook) -> None:
    model = {"model": "claude_code_native/claude-sonnet-4-5"}
    environ = TOKEN | {"KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED": "true", "KEYHOUSE_CLAUDE_CODE_OWNER": "ada"}

    assert build_catalog(load_settings(TOKEN, model), book)[0].resolve(model["model"]) is None
    assert owner(build_catalog(load_settings(environ, model), book)[0], model["model"]) == "ada"


def test_under_the_wildcard_of_all_names_the_prefix_must_be_asked_for(book: PriceBook, tmp_path: Path) -> None:
    text = (
        ON + 'model_list:\n  - {model_name: "*", litellm_params: {model: "claude_code_native/*", owner_user_id: ada}}\n'
    )
    catalog, _ = built(book, tmp_path, text)

    model = catalog.resolve("claude_code_native/claude-3-5-sonnet-20241022")
    assert model is not None
    assert model.deployments[0].upstream_model == "claude-3-5-sonnet-20241022"
    assert catalog.resolve("claude-3-5-sonnet-20241022") is None
    assert "claude_code_native/claude-opus-4-5" in catalog.nearest(
        "claude-opus-4-5", [model.name for model in catalog.models]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("claude_code_native: {enabled: perhaps}\n", "which is not true or false"),
        ("claude_code_native: {enable: true}\n", 'did you mean "enabled"?'),
        ("claude_code_native: true\n", "it must be a mapping"),
    ],
)
def test_a_slip_in_the_section_is_said(book: PriceBook, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")):
        built(book, tmp_path, text)
