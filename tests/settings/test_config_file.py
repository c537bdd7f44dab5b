"""The YAML file: one that LiteLLM reads is read unchanged; what is wrong is named with its line."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from app.base.secret import Secret
from app.domain.pricing import Terms
from app.settings import Settings, SettingsError, load_settings

Load = Callable[..., Settings]

HEADERS_IN_THEMSELVES = "model_list: [{model_name: m, litellm_params: {model: openai/a, headers: &x {a: *x}}}]"
ENVIRON = {"ANTHROPIC_API_KEY": "sk-ant-1", "OPENAI_API_KEY": "sk-oai-1", "DB": "postgresql://u@db/k"}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, environ: dict[str, str] | None = None, **files: str) -> Settings:
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        (tmp_path / "config.yaml").write_text(text)
        return load_settings(ENVIRON if environ is None else environ, {"config_path": tmp_path / "config.yaml"})

    return load


def problems(load: Load, text: str, **files: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(text, **files)
    return caught.value.message.splitlines()


TYPICAL = """
model_list:
  - model_name: claude-sonnet
    litellm_params: ### what is sent to litellm.completion() ###
      model: anthropic/claude-sonnet-4-5-20250929
      api_key: "os.environ/ANTHROPIC_API_KEY"
      rpm: 6
      timeout: 300
      stream_timeout: 60.5
    model_info:
      id: sonnet-1
      mode: chat
      base_model: claude-sonnet-4-5
      input_cost_per_token: 3e-06
      output_cost_per_token: 0.000015
      cache_read_input_token_cost_above_200k_tokens: 6e-07
      supports_vision: true
      max_input_tokens: 200000
      max_tokens: 8192
      access_groups: ["beta", "paid"]
  - model_name: gpt-5
    litellm_params:
      model: gpt-5
      api_key: os.environ/OPENAI_API_KEY
      api_base: https://eu.api.openai.com/v1
      organization: org-1
      extra_headers: {x-team: research}
      temperature: 0.2
      max_retries: 3
  - model_name: local
    litellm_params:
      model: hosted_vllm/meta-llama/Llama-3.1-8B
      api_base: http://127.0.0.1:8000/v1
  - model_name: anthropic/*
    litellm_params: {model: anthropic/*}
  - model_name: granite
    litellm_params:
      model: watsonx/ibm/granite-3
      api_key: os.environ/WATSONX_API_KEY

litellm_settings:
  drop_params: True
  num_retries: 3
  request_timeout: 600
  budget_exceeded_status_code: 422
  cost_discount_config:
    vertex_ai: 0.05
    openai: 0.1

router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {"gpt-4": "gpt-5"}

general_settings:
  master_key: sk-1234
  database_url: os.environ/DB
  store_model_in_db: true
"""


def test_a_typical_litellm_file_is_read_unchanged(load: Load) -> None:
    settings = load(TYPICAL)

    assert settings.master_key == Secret("sk-1234")
    assert settings.database_url == Secret("postgresql://u@db/k")
    assert (settings.budget_exceeded_status, settings.total_timeout_s) == (422, 600)
    assert settings.price_terms == {"vertex_ai": Terms(50_000_000), "openai": Terms(100_000_000)}
    assert [entry.model_name for entry in settings.model_entries] == ["claude-sonnet", "gpt-5", "local", "anthropic/*"]


def test_an_entry_keeps_everything_that_was_written(load: Load) -> None:
    sonnet, gpt, local, wildcard = load(TYPICAL).model_entries

    assert (sonnet.provider, sonnet.upstream_model) == ("anthropic", "claude-sonnet-4-5-20250929")
    assert sonnet.api_key == Secret("sk-ant-1")
    assert (sonnet.requests_per_minute, sonnet.timeout_s, sonnet.stream_timeout_s) == (6, 300, 61)
    assert sonnet.place == "config.yaml, line 3"
    assert (sonnet.info.deployment_id, sonnet.info.base_model) == ("sonnet-1", "claude-sonnet-4-5")
    assert (sonnet.info.max_input_tokens, sonnet.info.max_output_tokens) == (200_000, 8192)
    assert sonnet.info.access_groups == ("beta", "paid")
    assert sonnet.prices == {
        "input_cost_per_token": Decimal("0.000003"),
        "output_cost_per_token": Decimal("0.000015"),
        "cache_read_input_token_cost_above_200k_tokens": Decimal("0.0000006"),
    }
    assert (gpt.provider, gpt.upstream_model, gpt.api_base) == ("openai", "gpt-5", "https://eu.api.openai.com/v1")
    assert gpt.headers == {"x-team": "research", "OpenAI-Organization": "org-1"}
    assert (local.provider, local.upstream_model) == ("hosted_vllm", "meta-llama/Llama-3.1-8B")
    assert (wildcard.provider, wildcard.upstream_model, wildcard.api_key) == ("anthropic", "*", None)


def test_what_litellm_knows_and_we_do_not_honour_is_said_once_by_name(load: Load) -> None:
    notices = load(TYPICAL).notices

    said = [notice.partition(": ")[2].partition(" is LiteLLM's")[0] for notice in notices if "LiteLLM's" in notice]
    assert sorted(said) == [
        "general_settings.store_model_in_db",
        "litellm_params.temperature",
        "litellm_settings.drop_params",
        "model_info.supports_vision",
    ]


def test_a_provider_that_is_not_built_yet_is_left_out_with_a_notice(load: Load) -> None:
    (notice,) = [notice for notice in load(TYPICAL).notices if "granite" in notice]

    assert notice.startswith(
        'config.yaml, line 38: provider "watsonx" of model "granite" is not built yet, so the model is left out; '
        "known: "
    )


@pytest.mark.parametrize(
    "params",
    [
        "{model: openai/a,\n    api_key: os.environ/ABSENT}",
        "{model: openai/a,\n    api_base: os.environ/ABSENT}",
        "{\n    model: os.environ/ABSENT}",
        "{model: a,\n    custom_llm_provider: os.environ/ABSENT}",
        "{model: openai/a, headers: {x-team: research,\n    x-tenant: os.environ/ABSENT}}",
        "{model: openai/a,\n    input_cost_per_token: os.environ/ABSENT}",
    ],
)
def test_an_entry_whose_variable_is_not_set_is_left_out_with_a_notice(load: Load, params: str) -> None:
    settings = load(
        f"model_list:\n- model_name: m\n  litellm_params: {params}\n"
        "- {model_name: n, litellm_params: {model: openai/b, api_key: os.environ/OPENAI_API_KEY}}"
    )

    assert [entry.model_name for entry in settings.model_entries] == ["n"]
    assert settings.notices == ('model "m" is left out: ABSENT is not set (config.yaml, line 4)',)


def test_a_variable_in_a_parameter_without_effect_keeps_no_model_out(load: Load) -> None:
    settings = load(
        "model_list: [{model_name: m, litellm_params: {model: openai/a, seed: os.environ/ABSENT}}]",
    )

    assert [entry.model_name for entry in settings.model_entries] == ["m"]


def test_what_else_is_wrong_with_an_entry_that_is_left_out_is_still_said(load: Load) -> None:
    entry = "{model_name: m, litellm_params: {model: openai/a, api_key: os.environ/ABSENT, temprature: 1}}"

    assert "temprature" in problems(load, f"model_list: [{entry}]")[0]


def test_a_name_that_is_used_twice_is_reported_once(load: Load) -> None:
    entry = "  - {model_name: m, litellm_params: {model: openai/gpt-5, temperature: 1}}\n"

    assert len(load("model_list:\n" + entry * 3).notices) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot: 1", 'config.yaml, line 1: "prot" is not known at the top level; did you mean "port"'),
        ("\n\nqqqqqq: 1", 'config.yaml, line 3: "qqqqqq" is not known at the top level; known are: admission_wait_s'),
        ("port: many", 'config.yaml, line 1: port is "many", which is not a whole number from 0 to 65535'),
        ("port: [1]", "config.yaml, line 1: port is a list, but it must be a text"),
        ("model_list: 3", "config.yaml, line 1: model_list is a single value, but it must be a list"),
        ("general_settings: []", "config.yaml, line 1: general_settings is a list, but it must be a mapping"),
        ("- a", "config.yaml, line 1: the file is a list, but it must be a mapping of names to values"),
        ("port: 1\nhost: a\nport: 2", 'config.yaml, line 3: "port" is already written on line 1; remove one'),
        ("a: [", "config.yaml, line 1: this is not YAML: "),
        ("port: 1\n\thost: a", "config.yaml, line 2: this is not YAML: "),
        (
            "general_settings:\n  master_kee: x",
            'config.yaml, line 2: "master_kee" is not known in general_settings; did you mean "master_key"?',
        ),
        (
            "litellm_settings: {drop_parms: true}",
            'config.yaml, line 1: "drop_parms" is not known in litellm_settings; did you mean "drop_params"?',
        ),
        (
            "router_settings:\n  routing_stratgy: x",
            'config.yaml, line 2: "routing_stratgy" is not known in router_settings; did you mean "routing_strategy"',
        ),
        (
            "general_settings:\n  master_key: os.environ/ABSENT",
            "config.yaml, line 2: general_settings.master_key refers to the environment variable "
            '"ABSENT", which is not set',
        ),
        (
            "litellm_settings:\n  cost_discount_config: {openai: 5}",
            'config.yaml, line 2: litellm_settings.cost_discount_config.openai is "5", '
            "which is not a fraction from 0 to 1",
        ),
        (
            "litellm_settings: {cost_discount_config: {opnai: 0.1}}",
            'config.yaml, line 1: provider "opnai" is not known; did you mean "openai"?',
        ),
        ("unpriced_models: free", 'config.yaml, line 1: unpriced_models is "free", which is not one of "charge"'),
    ],
)
def test_a_problem_names_file_line_and_the_nearest_name(load: Load, text: str, sentence: str) -> None:
    assert problems(load, text)[0].startswith(sentence)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("{litellm_params: {model: openai/gpt-5}}", "line 2: model_list[0] has no model_name"),
        ("{model_name: m}", "line 2: model_list[0] has no litellm_params.model"),
        ("{model_name: '', litellm_params: {model: openai/a}}", "line 2: model_list[0].model_name is empty"),
        ("text", "line 2: model_list[0] is a single value, but it must be a mapping of names to values"),
        (
            "{model_name: m, litellm_params: {model: opnai/gpt-5}}",
            'line 2: provider "opnai" of model "m" is not known; did you mean "openai"?',
        ),
        (
            "{model_name: m, litellm_params: {model: llama-3}}",
            'line 2: litellm_params.model "llama-3" of model "m" names no provider; write "openai/llama-3", say',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a, temprature: 1}}",
            'line 2: "temprature" is not known in litellm_params; did you mean "temperature"?',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a}, model_info: {input_cost_per_tokn: 1}}",
            'line 2: "input_cost_per_tokn" is not known in model_info; ',
        ),
        (
            "{model_name: m, litellm_parms: {}, litellm_params: {model: openai/a}}",
            'line 2: "litellm_parms" is not known in model_list[]; did you mean "litellm_params"?',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a, rpm: lots}}",
            'line 2: model_list[0].litellm_params.rpm is "lots", which is not a whole number of at least 0',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a, input_cost_per_token: -1}}",
            'line 2: model_list[0].litellm_params.input_cost_per_token is "-1", which is not a price in dollars',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a, input_cost_per_token: .nan}}",
            'line 2: model_list[0].litellm_params.input_cost_per_token is ".nan", which is not a price in dollars',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a}, model_info: {id: os.environ/ABSENT}}",
            'line 2: model_list[0].model_info.id refers to the environment variable "ABSENT", which is not set',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a, api_base: 'ftp://x'}}",
            'line 2: model_list[0].litellm_params.api_base is "ftp://x", which is not an http:// or https:// address',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a, timeout: 0}}",
            'line 2: model_list[0].litellm_params.timeout is "0", which is not a number of seconds above 0',
        ),
        (
            '{model_name: m, litellm_params: {model: openai/a, extra_headers: {"x-a": "b\\r\\nc"}}}',
            'line 2: the header "x-a" has characters that no header may have',
        ),
        (
            "{model_name: m, litellm_params: {model: openai/a}, model_info: {discoverable: maybe}}",
            'line 2: model_list[0].model_info.discoverable is "maybe", which is not true or false',
        ),
    ],
)
def test_a_problem_of_an_entry_names_its_line(load: Load, entry: str, sentence: str) -> None:
    assert problems(load, f"model_list:\n  - {entry}")[0].startswith(f"config.yaml, {sentence}")


def test_all_problems_of_a_file_are_told_at_once(load: Load) -> None:
    assert len(problems(load, "prot: 1\nport: x\nmodel_list: 3\n")) == 3


def test_the_environment_comes_before_the_file_and_the_command_line_before_both(load: Load, tmp_path: Path) -> None:
    settings = load("port: 1\nhost: file\nworkers: 3\n", {"KEYHOUSE_PORT": "2"})
    assert (settings.port, settings.host, settings.workers) == (2, "file", 3)

    overrides = {"config_path": tmp_path / "config.yaml", "port": 5}
    assert load_settings({"KEYHOUSE_PORT": "2"}, overrides).port == 5


def test_a_top_level_name_comes_before_litellms_section(load: Load) -> None:
    settings = load("general_settings: {master_key: sk-theirs}\nmaster_key: sk-ours\n")

    assert settings.master_key == Secret("sk-ours")


def test_environment_variables_of_the_file_are_known_to_the_rest_of_it(load: Load) -> None:
    settings = load(
        """
environment_variables:
  MY_KEY: sk-from-the-file
  OPENAI_API_KEY: sk-file-openai
  REDIS_URL: redis://from-file
model_list:
  - {model_name: m, litellm_params: {model: anthropic/claude-x, api_key: os.environ/MY_KEY}}
""",
        {"OPENAI_API_KEY": "sk-real"},
    )

    assert settings.model_entries[0].api_key == Secret("sk-from-the-file")
    assert settings.credentials["openai"].api_key == Secret("sk-real")
    assert settings.redis_url == Secret("redis://from-file")


def test_included_files_add_their_models_and_settings(load: Load) -> None:
    settings = load(
        "include: [models.yaml]\nport: 1\nmodel_list: [{model_name: a, litellm_params: {model: openai/a}}]\n",
        models="model_list:\n  - {model_name: b, litellm_params: {model: openai/b}}\nport: 2\nworkers: 2\n",
    )

    assert [entry.model_name for entry in settings.model_entries] == ["a", "b"]
    assert settings.model_entries[1].place == "models.yaml, line 2"
    assert (settings.port, settings.workers) == (1, 2)


def test_an_included_file_that_is_absent_wrong_or_includes_itself_is_named(load: Load) -> None:
    assert (
        "absent.yaml: the file cannot be read (No such file or directory)"
        in problems(load, "include: [absent.yaml]")[0]
    )
    assert problems(load, "include: [a.yaml]", a="\nprot: 1")[0].startswith('a.yaml, line 2: "prot" is not known')
    assert "does a file include itself?" in problems(load, "include: [config.yaml]")[0]


def test_a_config_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.yaml: the file cannot be read"):
        load_settings({"KEYHOUSE_CONFIG": str(tmp_path / "absent.yaml")}, {})


def test_anchors_and_merge_keys_work(load: Load) -> None:
    settings = load(
        """
model_list:
  - model_name: a
    litellm_params: &shared
      model: openai/a
      api_base: https://x.test/v1
  - model_name: b
    litellm_params:
      <<: *shared
      model: openai/b
"""
    )

    assert [(entry.upstream_model, entry.api_base) for entry in settings.model_entries] == [
        ("a", "https://x.test/v1"),
        ("b", "https://x.test/v1"),
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "model_list:\n", "general_settings:\nmodel_list: []\n"])
def test_an_empty_file_or_section_says_nothing(load: Load, text: str) -> None:
    assert load(text).model_entries == ()


@pytest.mark.parametrize(
    "text",
    ["a: &x [*x]", "model_list: &x [*x]", "general_settings: &x {<<: *x}", HEADERS_IN_THEMSELVES, "\x00", "\x80"],
)
def test_no_file_makes_the_reader_fail_otherwise_than_with_a_settings_error(load: Load, text: str) -> None:
    with pytest.raises(SettingsError):
        load(text)


def test_a_price_of_searches_is_that_of_the_middle_size(load: Load) -> None:
    entry = load(
        """
model_list:
  - model_name: m
    litellm_params: {model: openai/m}
    model_info:
      search_context_cost_per_query:
        {search_context_size_low: 0.01, search_context_size_medium: 0.02, search_context_size_high: 0.03}
"""
    ).model_entries[0]

    assert entry.prices == {"search_context_cost_per_query": Decimal("0.02")}


def test_an_entry_for_any_provider_and_one_by_custom_provider(load: Load) -> None:
    any_provider, custom = load(
        """
model_list:
  - {model_name: "*", litellm_params: {model: "*"}}
  - {model_name: c, litellm_params: {model: org/c, custom_llm_provider: openai, api_base: "https://x.test"}}
"""
    ).model_entries

    assert (any_provider.provider, any_provider.upstream_model) == ("*", "*")
    assert (custom.provider, custom.upstream_model) == ("openai", "org/c")


def test_discounts_and_margins_are_read_as_exact_shares(load: Load) -> None:
    settings = load(
        "litellm_settings:\n"
        "  cost_discount_config: {openai: 0.05, anthropic: 1e-9}\n"
        "  cost_margin_config: {global: 1.5, openai: {percentage: 0.08, fixed_amount: 0.0005}, "
        "gemini: {fixed_amount: 1}}"
    )

    assert settings.price_terms == {
        "openai": Terms(50_000_000, 80_000_000, 500_000),
        "anthropic": Terms(1),
        "gemini": Terms(0, 0, 1_000_000_000),
        "*": Terms(0, 1_500_000_000),
    }


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{openai: 11}", 'openai is "11", which is not a fraction from 0 to 10 of at most nine decimals'),
        ("{openai: 0.0000000001}", 'openai is "0.0000000001", which is not a fraction from 0 to 10'),
        ("{openai: {fixed_amount: -1}}", 'openai.fixed_amount is "-1", which is not an amount from 0 to 1000 dollars'),
        ("{opnai: 0.1}", 'provider "opnai" is not known; did you mean "openai"'),
        ("{openai: {percent: 1}}", "percent"),
    ],
)
def test_a_margin_that_cannot_be_is_said(load: Load, written: str, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        load(f"litellm_settings: {{cost_margin_config: {written}}}")


def test_budgets_of_the_whole_platform_and_of_customers_are_read(load: Load) -> None:
    settings = load(
        "litellm_settings: {max_budget: 25000.5, budget_duration: 30d, max_end_user_budget: 0.25, "
        "max_end_user_budget_id: silver}"
    )
    assert (settings.max_budget_nanousd, settings.budget_duration) == (25_000_500_000_000, "30d")
    assert (settings.max_customer_budget_nanousd, settings.max_customer_budget_id) == (250_000_000, "silver")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("litellm_settings: {budget_duration: 30d}", '"budget_duration" is of "max_budget"'),
        ("litellm_settings: {max_budget: 5, budget_duration: 30 days}", 'such as "30d"'),
        ("litellm_settings: {max_budget: lots}", "an amount in dollars"),
        ("litellm_settings: {max_budget: -1}", "an amount in dollars"),
        ("litellm_settings: {max_budget: 9000001}", "an amount in dollars"),
    ],
)
def test_a_budget_of_the_file_that_cannot_be_is_named(load: Load, text: str, said: str) -> None:
    assert said in problems(load, text)[0]


def test_the_cache_of_litellm_is_the_response_cache(load: Load) -> None:
    settings = load(
        "litellm_settings:\n  cache: true\n  cache_params:\n    type: redis\n    host: localhost\n    ttl: 120\n"
        "    mode: default_off\n    supported_call_types: [acompletion, aembedding, atranscription]"
    )

    assert (settings.response_cache, settings.response_cache_ttl_s) == ("opt_in", 120)
    assert settings.response_cache_call_types == ("acompletion", "aembedding")
    assert any("cache_params.host is LiteLLM's" in notice for notice in settings.notices)
    assert load("litellm_settings: {cache: true}").response_cache == "on"
    assert load("litellm_settings: {cache: false, cache_params: {ttl: 5}}").response_cache == "off"
    assert problems(load, "response_cache_call_types: [chatter]")[0].startswith(
        'response_cache_call_types: "chatter" is no kind of call; known are: '
    )


def test_budgets_of_providers_are_read_and_a_slip_is_named(load: Load) -> None:
    config = "router_settings: {provider_budget_config: {openai: {budget_limit: %s, time_period: 1d}, bedrock: {%s}}}"
    settings = load(config % ("0.5", "budget_limit: 3"))
    assert settings.provider_budgets == {"openai": (500_000_000, "1d"), "bedrock": (3_000_000_000, None)}
    assert 'of "bedrock" needs a budget_limit' in problems(load, config % ("1", ""))[0]
    nobody = "router_settings: {provider_budget_config: {opnai: {budget_limit: 1}}}"
    assert '"opnai", which is no provider here' in problems(load, nobody)[0]
