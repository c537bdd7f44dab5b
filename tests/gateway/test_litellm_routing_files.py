"""LiteLLM's config files for load balancing, fallbacks, cooldowns and checks, as its docs give them: read, and behaving
so."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from app.admin.catalog import build_catalog
from app.base.errors import InvalidRequest, ModelNotAllowed
from app.domain.limits import RateLimits
from app.domain.routing import RoutingRules
from app.domain.tenancy import scope_of_model
from app.providers.price_book import PriceBook
from app.settings import Settings, SettingsError, load_settings
from tests.fakes.prices import bundled_prices
from tests.gateway.examples import KEY
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
ENTRY = """
  - model_name: {name}
    litellm_params: {{model: anthropic/{model}, api_base: "https://{host}.example", api_key: sk-{host}{params}}}
    model_info: {{id: {host}{info}}}"""
LONG = refuses(400, b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}')


def read(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "config.yaml").write_text(text)
    return load_settings({}, {"config_path": tmp_path / "config.yaml"})


def farm_of(settings: Settings) -> Farm:
    catalog, _ = build_catalog(settings, PriceBook(bundled_prices()))
    farm = Farm({}, {}, settings.routing, catalog=catalog)
    assert isinstance(farm.hosts, Hosts)
    return farm


def entry(host: str, name: str = "m", model: str = "claude-sonnet-4-5", params: str = "", info: str = "") -> str:
    return ENTRY.format(host=host, name=name, model=model, params=params and f", {params}", info=info and f", {info}")


def farm_at(tmp_path: Path, *entries: str, settings: str) -> Farm:
    read_settings = read(tmp_path, "model_list:" + "".join(entries) + f"\n{settings}\n")
    assert [notice for notice in read_settings.notices if "LiteLLM" in notice] == []
    return farm_of(read_settings)


async def test_load_balancing_goes_by_rpm_and_aliases_name_the_same_model(tmp_path: Path) -> None:
    settings = read(tmp_path, BALANCING)
    assert [notice for notice in settings.notices if "LiteLLM" in notice] == []
    assert (settings.routing.num_retries, settings.total_timeout_s) == (2, 30)
    farm = farm_of(settings)
    for model in ("claude", "gpt-4", "gpt-3.5-turbo"):
        for _ in range(30):
            assert (await farm.ask(model)).body == WHOLE
    found = Counter(farm.hosts.asked)
    assert 0 < found["us"] < 30 < found["eu"]


async def test_fallbacks_and_cooldowns_come_in_the_order_that_the_file_says(tmp_path: Path) -> None:
    settings = read(tmp_path, FALLBACKS)
    assert [notice for notice in settings.notices if "LiteLLM" in notice] == []
    farm = farm_of(settings)
    farm.ways |= {"first": refuses(500), "second": refuses(500)}
    reply = await farm.ask("zephyr-beta")
    assert (sorted(farm.hosts.asked[:2]), farm.hosts.asked[2:]) == (["first", "second"], ["third"])
    assert (reply.body, header(reply, b"x-keyhouse-attempts")) == (WHOLE, b"3")
    for _ in range(5):
        await farm.ask("zephyr-beta")
    assert Counter(farm.hosts.asked) == {"first": 2, "second": 2, "third": 6}

    farm = farm_of(settings)
    farm.ways |= {"first": LONG, "second": LONG}
    await farm.ask("zephyr-beta")
    assert farm.hosts.asked[1:] == ["large"]

    farm = farm_of(settings)
    farm.ways |= {"third": refuses(401)}
    await farm.ask("gpt-3.5-turbo")
    assert farm.hosts.asked == ["third", "last"]


async def test_a_retry_policy_says_of_each_kind_of_failure_how_often_is_tried_again(tmp_path: Path) -> None:
    settings = """router_settings:
  retry_policy: {BadRequestErrorRetries: 1, AuthenticationErrorRetries: 0, InternalServerErrorRetries: 2}
  model_group_retry_policy: {n: {AuthenticationErrorRetries: 1}}
  disable_cooldowns: true"""
    three = [entry("a"), entry("b"), entry("c"), entry("d", "n"), entry("e", "n")]
    for status, model, times in ((400, "m", 2), (401, "m", 1), (500, "m", 3), (429, "m", 3), (401, "n", 2)):
        farm = farm_at(tmp_path, *three, settings=settings)
        farm.ways |= dict.fromkeys("abcde", refuses(status))
        assert (await farm.ask(model)).status == status
        assert len(set(farm.hosts.asked)) == times, (status, model)


async def test_an_allowed_fails_policy_says_of_each_kind_how_many_are_let_pass(tmp_path: Path) -> None:
    settings = """router_settings:
  allowed_fails_policy: {RateLimitErrorAllowedFails: 100, InternalServerErrorAllowedFails: 1}
  cooldown_time: 30"""
    for status, most in ((429, 99), (500, 2), (401, 1)):
        farm = farm_at(tmp_path, entry("a"), entry("b"), entry("c"), settings=settings)
        farm.ways["a"] = refuses(status)
        for _ in range(60):
            assert (await farm.ask()).body == WHOLE
        asked = farm.hosts.asked.count("a")
        assert 5 < asked <= most if most == 99 else asked == most


async def test_a_cooldown_of_nothing_puts_nothing_aside(tmp_path: Path) -> None:
    settings = "router_settings: {cooldown_time: 30}"
    farm = farm_at(tmp_path, entry("a", params="cooldown_time: 0"), entry("b"), settings=settings)
    farm.ways["a"] = refuses(429)
    for _ in range(40):
        assert (await farm.ask()).body == WHOLE
    assert farm.hosts.asked.count("a") > 5


async def test_order_makes_a_primary_and_a_backup(tmp_path: Path) -> None:
    two = entry("primary", params="order: 1"), entry("backup", params="order: 2")
    farm = farm_at(tmp_path, *two, settings="router_settings: {enable_pre_call_checks: true}")
    for _ in range(5):
        await farm.ask()
    farm.ways["primary"] = refuses(500)
    await farm.ask()
    assert farm.hosts.asked == ["primary"] * 6 + ["backup"]


@pytest.mark.parametrize("fallbacks", [False, True])
async def test_pre_call_checks_leave_out_what_is_too_small_for_the_prompt(tmp_path: Path, fallbacks: bool) -> None:
    settings = "router_settings: {enable_pre_call_checks: true}\nlitellm_settings: {drop_params: true%s}"
    small, large = entry("small", info="max_input_tokens: 4000"), entry("large", info="max_input_tokens: 16000")
    if fallbacks:
        large = entry("large", "big")
    farm = farm_of(
        read(
            tmp_path,
            f"model_list:{small}{large}\n"
            + settings % (", context_window_fallbacks: [{m: [big]}]" if fallbacks else ""),
        ),
    )
    prompt = [{"role": "user", "content": "What is the meaning of 42?" * 1000}]
    for _ in range(8):
        assert (await farm.ask(messages=prompt)).body == WHOLE
    assert farm.hosts.asked == ["large"] * 8
    await farm.ask(messages=prompt * 4)
    assert len(farm.hosts.asked) == 9, "where none is large enough the host decides, as lengths are estimated"
    for _ in range(20):
        await farm.ask()
    assert "small" in farm.hosts.asked


async def test_tags_choose_among_the_deployments_of_a_model(tmp_path: Path) -> None:
    three = [
        entry(host, params=f"tags: [{tags}]") for host, tags in (("f", "free"), ("p", "paid, eu"), ("d", "default"))
    ]
    settings = "router_settings: {enable_tag_filtering: true%s}"
    for match_all, tags, host in (
        (False, "free", "f"), (False, "paid,other", "p"), (False, "unknown", "d"), (False, "", "d"),
        (True, "paid,other", "d"), (True, "paid,eu", "p"),
    ):  # fmt: skip
        farm = farm_at(tmp_path, *three, settings=settings % (", tag_filtering_match_any: false" if match_all else ""))
        headers = [(b"content-type", b"application/json"), (b"x-litellm-tags", tags.encode())]
        reply = await farm.ask(headers=headers)
        assert (farm.hosts.asked, header(reply, b"x-litellm-model-id")) == ([host], host.encode())
    farm = farm_at(tmp_path, three[0], settings=settings % "")
    with pytest.raises(ModelNotAllowed, match="is for calls with the tags paid"):
        await farm.ask(headers=[(b"x-litellm-tags", b"paid")])


async def test_the_buffer_of_latency_routing_says_who_is_fast_enough(tmp_path: Path) -> None:
    settings = """router_settings:
  routing_strategy: latency-based-routing
  routing_strategy_args: {ttl: 10, lowest_latency_buffer: 0.5}"""
    farm = farm_at(tmp_path, entry("a"), entry("b"), entry("c"), settings=settings)
    await farm.ask()
    measured = {"a": 100.0, "b": 140.0, "c": 160.0}
    [group] = farm.router._groups.values()
    for standing in group.standings:
        standing.latency_ms, standing.measured_s = measured[standing.deployment.deployment_id], farm.now_s
    farm.hosts.asked.clear()
    for _ in range(40):
        standing_ms = {one: one.latency_ms for one in group.standings}
        await farm.ask()
        for one, latency_ms in standing_ms.items():
            one.latency_ms = latency_ms
    assert set(farm.hosts.asked) == {"a", "b"}
    farm.now_s += 11
    await farm.ask()
    assert farm.router.rules.latency.kept_s == 10


async def test_default_content_and_wildcard_fallbacks_and_one_to_a_single_deployment(tmp_path: Path) -> None:
    settings = """litellm_settings:
  fallbacks: [{gpt-4: [special-id]}, {gpt-4o: [azure/gpt-4o]}]
  content_policy_fallbacks: [{small: [opus]}]
  default_fallbacks: [opus]"""
    entries = [
        entry("small", "small"), entry("opus", "opus"), entry("four", "gpt-4"), entry("omni", "gpt-4o"),
        entry("special-id", "other"), entry("plain", "other"), entry("cloud", "azure/*"),
    ]  # fmt: skip
    filtered = refuses(400, b'{"error":{"code":"content_filter","message":"The response was filtered"}}')
    for model, way, asked in (
        ("small", filtered, ["small", "opus"]),
        ("small", refuses(500), ["small", "opus"]),
        ("gpt-4", refuses(500), ["four", "special-id"]),
        ("gpt-4o", refuses(500), ["omni", "cloud"]),
    ):
        farm = farm_at(tmp_path, *entries, settings=settings)
        farm.ways |= dict.fromkeys(("small", "four", "omni"), way)
        assert ((await farm.ask(model)).body, farm.hosts.asked) == (WHOLE, asked)


async def test_p10_a_deployment_by_its_id_is_allowed_limited_and_paid_for_as_its_model(tmp_path: Path) -> None:
    farm = farm_at(
        tmp_path,
        entry("four", "gpt-4"),
        entry("special", "dear"),
        settings="litellm_settings: {fallbacks: [{gpt-4: [special]}]}",
    )
    farm.ways["four"] = refuses(500)
    assert (await farm.ask("gpt-4", replace(KEY, models=("gpt-4",)))).status == 500
    with pytest.raises(ModelNotAllowed):
        await farm.ask("special", replace(KEY, models=("gpt-4",)))
    assert farm.hosts.asked == ["four"]
    limit = replace(KEY, models=("gpt-4", "dear"), limits=(RateLimits(requests=9, model="dear"),))
    assert (await farm.ask("special", limit)).body == WHOLE
    assert [rate.scope for rate in farm.ledger.claims[-1].rates] == [scope_of_model(KEY.key_id, "dear")]


async def test_a_call_or_a_key_does_without_fallbacks_and_says_how_often_to_try_again(tmp_path: Path) -> None:
    settings = "router_settings: {fallbacks: [{m: [n]}], retry_after: 0}"
    two = [entry("a"), entry("b", "n")]
    for key, said, asked in (
        (KEY, {}, ["a", "b"]),
        (KEY, {"disable_fallbacks": True}, ["a"]),
        (replace(KEY, metadata={"disable_fallbacks": True}), {}, ["a"]),
        (KEY, {"num_retries": 1, "disable_fallbacks": True}, ["a", "a"]),
        (KEY, {"headers": [(b"x-litellm-num-retries", b"1")]}, ["a", "a", "b"]),
    ):
        farm = farm_at(tmp_path, *two, settings=settings)
        farm.ways["a"] = refuses(500)
        await farm.ask(key=key, **said)
        assert farm.hosts.asked == asked
        assert all(b"fallbacks" not in body and b"num_retries" not in body for body in farm.hosts.bodies)
    farm = farm_at(tmp_path, *two, settings=settings)
    for wrong in ({"num_retries": 10}, {"num_retries": "two"}, {"disable_fallbacks": 1}):
        with pytest.raises(InvalidRequest, match=f'"{next(iter(wrong))}" is'):
            await farm.ask(**wrong)


def test_what_has_no_effect_here_is_said_with_its_name_and_line(tmp_path: Path) -> None:
    text = """router_settings:
  routing_strategy_args: {ttl: 10}
  optional_pre_call_checks: [prompt_caching, enforce_model_rate_limits]
  enable_weighted_failover: false
  routing_groups: []"""
    said = [notice for notice in read(tmp_path, text).notices if "effect" in notice]
    assert [re.sub(r"^.*(line \d).*?: (\S+) .*", r"\1 \2", notice) for notice in said] == [
        "line 5 router_settings.routing_groups",
        "line 2 router_settings.routing_strategy_args.ttl",
        "line 3 optional_pre_call_checks.enforce_model_rate_limits",
        "line 4 router_settings.enable_weighted_failover",
    ]


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
        ("router_settings: {retry_policy: {TimeoutRetries: 2}}", '"TimeoutRetries" is not known in router_settings'),
    ],
)
def test_a_slip_is_named_with_its_value(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match="line 1") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_what_router_settings_say_comes_before_litellm_settings(tmp_path: Path) -> None:
    text = "router_settings: {num_retries: 1, retry_after: 0}\nlitellm_settings: {num_retries: 5, max_fallbacks: 2}"
    assert read(tmp_path, text).routing == RoutingRules(num_retries=1, max_fallbacks=2)
