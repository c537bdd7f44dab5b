"""Prices by host: how each one spells its models, whose list holds, and what is offered to talk to."""

import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.pricing import cost_of
from app.domain.usage import Usage
from app.providers.host_table import HOSTS
from app.providers.price_book import PriceBook
from app.providers.price_table import PRICE_LISTS, PriceTable, compile_table, load_table

TODAY = date(2026, 11, 21)
MILLION_EACH = Usage(input=1_000_000, output=1_000_000)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PriceTable:
    return load_table(tmp_path_factory.mktemp("prices") / "prices.json")


@pytest.fixture(scope="module")
def book(table: PriceTable) -> PriceBook:
    return PriceBook(table, TODAY)


def input_dollars(book: PriceBook, provider: str, model: str) -> Decimal:
    sheet = book.find(provider, model)
    assert sheet is not None, model
    return Decimal(sheet.rates.input) / 10**9


def test_every_list_that_a_host_names_is_compiled(table: PriceTable) -> None:
    assert set(table.lists) == set(PRICE_LISTS) == {host.price_list for host in HOSTS.values() if host.price_list}
    assert all(table.lists.values())


def test_the_table_is_the_same_each_time_and_small(table: PriceTable, tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    load_table(path)

    assert compile_table() == table
    assert path.stat().st_size < 1_500_000
    began_s = time.perf_counter()
    PriceBook(load_table(path), TODAY)
    assert time.perf_counter() - began_s < 0.5


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3"),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "3"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-5-20251101-v1:0", "5.5"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "0.25"),
        ("us.amazon.nova-pro-v1:0", "0.8"),
        ("meta.llama3-1-70b-instruct-v1:0", "0.72"),
        ("openai.gpt-oss-120b-1:0", "0.15"),
    ],
)
def test_bedrock_ids_with_places_and_versions(book: PriceBook, model: str, dollars: str) -> None:
    assert input_dollars(book, "bedrock", model) == Decimal(dollars)


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("vertex_ai", "claude-sonnet-4-5@20250929", "3"),
        ("vertex_ai", "claude-opus-4-1@20250805", "15"),
        ("vertex_ai", "gemini-2.5-pro", "1.25"),
        ("gemini", "gemini-2.5-pro-preview-05-06", "1.25"),
        ("gemini", "gemini-2.0-flash-001", "0.1"),
        ("gemini", "gemini-2.5-flash-lite-preview-06-17", "0.1"),
        ("azure", "gpt-4o", "2.5"),
        ("azure", "gpt-35-turbo", "0.5"),
        ("azure", "o4-mini", "1.1"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "3"),
        ("openrouter", "anthropic/claude-sonnet-4.5:nitro", "3"),
        ("openrouter", "openai/gpt-4o", "2.5"),
        ("claude_code_native", "claude-sonnet-4-5-20250929", "3"),
        ("mistral", "mistral-large-2411", "2"),
        ("cohere", "command-r-plus-08-2024", "2.5"),
        ("groq", "llama-3.3-70b-versatile", "0.59"),
        ("xai", "grok-4", "3"),
        ("together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "0.88"),
        ("fireworks_ai", "accounts/fireworks/models/deepseek-v3p2", "0.56"),
        ("perplexity", "sonar-pro", "3"),
    ],
)
def test_each_host_spells_its_models_in_its_own_way(book: PriceBook, provider: str, model: str, dollars: str) -> None:
    assert input_dollars(book, provider, model) == Decimal(dollars)


@pytest.mark.parametrize("provider", ["azure", "azure_ai", "vertex_ai", "bedrock"])
def test_claude_in_a_cloud_whose_list_lacks_it_costs_what_it_does_at_anthropic(
    table: PriceTable, provider: str
) -> None:
    price_list = HOSTS[provider].price_list
    assert price_list is not None
    without = {**table.lists, price_list: ()}
    book = PriceBook(PriceTable(table.key, table.version, without), TODAY)
    model = "us.anthropic.claude-haiku-4-5-20251001-v1:0" if provider == "bedrock" else "claude-haiku-4-5"

    assert input_dollars(book, provider, model) == 1


def test_a_long_prompt_to_gemini_costs_more_for_the_whole_of_it(book: PriceBook) -> None:
    sheet = book.find("gemini", "gemini-2.5-pro")
    assert sheet is not None

    assert cost_of(Usage(input=200_000), sheet).total == 250_000_000
    assert cost_of(Usage(input=150_000, cache_read=100_000, output=1000), sheet).total == 415_000_000


def test_deepseek_is_charged_its_dearest_hour_and_reads_its_cache_cheaply(book: PriceBook) -> None:
    sheet = book.find("deepseek", "deepseek-chat")
    assert sheet is not None

    assert cost_of(MILLION_EACH, sheet).total == 1_370_000_000
    assert cost_of(Usage(cache_read=1_000_000), sheet).total == 70_000_000


def test_what_openrouter_calls_free_is_free_and_elsewhere_nothing_is(book: PriceBook) -> None:
    free = book.price_of("openrouter", "some/new-model:free")

    assert (free.source, cost_of(MILLION_EACH, free).total) == ("bundled", 0)
    assert book.price_of("openrouter", "some/new-model").source == "fallback"
    assert book.price_of("together_ai", "some/new-model:free").source == "fallback"


@pytest.mark.parametrize("host", [host.name for host in HOSTS.values() if host.local])
def test_a_local_host_costs_nothing_though_others_sell_the_same_model(book: PriceBook, host: str) -> None:
    for sheet in (book.price_of(host, "qwen/qwen3-32b"), book.configured(host, "gpt-oss-20b", {})):
        assert (sheet.source, cost_of(MILLION_EACH, sheet).total) == ("local", 0)


@pytest.mark.parametrize("base_model", ["azure/gpt-4o", "openai/gpt-4o", "gpt-4o"])
def test_a_deployment_of_azure_with_a_name_of_its_own_is_priced_by_its_base_model(
    book: PriceBook, base_model: str
) -> None:
    assert book.configured("azure", "our-deployment", {}).source == "fallback"
    assert book.configured("azure", "our-deployment", {}, base_model).rates.input == 2_500_000_000


@pytest.mark.parametrize(
    ("provider", "some", "none"),
    [
        ("gemini", ["gemini-2.5-pro", "gemini-2.5-flash"], ["claude", "image", "tts", "embedding", "live", "gemma"]),
        ("openrouter", ["anthropic/claude-opus-4.5", "google/gemini-2.5-pro"], [":free", ":batch", "~", "embed"]),
        ("deepseek", ["deepseek-chat", "deepseek-reasoner"], []),
        ("mistral", ["mistral-small-latest"], ["ocr", "embed", "voxtral", ":free"]),
        ("groq", ["qwen/qwen3-32b"], ["whisper", "guard", "orpheus"]),
        ("cohere", ["command-a"], ["embed", "aya"]),
        ("xai", ["grok-4.5"], ["voice"]),
        ("perplexity", ["sonar-pro"], ["embed", "pplx"]),
        ("fireworks_ai", ["accounts/fireworks/models/glm-5p3"], []),
        ("claude_code_native", ["claude-opus-4-5"], []),
    ],
)
def test_only_models_to_talk_to_are_offered(book: PriceBook, provider: str, some: list[str], none: list[str]) -> None:
    names = [offered.name for offered in book.offered(provider)]

    assert set(some) <= set(names)
    assert not [name for name in names if any(part in name for part in none)]


@pytest.mark.parametrize("provider", ["azure", "azure_ai", "bedrock", "ollama", "hosted_vllm", "openai_compatible"])
def test_nothing_is_offered_where_the_names_are_the_operators_own(book: PriceBook, provider: str) -> None:
    assert book.offered(provider) == ()
