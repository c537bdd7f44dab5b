"""Each host's further parameters: from the environment, from the file, and what is said when one is missing."""

from datetime import date
from pathlib import Path

import pytest

from app.admin.catalog import build_catalog
from app.base.secret import Secret
from app.domain.catalog import Catalog, Deployment
from app.providers.host_table import HOSTS
from app.providers.price_book import PriceBook
from app.settings import Settings, load_settings
from tests.fakes.prices import bundled_prices

EVERY_KEY = {host.key_variables[0]: f"key-of-{host.name}" for host in HOSTS.values() if host.key_variables}
EVERY_ADDRESS = {
    host.base_variables[0]: f"https://{host.name.replace('_', '-')}.test"
    for host in HOSTS.values()
    if host.base_variables
}
EVERYTHING = EVERY_KEY | EVERY_ADDRESS | {
    "AWS_REGION_NAME": "eu-central-1",
    "VERTEXAI_PROJECT": "acme",
    "KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED": "true",
    "KEYHOUSE_CLAUDE_CODE_OWNER": "ada",
}  # fmt: skip


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(bundled_prices(), date(2026, 11, 21))


def settings_of(folder: Path, entry: str, environ: dict[str, str] | None = None, more: str = "") -> Settings:
    path = folder / "config.yaml"
    path.write_text(f"model_list:\n  - {entry}\n{more}")
    return load_settings(environ or {}, {"config_path": path})


def only(catalog: Catalog, name: str) -> Deployment:
    model = catalog.resolve(name)
    assert model is not None, name
    (deployment,) = model.deployments
    return deployment


def options_of(deployment: Deployment) -> dict[str, str]:
    return {name: option.reveal() for name, option in deployment.options.items()}


def test_openrouter_is_told_the_site_and_its_name(book: PriceBook, tmp_path: Path) -> None:
    environ = {"OR_SITE_URL": "https://acme.test", "OR_APP_NAME": "Acme"}
    entry = (
        "{model_name: m, litellm_params: {model: openrouter/openai/gpt-4o, api_key: k, extra_headers: {X-Title: Own}}}"
    )
    alone, _ = build_catalog(load_settings(environ | {"OPENROUTER_API_KEY": "k"}, {}), book)
    written, _ = build_catalog(settings_of(tmp_path, entry, environ), book)

    assert only(alone, "openrouter/openai/gpt-4o").headers == {"HTTP-Referer": "https://acme.test", "X-Title": "Acme"}
    assert only(written, "m").headers == {"HTTP-Referer": "https://acme.test", "X-Title": "Own"}


@pytest.mark.parametrize(
    ("params", "environ", "options"),
    [
        ("{model: azure/gpt-4o, api_base: 'https://a.test', api_key: k}", {}, {"api_version": "2024-10-21"}),
        (
            "{model: azure/gpt-4o, api_base: 'https://a.test', api_key: k}",
            {"AZURE_API_VERSION": "2025-01-01"},
            {"api_version": "2025-01-01"},
        ),
        (
            "{model: azure/gpt-4o, api_base: 'https://a.test', api_version: v1, azure_ad_token: os.environ/AD}",
            {"AD": "entra", "AZURE_API_VERSION": "2025-01-01"},
            {"api_version": "v1", "azure_ad_token": "entra"},
        ),
        (
            "{model: bedrock/anthropic.claude-3-haiku-20240307-v1:0, aws_region_name: us-east-1, "
            "aws_access_key_id: os.environ/ID, aws_secret_access_key: os.environ/HIDDEN}",
            {"ID": "AKIA", "HIDDEN": "s3cret", "AWS_SESSION_TOKEN": "session"},
            {
                "aws_region_name": "us-east-1",
                "aws_access_key_id": "AKIA",
                "aws_secret_access_key": "s3cret",
                "aws_session_token": "session",
            },
        ),
        (
            "{model: vertex_ai/gemini-2.5-pro, vertex_ai_project: acme, vertex_location: europe-west4}",
            {"GOOGLE_APPLICATION_CREDENTIALS": "/keys/acme.json"},
            {
                "vertex_project": "acme",
                "vertex_location": "europe-west4",
                "vertex_credentials": "/keys/acme.json",
            },
        ),
    ],
)
def test_options_come_from_the_entry_then_the_environment_then_the_host(
    book: PriceBook, tmp_path: Path, params: str, environ: dict[str, str], options: dict[str, str]
) -> None:
    settings = settings_of(tmp_path, f"{{model_name: m, litellm_params: {params}}}", environ)
    catalog, notices = build_catalog(settings, book)

    assert options_of(only(catalog, "m")) == options
    assert [*settings.notices, *notices] == []


@pytest.mark.parametrize(
    ("params", "base"),
    [
        ("{model: vertex_ai/x, vertex_project: p}", "https://us-central1-aiplatform.googleapis.com"),
        ("{model: vertex_ai/x, vertex_project: p, vertex_location: global}", "https://aiplatform.googleapis.com"),
        ("{model: bedrock/x, aws_region_name: eu-west-1}", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        (
            "{model: bedrock/x, aws_region_name: eu-west-1, aws_bedrock_runtime_endpoint: 'https://vpc.test'}",
            "https://vpc.test",
        ),
    ],
)
def test_an_address_may_depend_on_the_place(book: PriceBook, tmp_path: Path, params: str, base: str) -> None:
    catalog, _ = build_catalog(settings_of(tmp_path, f"{{model_name: m, litellm_params: {params}}}"), book)

    assert only(catalog, "m").api_base == base


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (
            "{model: azure/gpt-4o, api_key: k}",
            'provider "azure" needs an address: set AZURE_API_BASE or litellm_params.api_base, and restart',
        ),
        (
            "{model: bedrock/x}",
            'provider "bedrock" needs aws_region_name: set AWS_REGION_NAME or AWS_REGION or AWS_DEFAULT_REGION or '
            "litellm_params.aws_region_name, and restart",
        ),
        (
            "{model: vertex_ai/x}",
            'provider "vertex_ai" needs vertex_project: set VERTEXAI_PROJECT or GOOGLE_CLOUD_PROJECT or '
            "litellm_params.vertex_project, and restart",
        ),
        (
            "{model: groq/x}",
            'provider "groq" needs a key: set GROQ_API_KEY or litellm_params.api_key, and restart',
        ),
    ],
)
def test_what_is_missing_is_named_with_its_variable(book: PriceBook, tmp_path: Path, params: str, why: str) -> None:
    catalog, notices = build_catalog(settings_of(tmp_path, f"{{model_name: m, litellm_params: {params}}}"), book)

    assert catalog.resolve("m") is None
    assert notices == [f'config.yaml, line 2: model "m" is left out: {why}']


def test_a_key_of_azure_without_an_address_is_said(book: PriceBook) -> None:
    catalog, notices = build_catalog(load_settings({"AZURE_API_KEY": "k"}, {}), book)

    assert catalog.resolve("azure/gpt-4o") is None
    assert notices == ['provider "azure" needs an address: set AZURE_API_BASE or litellm_params.api_base, and restart']


@pytest.mark.parametrize("environ", [{"AWS_REGION": "us-east-1"}, {"OR_APP_NAME": "Acme"}, {"AZURE_TENANT_ID": "t"}])
def test_what_is_no_credential_hides_the_demo_from_nobody(book: PriceBook, environ: dict[str, str]) -> None:
    catalog, notices = build_catalog(load_settings(environ, {}), book)

    assert [model.name for model in catalog.models if model.listed][:1] == ["demo/echo"]
    assert notices == []


def test_an_option_that_means_nothing_to_the_provider_is_said(book: PriceBook, tmp_path: Path) -> None:
    entry = "{model_name: m, litellm_params: {model: openai/gpt-5, api_key: k, vertex_ai_project: p}}"

    assert settings_of(tmp_path, entry).notices == (
        'config.yaml, line 2: vertex_ai_project has no effect on provider "openai"',
    )


@pytest.mark.parametrize("host", [name for name in HOSTS if name != "demo"])
def test_every_host_serves_one_model_of_the_command_line(book: PriceBook, host: str) -> None:
    catalog, _ = build_catalog(load_settings(EVERYTHING, {"model": f"{host}/some/model"}), book)

    deployment = only(catalog, f"{host}/some/model")
    assert (deployment.provider, deployment.upstream_model) == (host, "some/model")
    assert [model.name for model in catalog.models if model.listed] == [f"{host}/some/model"]


@pytest.mark.parametrize("host", [name for name in HOSTS if name != "demo"])
def test_every_host_serves_a_wildcard(book: PriceBook, tmp_path: Path, host: str) -> None:
    entry = f'{{model_name: "{host}/*", litellm_params: {{model: "{host}/*"}}}}'
    for settings in (settings_of(tmp_path, entry, EVERYTHING), load_settings(EVERYTHING, {"model": f"{host}/*"})):
        catalog, _ = build_catalog(settings, book)

        deployment = only(catalog, f"{host}/vendor/new-model")
        assert (deployment.provider, deployment.upstream_model) == (host, "vendor/new-model")
        shown = {model.name for model in catalog.models if model.listed and not model.name.startswith("demo/")}
        assert shown == {f"{host}/{offered.name}" for offered in book.offered(host)}


def test_every_host_is_usable_by_its_variables_alone(book: PriceBook) -> None:
    catalog, notices = build_catalog(load_settings(EVERYTHING, {}), book)

    for host in set(HOSTS) - {"demo"}:
        assert only(catalog, f"{host}/some-model").provider == host
    assert len(notices) == 1  # whose token claude_code_native has
    names = [model.name for model in catalog.models]
    assert len(names) == len(set(names))
    assert only(catalog, "claude-opus-4-5").provider == "anthropic"
    assert only(catalog, "gemini-2.5-pro").provider == "gemini"


def test_a_bare_name_on_the_command_line_means_its_family(book: PriceBook) -> None:
    catalog, _ = build_catalog(load_settings(EVERYTHING, {"model": "claude-opus-4-5"}), book)

    assert only(catalog, "claude-opus-4-5").provider == "anthropic"


@pytest.mark.parametrize(("written", "carried"), [("true", True), ("false", False), (None, None)])
def test_whether_a_model_calls_tools_by_itself_is_carried(
    book: PriceBook, tmp_path: Path, written: str | None, carried: bool | None
) -> None:
    info = "" if written is None else f", model_info: {{supports_function_calling: {written}}}"
    settings = settings_of(tmp_path, f"{{model_name: m, litellm_params: {{model: ollama_chat/llama2}}{info}}}")
    catalog, notices = build_catalog(settings, book)

    assert only(catalog, "m").native_tools is carried
    assert [*settings.notices, *notices] == []


def test_the_wildcard_of_all_names_sends_a_provider_its_own_names(book: PriceBook, tmp_path: Path) -> None:
    catalog, _ = build_catalog(
        settings_of(tmp_path, '{model_name: "*", litellm_params: {model: "openrouter/*", api_key: k}}'), book
    )

    assert only(catalog, "openrouter/openai/gpt-4o").upstream_model == "openai/gpt-4o"
    assert only(catalog, "anthropic/claude-sonnet-4.5").upstream_model == "anthropic/claude-sonnet-4.5"


def test_a_secret_option_is_no_text(book: PriceBook, tmp_path: Path) -> None:
    entry = "{model_name: m, litellm_params: {model: azure/x, api_base: 'https://a.test', azure_ad_token: entra}}"
    deployment = only(build_catalog(settings_of(tmp_path, entry), book)[0], "m")

    assert deployment.options["azure_ad_token"] == Secret("entra")
    assert "entra" not in repr(deployment)
