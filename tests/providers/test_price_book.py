"""Prices: the golden table by hand, the order of sources, and no model for nothing."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from app.domain.pricing import PriceSheet, cost_of
from app.domain.usage import Usage
from app.providers import price_table
from app.providers.price_book import PriceBook
from app.providers.price_table import PriceTable, load_table

TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PriceTable:
    return load_table(tmp_path_factory.mktemp("prices") / "prices.json")


@pytest.fixture(scope="module")
def book(table: PriceTable) -> PriceBook:
    return PriceBook(table, TODAY)


def found(book: PriceBook, provider: str, model: str) -> PriceSheet:
    sheet = book.find(provider, model)
    assert sheet is not None
    return sheet


# Dollars by hand from the providers' price lists.
@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("claude-sonnet-4-5", Usage(input=1000), "0.003"),
        ("claude-sonnet-4-5", Usage(output=1000), "0.015"),
        ("claude-sonnet-4-5", Usage(cache_read=1000), "0.0003"),
        ("claude-sonnet-4-5", Usage(cache_write_5m=1000), "0.00375"),
        ("claude-sonnet-4-5", Usage(cache_write_1h=1000), "0.006"),
        ("claude-sonnet-4-5", Usage(output=1000, reasoning=1000), "0.015"),
        ("claude-sonnet-4-5", Usage(input=200_000, output=1000), "0.615"),
        ("claude-sonnet-4-5", Usage(input=250_000, output=1000), "1.5225"),
        ("claude-sonnet-4-5", Usage(input=1, cache_read=250_000), "0.150006"),
        ("claude-sonnet-4-5", Usage(web_searches=3), "0.03"),
        ("claude-opus-4-5-20251101", Usage(input=1000, output=1000), "0.030"),
        ("claude-haiku-4-5", Usage(input=1_000_000), "1"),
        ("claude-3-haiku-20240307", Usage(cache_write_1h=1000), "0.0005"),
        ("claude-2.1", Usage(cache_write_5m=1000, cache_write_1h=1000), "0.026"),
        # A price that changed in March 2026: the one that holds today.
        ("claude-opus-4-6", Usage(input=250_000), "1.25"),
    ],
)
def test_anthropic_prices_by_class_and_tier(book: PriceBook, model: str, usage: Usage, dollars: str) -> None:
    assert cost_of(usage, found(book, "anthropic", model)).total == int(Decimal(dollars) * 10**9)


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("gpt-4o", Usage(input=1000, output=1000), "0.0125"),
        ("gpt-4o", Usage(cache_read=1000), "0.00125"),
        ("gpt-4o-2024-05-13", Usage(input=1000, output=1000), "0.02"),
        ("gpt-5", Usage(input=1000, cache_read=1000, output=1000, reasoning=500), "0.011375"),
        ("gpt-5", Usage(file_searches=4), "0.01"),
        ("gpt-realtime", Usage(audio_input=1000, audio_output=1000), "0.096"),
        ("gpt-4o-audio-preview", Usage(audio_input=1000, audio_output=1000), "0.12"),
        ("o3", Usage(input=1000, output=1000), "0.01"),
        ("text-embedding-3-small", Usage(input=1_000_000), "0.02"),
        ("ft:gpt-4o-2024-08-06:acme::abc123", Usage(input=1000), "0.00375"),
    ],
)
def test_openai_prices_by_class_and_snapshot(book: PriceBook, model: str, usage: Usage, dollars: str) -> None:
    assert cost_of(usage, found(book, "openai", model)).total == int(Decimal(dollars) * 10**9)


def test_a_new_price_holds_from_its_day(table: PriceTable) -> None:
    before, after = (PriceBook(table, day) for day in (date(2026, 3, 12), date(2026, 3, 13)))
    usage = Usage(input=250_000)

    assert cost_of(usage, found(before, "anthropic", "claude-opus-4-6")).total == 2_500_000_000
    assert cost_of(usage, found(after, "anthropic", "claude-opus-4-6")).total == 1_250_000_000


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("CLAUDE-SONNET-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet"),
    ],
)
def test_an_id_with_a_date_is_priced_as_its_family(book: PriceBook, model: str, family: str) -> None:
    assert found(book, "anthropic", model) == found(book, "anthropic", family)


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-4-5-99990101",
        "claude-sonnet-4-5-20251301",
        "claude-sonnet-4-5-20270101",
        "claude-sonnet-4-5-19990101",
        "claude-sonnet-4-5-turbo",
        "claude-sonnet-4-55",
        "claude",
        "",
        "gpt-4o",
        "-latest",
        "x" * 10_000,
    ],
)
def test_an_id_that_nobody_lists_is_charged_at_the_fallback(book: PriceBook, model: str) -> None:
    assert book.find("anthropic", model) is None
    sheet = book.price_of("anthropic", model)
    assert sheet.source == "fallback"
    assert cost_of(Usage(1000, 1000, 1000, 1000, 1000), sheet).total == 5_000_000 + 500_000 + 6_250_000 + 35_000_000


@pytest.mark.parametrize("provider", ["anthropic", "openai", "openai_compatible", "unheard_of"])
def test_the_unknown_is_never_free(book: PriceBook, provider: str) -> None:
    rates = book.price_of(provider, "made-up").rates

    token_rates = (rates.input, rates.output, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h)
    assert min(*token_rates, rates.reasoning, rates.audio_input, rates.audio_output) > 0


def test_local_hosts_cost_nothing_and_the_demo_has_its_own_price(book: PriceBook) -> None:
    local, demo = book.price_of("hosted_vllm", "llama"), book.price_of("demo", "demo/echo")

    assert (local.source, cost_of(Usage(10**9, 10**9), local).total) == ("local", 0)
    assert (demo.source, demo.rates.input, demo.rates.output) == ("demo", 1_000_000_000, 5_000_000_000)


def dollars(**written: str) -> dict[str, Decimal]:
    return {name: Decimal(value) for name, value in written.items()}


def test_the_operators_price_comes_before_the_bundled_one(book: PriceBook) -> None:
    written = dollars(input_cost_per_token="1e-06", output_cost_per_token="2e-06")
    sheet = book.configured("anthropic", "claude-sonnet-4-5", written)

    assert sheet.source == "config"
    assert (sheet.rates.input, sheet.rates.output) == (1_000_000_000, 2_000_000_000)
    # The cache follows in the proportion of the bundled sheet, and its tier does not outlive its prices.
    assert (sheet.rates.cache_read, sheet.rates.cache_write_5m) == (100_000_000, 1_250_000_000)
    assert sheet.rates.cache_write_1h == 2_000_000_000
    assert sheet.tiers == ()


@pytest.mark.parametrize(
    ("provider", "read", "write_5m", "write_1h"), [("anthropic", 1, 12.5, 20), ("openai", 10, 10, 10)]
)
def test_an_unknown_model_with_two_prices_has_a_cache_by_its_protocol(
    book: PriceBook, provider: str, read: float, write_5m: float, write_1h: float
) -> None:
    written = dollars(input_cost_per_token="0.00001", output_cost_per_token="0.00002")
    rates = book.configured(provider, "made-up", written).rates

    assert (rates.cache_read, rates.cache_write_5m, rates.cache_write_1h) == (
        read * 10**9,
        write_5m * 10**9,
        write_1h * 10**9,
    )


def test_every_class_and_tier_can_be_written(book: PriceBook) -> None:
    written = dollars(
        input_cost_per_token="1e-6",
        output_cost_per_token="2e-6",
        cache_read_input_token_cost="3e-6",
        cache_creation_input_token_cost="4e-6",
        cache_creation_input_token_cost_above_1hr="5e-6",
        output_cost_per_reasoning_token="6e-6",
        input_cost_per_audio_token="7e-6",
        output_cost_per_audio_token="8e-6",
        file_search_cost_per_1k_calls="2.5",
        input_cost_per_token_above_200k_tokens="10e-6",
        output_cost_per_token_above_200k_tokens="20e-6",
        cache_read_input_token_cost_above_200k_tokens="30e-6",
        cache_creation_input_token_cost_above_1hr_above_200k_tokens="50e-6",
    )
    sheet = book.configured("anthropic", "made-up", written)

    rates, tier = sheet.rates, sheet.tiers[0]
    base = (rates.input, rates.output, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h, rates.reasoning)
    assert base == tuple(count * 10**9 for count in (1, 2, 3, 4, 5, 6))
    assert (rates.audio_input, rates.audio_output) == (7 * 10**9, 8 * 10**9)
    assert rates.file_searches == 2_500 * 10**9
    assert tier.above_prompt_tokens == 200_000
    above = (tier.rates.input, tier.rates.output, tier.rates.cache_read, tier.rates.cache_write_1h)
    assert above == (10 * 10**9, 20 * 10**9, 30 * 10**9, 50 * 10**9)
    # Not written above the threshold: it grows as the input does.
    assert tier.rates.cache_write_5m == 40 * 10**9


def test_one_written_class_leaves_the_others_and_the_tiers_bundled(book: PriceBook) -> None:
    sheet = book.configured("anthropic", "claude-sonnet-4-5", dollars(cache_read_input_token_cost="0"))

    assert (sheet.rates.cache_read, sheet.rates.input) == (0, 3_000_000_000)
    assert (sheet.tiers[0].rates.cache_read, sheet.tiers[0].rates.input) == (0, 6_000_000_000)


def test_one_price_alone_leaves_the_other_at_the_fallback_not_at_nothing(book: PriceBook) -> None:
    sheet = book.configured("openai", "made-up", dollars(input_cost_per_token="1e-6"))

    assert sheet.rates.output == 25_000_000_000


def test_a_price_of_nothing_that_was_written_is_meant(book: PriceBook) -> None:
    written = dollars(input_cost_per_token="0", output_cost_per_token="0")

    assert cost_of(Usage(1000, 1000, 1000, 1000, 1000), book.configured("openai", "own", written)).total == 0


@pytest.mark.parametrize("base_model", ["gpt-4o", "azure/gpt-4o", "openai/gpt-4o"])
def test_a_base_model_lends_its_price(book: PriceBook, base_model: str) -> None:
    sheet = book.configured("openai_compatible", "my-deployment", {}, base_model)

    assert (sheet.source, sheet.rates.input) == ("bundled", 2_500_000_000)


def test_a_version_names_source_edition_and_rates_and_stays(table: PriceTable, book: PriceBook) -> None:
    version = found(book, "anthropic", "claude-sonnet-4-5").version

    source, edition, digest = version.split(":")
    assert (source, edition, len(digest)) == ("bundled", table.version, 8)
    assert found(PriceBook(table, TODAY), "anthropic", "claude-sonnet-4-5").version == version
    assert found(book, "anthropic", "claude-opus-4-5").version != version


def test_chat_models_that_are_offered_now_have_display_names(book: PriceBook) -> None:
    anthropic = {offered.name: offered.display_name for offered in book.offered("anthropic")}
    openai = {offered.name: offered.display_name for offered in book.offered("openai")}

    assert anthropic["claude-opus-4-5"] == "Claude Opus 4.5"
    assert not [name for name in anthropic if name.startswith(("claude-2", "claude-3", "claude-v"))]
    assert openai["gpt-4o-mini"] == "GPT-4o mini"
    assert openai["o4-mini"] == "o4-mini"
    not_chat = ("embedding", "audio", "realtime", "tts", "image", "whisper", "ft:", "moderation", "davinci")
    assert not [name for name in openai if any(word in name for word in not_chat)]
    assert book.offered("demo") == ()


def test_no_price_of_the_bundled_data_is_below_nothing(table: PriceTable) -> None:
    for models in table.lists.values():
        for model in models:
            for prices in model.prices:
                thresholds = [tier.above_prompt_tokens for tier in prices.tiers]
                assert prices.rates.input > 0, model.model_id
                assert thresholds == sorted(set(thresholds)), model.model_id


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often the child process is started."""
    starts: list[int] = []
    real = price_table._compile_in_child

    def counted() -> bytes:
        starts.append(1)
        return real()

    monkeypatch.setattr(price_table, "_compile_in_child", counted)
    return starts


def test_the_compiled_table_is_kept_and_read_again(tmp_path: Path, compiled: list[int], table: PriceTable) -> None:
    path = tmp_path / "prices.json"

    assert load_table(path) == load_table(path) == table
    assert len(compiled) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["prices.json"]


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"{}", b'{"key": "0.0.1:1:anthropic", "version": "0", "providers": {}}']
)
def test_a_table_that_is_broken_or_of_another_version_is_compiled_afresh(
    tmp_path: Path, compiled: list[int], table: PriceTable, content: bytes
) -> None:
    path = tmp_path / "prices.json"
    path.write_bytes(content)

    assert load_table(path) == table
    assert len(compiled) == 1
    assert msgspec.json.decode(path.read_bytes(), type=PriceTable) == table


def test_a_place_that_cannot_be_written_is_no_failure(tmp_path: Path, table: PriceTable) -> None:
    assert load_table(tmp_path / "absent" / "prices.json") == table
