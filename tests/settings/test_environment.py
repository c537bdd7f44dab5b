"""Settings from the environment and the command line."""

from pathlib import Path

import pytest

from app.base.secret import Secret
from app.domain.pricing import Terms
from app.settings import Settings, SettingsError, export_environment, load_settings
from app.settings.telemetry import read_otlp_headers


def refused(environ: dict[str, str], **overrides: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, overrides)
    return caught.value.message.splitlines()


def test_nothing_set_is_a_gateway_for_this_machine() -> None:
    settings = load_settings({}, {})

    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 4000, 1)
    assert settings.home == Path.home() / ".keyhouse"
    assert (settings.database_url, settings.redis_url, settings.master_key, settings.secret) == (None,) * 4
    assert (settings.unpriced_models, settings.model_list_format) == ("charge", "auto")
    assert settings.max_body_bytes == 67_108_864
    assert (settings.body_timeout_s, settings.ping_after_s, settings.lease_s) == (60, 15, 60)
    assert (settings.first_byte_timeout_s, settings.idle_timeout_s, settings.total_timeout_s) == (600, 300, 3600)
    assert (settings.model_entries, settings.credentials, settings.notices) == ((), {}, ())


def test_every_setting_can_be_given_in_the_environment() -> None:
    settings = load_settings(
        {
            "KEYHOUSE_HOST": "0.0.0.0",
            "KEYHOUSE_PORT": "8080",
            "KEYHOUSE_WORKERS": "2",
            "KEYHOUSE_HOME": "/var/lib/keyhouse",
            "DATABASE_URL": "postgresql://u:p@db/keyhouse",
            "REDIS_URL": "rediss://cache:6380/0",
            "KEYHOUSE_MASTER_KEY": "sk-master",
            "KEYHOUSE_SECRET": "pepper",
            "KEYHOUSE_UNPRICED_MODELS": "refuse",
            "KEYHOUSE_MODEL_LIST_FORMAT": "anthropic",
            "KEYHOUSE_BUDGET_EXCEEDED_STATUS": "422",
            "KEYHOUSE_DEMO_MODELS": "false",
            "KEYHOUSE_ALLOWED_UPSTREAMS": "10.0.0.0/8, models.internal,",
            "KEYHOUSE_TRUSTED_PROXIES": "10.1.0.0/16, ::1",
            "KEYHOUSE_LOG_FORMAT": "text",
            "PATH": "/usr/bin",
        },
        {},
    )

    assert (settings.host, settings.port, settings.workers) == ("0.0.0.0", 8080, 2)
    assert settings.home == Path("/var/lib/keyhouse")
    assert settings.database_url == Secret("postgresql://u:p@db/keyhouse")
    assert settings.redis_url == Secret("rediss://cache:6380/0")
    assert (settings.master_key, settings.secret) == (Secret("sk-master"), Secret("pepper"))
    assert (settings.unpriced_models, settings.model_list_format) == ("refuse", "anthropic")
    assert (settings.budget_exceeded_status, settings.demo_models) == (422, False)
    assert settings.allowed_upstreams == ("10.0.0.0/8", "models.internal")
    assert settings.trusted_proxies == ("10.1.0.0/16", "::1")
    assert settings.log_format == "text"


def test_the_command_line_comes_before_the_environment() -> None:
    settings = load_settings({"KEYHOUSE_PORT": "8080", "KEYHOUSE_HOST": "h"}, {"port": 9, "host": None})

    assert (settings.port, settings.host) == (9, "h")


def test_litellms_name_of_the_master_key_is_understood_and_ours_comes_first() -> None:
    both = {"LITELLM_MASTER_KEY": "sk-theirs", "KEYHOUSE_MASTER_KEY": "sk-ours"}

    assert load_settings({"LITELLM_MASTER_KEY": "sk-theirs"}, {}).master_key == Secret("sk-theirs")
    assert load_settings(both, {}).master_key == Secret("sk-ours")


def test_an_empty_variable_is_not_set() -> None:
    settings = load_settings({"KEYHOUSE_PORT": "", "ANTHROPIC_API_KEY": " ", "DATABASE_URL": ""}, {})

    assert (settings.port, settings.credentials, settings.database_url) == (4000, {}, None)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("KEYHOUSE_PORT", "abc", 'KEYHOUSE_PORT: "abc" is not a whole number from 0 to 65535'),
        ("KEYHOUSE_PORT", "65536", 'KEYHOUSE_PORT: "65536" is not a whole number from 0 to 65535'),
        ("KEYHOUSE_PORT", "4e3", 'KEYHOUSE_PORT: "4e3" is not a whole number from 0 to 65535'),
        ("KEYHOUSE_WORKERS", "0", 'KEYHOUSE_WORKERS: "0" is not a whole number from 1 to 64'),
        ("KEYHOUSE_BODY_TIMEOUT_S", "1.5", 'KEYHOUSE_BODY_TIMEOUT_S: "1.5" is not a whole number of at least 1'),
        ("KEYHOUSE_DEMO_MODELS", "perhaps", 'KEYHOUSE_DEMO_MODELS: "perhaps" is not true or false'),
        ("KEYHOUSE_UNPRICED_MODELS", "free", 'KEYHOUSE_UNPRICED_MODELS: "free" is not one of "charge", "refuse"'),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL: its value does not begin with postgresql://"),
        ("REDIS_URL", "localhost", "REDIS_URL: its value does not begin with redis:// or rediss://"),
        (
            "KEYHOUSE_MASTER_KEY",
            "hunter2",
            "KEYHOUSE_MASTER_KEY: its value is no key; it must begin with sk- and be plain ASCII",
        ),
        (
            "ANTHROPIC_BASE_URL",
            "api.anthropic.com",
            'the environment: ANTHROPIC_BASE_URL is "api.anthropic.com", which is not an http:// or https:// address',
        ),
        ("KEYHOUSE_PROT", "1", 'the environment: "KEYHOUSE_PROT" is not a setting; did you mean "KEYHOUSE_PORT"'),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(variable: str, value: str, sentence: str) -> None:
    assert refused({variable: value})[0].startswith(sentence)


def test_all_problems_are_told_at_once() -> None:
    assert len(refused({"KEYHOUSE_PORT": "x", "KEYHOUSE_WORKERS": "y", "KEYHOUSE_NONSENSE": "z"})) == 3


def test_no_message_shows_a_secret() -> None:
    lines = refused({"DATABASE_URL": "mysql://u:hidden@db", "KEYHOUSE_MASTER_KEY": "hidden-too"})

    assert "hidden" not in " ".join(lines)
    assert "hidden" not in repr(load_settings({"KEYHOUSE_SECRET": "hidden", "OPENAI_API_KEY": "hidden"}, {}))


def test_credentials_are_found_by_the_names_that_people_use() -> None:
    found = load_settings(
        {
            "ANTHROPIC_API_KEY": "sk-ant",
            "ANTHROPIC_API_BASE": "https://a.test",
            "ANTHROPIC_BASE_URL": "https://b.test",
            "OPENAI_BASE_URL": "https://o.test/v1",
            "HOSTED_VLLM_API_BASE": "http://127.0.0.1:8000",
        },
        {},
    ).credentials

    assert (found["anthropic"].api_key, found["anthropic"].api_base) == (Secret("sk-ant"), "https://a.test")
    assert (found["openai"].api_key, found["openai"].api_base) == (None, "https://o.test/v1")
    assert found["hosted_vllm"].api_base == "http://127.0.0.1:8000"


def test_the_switch_for_the_url_suffix_marks_the_base_as_final() -> None:
    environ = {"ANTHROPIC_BASE_URL": "https://a.test/x", "LITELLM_ANTHROPIC_DISABLE_URL_SUFFIX": "true"}

    assert load_settings(environ, {}).credentials["anthropic"].api_base == "https://a.test/x#unchanged"


def test_one_model_can_be_named_on_the_command_line() -> None:
    assert load_settings({}, {"model": "openai/gpt-5"}).model == "openai/gpt-5"
    assert load_settings({}, {"model": "gpt-5"}).model == "gpt-5"
    assert refused({}, model="llama-4")[0].startswith(
        '--model: "llama-4" is not provider/name with a provider of: anthropic'
    )
    assert refused({}, port="x") == ['--port: "x" is not a whole number from 0 to 65535']


@pytest.mark.parametrize("proxy", ["balancer", "10.0.0.1/8", "10.0.0.0/33", "**"])
def test_a_proxy_is_trusted_by_address_or_network_and_a_slip_is_said(proxy: str) -> None:
    assert refused({"KEYHOUSE_TRUSTED_PROXIES": f"127.0.0.1,{proxy}"}) == [
        f'KEYHOUSE_TRUSTED_PROXIES: "{proxy}" is no IP address, no network such as 10.0.0.0/8, and not *'
    ]


def test_worker_processes_come_to_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("litellm_settings: {cost_discount_config: {openai: 0.1}}\nport: 1\n")
    environ: dict[str, str] = {}
    monkeypatch.setattr("os.environ", environ)
    settings = load_settings(
        {
            "KEYHOUSE_ALLOWED_UPSTREAMS": "a,b",
            "KEYHOUSE_TRUSTED_PROXIES": "*",
            "KEYHOUSE_DEMO_MODELS": "true",
            "REDIS_URL": "redis://r",
        },
        {"config_path": file, "port": 2, "model": "demo/echo"},
    )

    export_environment(settings, {"FURTHER": "yes"})

    assert load_settings(environ, {}) == settings
    assert isinstance(settings, Settings)
    assert settings.price_terms == {"openai": Terms(100_000_000)}
    assert environ["FURTHER"] == "yes"


def test_a_collector_is_an_address_and_headers_as_opentelemetry_writes_them() -> None:
    told = {"KEYHOUSE_OTLP_ENDPOINT": "http://collector:4318", "KEYHOUSE_OTLP_HEADERS": "x-tenant=a%2Cb, x-key=secret"}
    settings = load_settings(told, {})
    assert settings.otlp_endpoint == "http://collector:4318"
    assert settings.otlp_headers is not None
    assert read_otlp_headers(settings.otlp_headers.reveal()) == ((b"x-tenant", b"a,b"), (b"x-key", b"secret"))
    assert refused({"KEYHOUSE_OTLP_ENDPOINT": "collector:4318"})[0].startswith('otlp_endpoint: "collector:4318"')
    for headers in ("secret", "a b=secret", "content-type=secret", "x=secret%0d%0a"):
        [told_of] = refused({**told, "KEYHOUSE_OTLP_HEADERS": headers})
        assert told_of.startswith("otlp_headers: ")
        assert headers not in told_of
