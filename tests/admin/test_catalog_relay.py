"""Where a caller's own login may be sent: to Anthropic's own host, and where the operator says."""

from datetime import date
from pathlib import Path

import pytest

from app.admin.catalog import build_catalog
from app.providers.price_book import PriceBook
from app.settings import load_settings
from app.settings.errors import SettingsError
from tests.fakes.prices import bundled_prices

ENTRY = "model_list:\n  - {model_name: %s, litellm_params: {model: %s, api_key: sk-x%s}}\n"


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(bundled_prices(), date(2026, 11, 21))


@pytest.mark.parametrize(
    ("model", "more", "expected"),
    [
        ("anthropic/claude-sonnet-4-5", "", True),
        ("anthropic/claude-sonnet-4-5", ", api_base: 'https://API.anthropic.com:443/v1'", True),
        ("anthropic/claude-sonnet-4-5", ", api_base: 'http://api.anthropic.com'", False),
        ("anthropic/claude-sonnet-4-5", ", api_base: 'https://api.anthropic.com:8443'", False),
        ("anthropic/claude-sonnet-4-5", ", api_base: 'https://api.anthropic.com.example.org'", False),
        ("anthropic/claude-sonnet-4-5", ", api_base: 'https://api.anthropic.com@example.org'", False),
        ("anthropic/claude-sonnet-4-5", ", api_base: 'https://proxy.example.org', allow_relay: true", True),
        ("anthropic/claude-sonnet-4-5", ", allow_relay: false", False),
        ("openai/gpt-5", ", api_base: 'https://api.anthropic.com'", False),
        ("openai/gpt-5", ", allow_relay: false", False),
    ],
)
def test_a_login_goes_to_its_own_host_and_where_the_operator_says(
    book: PriceBook, tmp_path: Path, model: str, more: str, expected: bool
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(ENTRY % ("mine", model, more))
    found = build_catalog(load_settings({}, {"config_path": path}), book)[0].resolve("mine")
    assert found is not None
    assert [deployment.relays_logins for deployment in found.deployments] == [expected]


def test_what_a_wildcard_is_filled_in_with_is_as_the_wildcard(book: PriceBook, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(ENTRY % ("'anthropic/*'", "'anthropic/*'", ""))
    found = build_catalog(load_settings({}, {"config_path": path}), book)[0].resolve("anthropic/claude-of-tomorrow")
    assert found is not None
    assert found.deployments[0].relays_logins


def test_no_other_provider_may_be_opened_to_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(ENTRY % ("mine", "openai/gpt-5", ", allow_relay: true"))
    with pytest.raises(SettingsError, match='allow_relay is true on provider "openai"'):
        load_settings({}, {"config_path": path})
