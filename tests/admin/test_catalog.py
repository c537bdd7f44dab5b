"""The catalogue that a configuration makes: which models there are, where they are, and what is left out."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from app.admin.catalog import build_catalog
from app.base.secret import Secret
from app.domain.catalog import Catalog, Deployment
from app.providers.price_book import PriceBook
from app.settings import Settings, load_settings
from app.settings.errors import SettingsError
from tests.fakes.prices import bundled_prices

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOTH = {"ANTHROPIC_API_KEY": "sk-ant", "OPENAI_API_KEY": "sk-oai"}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(bundled_prices(), date(2026, 11, 21))


def settings_of(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = folder / "config.yaml"
    path.write_text(text)
    return load_settings(environ or {}, {"config_path": path})


def listed(catalog: Catalog) -> list[str]:
    return [model.name for model in catalog.models if model.listed]


def only(catalog: Catalog, name: str) -> Deployment:
    model = catalog.resolve(name)
    assert model is not None
    (deployment,) = model.deployments
    return deployment


def test_without_anything_the_demo_models_are_listed(book: PriceBook) -> None:
    catalog, notices = build_catalog(load_settings({}, {}), book)

    assert listed(catalog) == ["demo/echo", "demo/lorem", "demo/tools", "demo/slow"]
    assert notices == []
    assert only(catalog, "demo/echo").prices.source == "demo"
    assert catalog.resolve("claude-opus-4-5") is None


def test_a_credential_alone_lists_its_providers_models_and_hides_the_demo(book: PriceBook) -> None:
    catalog, notices = build_catalog(load_settings({"ANTHROPIC_API_KEY": "sk-ant"}, {}), book)

    names = listed(catalog)
    assert "claude-opus-4-5" in names
    assert not [name for name in names if not name.startswith("claude-")]
    assert catalog.resolve("demo/echo") is not None
    assert catalog.resolve("gpt-5") is None
    assert notices == []
    opus = catalog.resolve("claude-opus-4-5")
    assert opus is not None
    assert (opus.display_name, opus.max_input_tokens) == ("Claude Opus 4.5", 200_000)


@pytest.mark.parametrize(
    ("asked", "provider", "upstream_model", "source"),
    [
        ("claude-opus-4-5", "anthropic", "claude-opus-4-5", "bundled"),
        ("anthropic/claude-opus-4-5", "anthropic", "claude-opus-4-5", "bundled"),
        ("anthropic/claude-opus-4-5-20251101", "anthropic", "claude-opus-4-5-20251101", "bundled"),
        ("claude-opus-4-5-20251101", "anthropic", "claude-opus-4-5-20251101", "bundled"),
        ("claude-3-haiku-20240307", "anthropic", "claude-3-haiku-20240307", "bundled"),
        ("claude-next", "anthropic", "claude-next", "fallback"),
        ("gpt-4o-2024-05-13", "openai", "gpt-4o-2024-05-13", "bundled"),
        ("openai/gpt-5", "openai", "gpt-5", "bundled"),
        ("o3", "openai", "o3", "bundled"),
        ("openai/text-embedding-3-small", "openai", "text-embedding-3-small", "bundled"),
    ],
)
def test_credentials_make_any_model_of_their_provider_usable(
    book: PriceBook, asked: str, provider: str, upstream_model: str, source: str
) -> None:
    catalog, _ = build_catalog(load_settings(BOTH, {}), book)

    deployment = only(catalog, asked)
    assert (deployment.provider, deployment.upstream_model) == (provider, upstream_model)
    assert deployment.prices.source == source


def test_an_allow_list_may_use_any_of_a_models_names(book: PriceBook) -> None:
    catalog, _ = build_catalog(load_settings(BOTH, {}), book)

    found = catalog.resolve("claude-opus-4-5-20251101")
    assert found is not None
    assert set(found.names) == {
        "claude-opus-4-5-20251101",
        "claude-opus-4-5",
        "anthropic/claude-opus-4-5-20251101",
        "anthropic/claude-opus-4-5",
    }


def test_an_address_of_the_environment_is_the_default_one(book: PriceBook) -> None:
    environ = BOTH | {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    catalog, _ = build_catalog(load_settings(environ, {}), book)

    assert only(catalog, "claude-opus-4-5").api_base == "http://127.0.0.1:9"
    assert only(catalog, "gpt-5").api_base == "https://api.openai.com/v1"
    assert only(catalog, "gpt-5").api_key == Secret("sk-oai")


def test_a_local_host_needs_no_key_and_costs_nothing(book: PriceBook) -> None:
    catalog, _ = build_catalog(load_settings({"HOSTED_VLLM_API_BASE": "http://127.0.0.1:8000"}, {}), book)

    deployment = only(catalog, "hosted_vllm/meta-llama/Llama-3.1-8B")
    assert (deployment.upstream_model, deployment.api_key) == ("meta-llama/Llama-3.1-8B", None)
    assert (deployment.prices.source, deployment.prices.at(NOON).rates.output) == ("local", 0)


def test_one_model_of_the_command_line_is_all_there_is(book: PriceBook) -> None:
    catalog, _ = build_catalog(load_settings(BOTH, {"model": "anthropic/claude-opus-4-5"}), book)

    assert listed(catalog) == ["anthropic/claude-opus-4-5"]
    assert catalog.resolve("gpt-5") is None


FILE = """
model_list:
  - model_name: sonnet
    litellm_params: {model: anthropic/claude-sonnet-4-5-20250929, weight: 3, timeout: 120, stream_timeout: 20}
    model_info: {display_name: Sonnet, description: The workhorse, access_groups: [paid]}
  - model_name: sonnet
    litellm_params: {model: anthropic/claude-sonnet-4-5-20250929, api_key: sk-second, weight: 1}
    model_info: {access_groups: [beta]}
  - model_name: hidden
    litellm_params: {model: openai/gpt-5, extra_headers: {x-team: a}}
    model_info: {id: hidden-1, discoverable: false, input_cost_per_token: 1e-06, output_cost_per_token: 2e-06}
"""


def test_with_a_model_list_only_its_models_exist_and_the_demo(book: PriceBook, tmp_path: Path) -> None:
    catalog, notices = build_catalog(settings_of(tmp_path, FILE, BOTH), book)

    assert listed(catalog) == ["sonnet"]
    assert [catalog.resolve(name) for name in ("claude-opus-4-5", "gpt-5", "anthropic/claude-opus-4-5")] == [None] * 3
    assert catalog.resolve("demo/echo") is not None
    assert only(catalog, "hidden").deployment_id == "hidden-1"
    assert notices == []


def test_entries_of_one_name_are_one_model_with_several_deployments(book: PriceBook, tmp_path: Path) -> None:
    catalog, _ = build_catalog(settings_of(tmp_path, FILE, BOTH), book)

    sonnet = catalog.resolve("sonnet")
    assert sonnet is not None
    first, second = sonnet.deployments
    assert (sonnet.display_name, sonnet.description) == ("Sonnet", "The workhorse")
    assert sonnet.access_groups == ("paid", "beta")
    assert (first.api_key, second.api_key) == (Secret("sk-ant"), Secret("sk-second"))
    assert (first.weight, second.weight) == (3, 1)
    assert (first.timeouts.first_byte_s, first.timeouts.idle_s, first.timeouts.total_s) == (20, 120, 120)
    assert (second.timeouts.first_byte_s, second.timeouts.total_s) == (600, 3600)
    assert first.prices.source == "bundled"
    assert only(catalog, "hidden").headers == {"x-team": "a"}
    assert only(catalog, "hidden").prices.source == "config"


def test_deployment_ids_stay_over_restarts_and_rotated_keys_and_differ(book: PriceBook, tmp_path: Path) -> None:
    ids = []
    for environ in (BOTH, BOTH | {"ANTHROPIC_API_KEY": "sk-rotated"}):
        sonnet = build_catalog(settings_of(tmp_path, FILE, environ), book)[0].resolve("sonnet")
        assert sonnet is not None
        ids.append([deployment.deployment_id for deployment in sonnet.deployments])

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_an_id_that_is_taken_is_changed_and_said(book: PriceBook, tmp_path: Path) -> None:
    entry = "  - {model_name: m, litellm_params: {model: openai/gpt-5}, model_info: {id: same}}\n"
    catalog, notices = build_catalog(settings_of(tmp_path, "model_list:\n" + entry * 2, BOTH), book)

    model = catalog.resolve("m")
    assert model is not None
    assert [deployment.deployment_id for deployment in model.deployments] == ["same", "same-2"]
    assert notices == [
        'config.yaml, line 3: model_info.id "same" of model "m" is taken by an entry above; this one is called "same-2"'
    ]


def test_an_entry_without_its_credential_or_address_is_left_out_and_said(book: PriceBook, tmp_path: Path) -> None:
    text = """model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-5}}
  - {model_name: b, litellm_params: {model: openai_compatible/x}}
"""
    catalog, notices = build_catalog(settings_of(tmp_path, text), book)

    assert [catalog.resolve("a"), catalog.resolve("b")] == [None, None]
    assert notices == [
        'config.yaml, line 2: model "a" is left out: provider "openai" needs a key: '
        "set OPENAI_API_KEY or litellm_params.api_key, and restart",
        'config.yaml, line 3: model "b" is left out: provider "openai_compatible" needs an address: '
        "set OPENAI_COMPATIBLE_API_BASE or litellm_params.api_base, and restart",
    ]


def test_weights_fall_back_to_rpm_and_a_group_without_any_is_alike(book: PriceBook, tmp_path: Path) -> None:
    text = """model_list:
  - {model_name: a, litellm_params: {model: openai/x, rpm: 10}}
  - {model_name: a, litellm_params: {model: openai/y, rpm: 90}}
  - {model_name: b, litellm_params: {model: openai/x, weight: 0}}
  - {model_name: b, litellm_params: {model: openai/y, weight: 0}}
  - {model_name: c, litellm_params: {model: openai/x, weight: 7}}
  - {model_name: c, litellm_params: {model: openai/y}}
"""
    catalog, _ = build_catalog(settings_of(tmp_path, text, BOTH), book)

    weights = {model.name: [deployment.weight for deployment in model.deployments] for model in catalog.models}
    assert (weights["a"], weights["b"], weights["c"]) == ([10, 90], [1, 1], [1, 1])


def test_a_wildcard_lists_what_is_known_and_serves_the_rest(book: PriceBook, tmp_path: Path) -> None:
    text = """model_list:
  - {model_name: anthropic/*, litellm_params: {model: anthropic/*}}
  - {model_name: anthropic/claude-opus-4-5, litellm_params: {model: anthropic/claude-opus-4-5, api_key: sk-own}}
"""
    catalog, _ = build_catalog(settings_of(tmp_path, text, BOTH), book)

    assert "anthropic/claude-sonnet-4-5" in listed(catalog)
    assert only(catalog, "anthropic/claude-opus-4-5").api_key == Secret("sk-own")
    assert only(catalog, "anthropic/claude-new-1").upstream_model == "claude-new-1"
    assert only(catalog, "anthropic/claude-new-1").prices.source == "fallback"
    assert catalog.resolve("openai/gpt-5") is None


def test_the_wildcard_of_everything_reaches_every_provider_with_a_credential(book: PriceBook, tmp_path: Path) -> None:
    text = 'model_list:\n  - {model_name: "*", litellm_params: {model: "*"}}\n'
    catalog, notices = build_catalog(settings_of(tmp_path, text, BOTH), book)

    assert only(catalog, "openai/gpt-5").upstream_model == "gpt-5"
    assert only(catalog, "claude-opus-4-5").provider == "anthropic"
    assert notices == []

    nothing, notices = build_catalog(settings_of(tmp_path, text), book)
    assert nothing.resolve("gpt-5") is None
    assert "no provider has a credential" in notices[0]


def test_the_demo_can_be_listed_or_hidden_always(book: PriceBook) -> None:
    shown, _ = build_catalog(load_settings(BOTH | {"KEYHOUSE_DEMO_MODELS": "true"}, {}), book)
    hidden, _ = build_catalog(load_settings({"KEYHOUSE_DEMO_MODELS": "false"}, {}), book)

    assert "demo/echo" in listed(shown)
    assert listed(hidden) == []
    assert hidden.resolve("demo/echo") is not None


def test_a_list_of_providers_that_are_not_built_yet_is_still_a_list(book: PriceBook, tmp_path: Path) -> None:
    text = "model_list:\n  - {model_name: a, litellm_params: {model: gemini/x, api_key: os.environ/GEMINI_API_KEY}}\n"
    catalog, _ = build_catalog(settings_of(tmp_path, text, BOTH), book)

    assert [name for name in listed(catalog) if not name.startswith("demo/")] == []
    assert catalog.resolve("claude-opus-4-5") is None


def test_claude_codes_picker_may_show_a_model_by_a_name_of_the_operators_own(book: PriceBook, tmp_path: Path) -> None:
    text = """
model_list:
  - model_name: gpt-5
    litellm_params: {model: openai/gpt-5, api_key: k}
    model_info: {claude_code_name: claude-fast, mode: chat}
  - model_name: gpt-5-mini
    litellm_params: {model: openai/gpt-5-mini, api_key: k}
    model_info: {claude_code_name: claude-fast}
  - model_name: o3
    litellm_params: {model: openai/o3, api_key: k}
    model_info: {claude_code_name: claude-sonnet-4-6}
  - model_name: claude-sonnet-4-6
    litellm_params: {model: anthropic/claude-sonnet-4-6, api_key: k}
  - model_name: "deepseek/*"
    litellm_params: {model: "deepseek/*", api_key: k}
    model_info: {claude_code_name: claude-deep}
  - model_name: text-embedding-3-small
    litellm_params: {model: openai/text-embedding-3-small, api_key: k}
"""
    catalog, notices = build_catalog(settings_of(tmp_path, text), book)

    assert catalog.resolve("claude-fast") is catalog.resolve("gpt-5")
    assert only(catalog, "claude-sonnet-4-6").provider == "anthropic"
    assert catalog.resolve("claude-deep") is None
    told = [notice.partition("claude_code_name ")[2] for notice in notices]
    assert told == [
        '"claude-fast" of model "gpt-5-mini" is not used: it is that of model "gpt-5" too; choose another',
        '"claude-sonnet-4-6" of model "o3" is not used: there is a model of that name; choose another',
        '"claude-deep" of model "deepseek/*" is not used: it is the name of one model, not of a wildcard; '
        "choose another",
    ]
    windows = {model.name: model.max_input_tokens for model in catalog.models if model.name in {"gpt-5", "o3"}}
    assert windows == {"gpt-5": 400_000, "o3": 200_000}
    writers = {model.name for model in catalog.models if model.generates_text}
    assert "text-embedding-3-small" not in writers
    assert {"gpt-5", "o3", "claude-sonnet-4-6"} <= writers


def test_a_picker_name_that_claude_code_would_not_list_is_an_error(tmp_path: Path) -> None:
    text = """
model_list:
  - model_name: gpt-5
    litellm_params: {model: openai/gpt-5, api_key: k}
    model_info: {claude_code_name: fast}
"""
    with pytest.raises(SettingsError, match='line 5: claude_code_name "fast" must begin with "claude" or "anthropic"'):
        settings_of(tmp_path, text)
