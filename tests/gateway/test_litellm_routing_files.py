"""LiteLLM's config files for load balancing, fallbacks and cooldowns, as its docs give them: read, and behaving so."""

from collections import Counter
from pathlib import Path

import pytest

from app.admin.catalog import build_catalog
from app.domain.routing import RoutingRules
from app.providers.price_book import PriceBook
from app.settings import Settings, SettingsError, load_settings
from tests.gateway.test_attempts import Farm, Hosts, header, refuses
from tests.gateway.test_pipeline import WHOLE

BALANCING = """
model_list:
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "https://eu.example", api_key: sk-1, rpm: 900}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "https://us.example/", api_key: sk-2, rpm: 100}
router_settings:
  routing_strategy: simple-shuffle  # Literal["simple-shuffle", "least-busy", "usage-based-routing", ...]
  model_group_alias: {"gpt-4": "claude", "gpt-3.5-turbo": {"model": "claude", "hidden": true}}
  num_retries: 2
  timeout: 30                       # 30 seconds
"""
FALLBACKS = """
model_list:
  - model_name: zephyr-beta
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "https://first.example", api_key: sk-1}
  - model_name: zephyr-beta
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "https://second.example", api_key: sk-2}
  - model_name: gpt-3.5-turbo
    litellm_params: {model: anthropic/claude-haiku-4-5, api_base: "https://third.example", api_key: sk-3}
  - model_name: gpt-3.5-turbo-16k
    litellm_params: {model: anthropic/claude-haiku-4-5, api_base: "https://large.example", api_key: sk-4}
  - model_name: gpt-4o
    litellm_params: {model: anthropic/claude-opus-4-5, api_base: "https://last.example", api_key: sk-5}
litellm_settings:
  num_retries: 1 # retry call on each model_name (e.g. zephyr-beta)
  request_timeout: 10 # raise Timeout error if call takes longer than 10s
  fallbacks: [{"zephyr-beta": ["gpt-3.5-turbo"]}] # fallback to gpt-3.5-turbo if call fails num_retries
  context_window_fallbacks: [{"zephyr-beta": ["gpt-3.5-turbo-16k"]}, {"gpt-3.5-turbo": ["gpt-3.5-turbo-16k"]}]
  default_fallbacks: ["gpt-4o"]
  allowed_fails: 1 # cooldown model if it fails > 1 call in a minute.
  cooldown_time: 30 # how long to cooldown model if fails/min > allowed_fails
"""
LONG = refuses(400, b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}')


def read(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "config.yaml").write_text(text)
    return load_settings({}, {"config_path": tmp_path / "config.yaml"})


def farm_of(tmp_path: Path, settings: Settings) -> Farm:
    catalog, _ = build_catalog(settings, PriceBook.load(tmp_path / "prices.json"))
    farm = Farm({}, {}, settings.routing, catalog=catalog)
    assert isinstance(farm.hosts, Hosts)
    return farm


async def test_load_balancing_goes_by_rpm_and_aliases_name_the_same_model(tmp_path: Path) -> None:
    settings = read(tmp_path, BALANCING)
    assert [notice for notice in settings.notices if "LiteLLM" in notice] == []
    assert (settings.routing.num_retries, settings.total_timeout_s) == (2, 30)
    farm = farm_of(tmp_path, settings)
    for model in ("claude", "gpt-4", "gpt-3.5-turbo"):
        for _ in range(30):
            assert (await farm.ask(model)).body == WHOLE
    found = Counter(farm.hosts.asked)
    assert 0 < found["us"] < 30 < found["eu"]


async def test_fallbacks_and_cooldowns_come_in_the_order_that_the_file_says(tmp_path: Path) -> None:
    settings = read(tmp_path, FALLBACKS)
    assert [notice for notice in settings.notices if "LiteLLM" in notice] == []
    farm = farm_of(tmp_path, settings)
    farm.ways |= {"first": refuses(500), "second": refuses(500)}
    reply = await farm.ask("zephyr-beta")
    assert (sorted(farm.hosts.asked[:2]), farm.hosts.asked[2:]) == (["first", "second"], ["third"])
    assert (reply.body, header(reply, b"x-keyhouse-attempts")) == (WHOLE, b"3")
    for _ in range(5):
        await farm.ask("zephyr-beta")
    assert Counter(farm.hosts.asked) == {"first": 2, "second": 2, "third": 6}

    farm = farm_of(tmp_path, settings)
    farm.ways |= {"first": LONG, "second": LONG}
    await farm.ask("zephyr-beta")
    assert farm.hosts.asked[1:] == ["large"]

    farm = farm_of(tmp_path, settings)
    farm.ways |= {"third": refuses(401)}
    await farm.ask("gpt-3.5-turbo")
    assert farm.hosts.asked == ["third", "last"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "router_settings: {routing_strategy: fastest}",
            'routing_strategy is "fastest", which is not one of',
        ),
        ("router_settings: {fallbacks: {a: [b]}}", "router_settings.fallbacks is a mapping, but it must be a list"),
        ("router_settings: {num_retries: -1}", "which is not a whole number of at least 0"),
        (
            "router_settings: {model_group_alias: {a: {hidden: true}}}",
            "model_group_alias.a names no model",
        ),
        ("litellm_settings: {cooldown_time: soon}", "which is not a number of seconds above 0"),
    ],
)
def test_a_slip_is_named_with_its_value(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match="line 1") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_what_router_settings_say_comes_before_litellm_settings(tmp_path: Path) -> None:
    text = "router_settings: {num_retries: 1, retry_after: 0}\nlitellm_settings: {num_retries: 5, max_fallbacks: 2}"
    assert read(tmp_path, text).routing == RoutingRules(num_retries=1, max_fallbacks=2)
