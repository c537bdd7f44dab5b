"""Where a call goes, however its base URL was written, and how the credential is sent."""

import pytest

from app.providers.host_table import HOSTS, family_of
from app.providers.hosts import endpoint_url
from app.providers.known_elsewhere import NOT_BUILT


@pytest.mark.parametrize(
    ("api_base", "path", "url"),
    [
        ("https://x", "/v1/messages", "https://x/v1/messages"),
        ("https://x/", "/v1/messages", "https://x/v1/messages"),
        ("https://x/api", "/v1/messages", "https://x/api/v1/messages"),
        ("https://x/v1", "/v1/messages", "https://x/v1/messages"),
        ("https://x/v1/", "/v1/messages", "https://x/v1/messages"),
        ("https://x/v1/messages", "/v1/messages", "https://x/v1/messages"),
        ("https://x/api/v1/messages", "/v1/messages/count_tokens", "https://x/api/v1/messages/count_tokens"),
        ("https://x/v1", "/v1/files", "https://x/v1/files"),
        ("https://x:8443/a/b", "/v1/messages/batches", "https://x:8443/a/b/v1/messages/batches"),
        ("https://x/own/path#unchanged", "/v1/messages", "https://x/own/path"),
        ("https://x/own/path#unchanged", "/v1/messages/count_tokens", "https://x/own/path/count_tokens"),
        ("https://x/v1/messages#unchanged", "/v1/files", "https://x/v1/files"),
    ],
)
def test_an_anthropic_base_may_stop_anywhere_before_the_call(api_base: str, path: str, url: str) -> None:
    assert endpoint_url(api_base, path) == url


@pytest.mark.parametrize(
    ("api_base", "path", "url"),
    [
        ("https://api.openai.com/v1", "/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://x", "/chat/completions", "https://x/v1/chat/completions"),
        ("https://x/", "/chat/completions", "https://x/v1/chat/completions"),
        ("https://x/v1/", "/chat/completions", "https://x/v1/chat/completions"),
        ("https://x/openai/v2", "/chat/completions", "https://x/openai/v2/chat/completions"),
        ("https://x/v1/chat/completions", "/chat/completions", "https://x/v1/chat/completions"),
        ("https://x/v1", "/v1/files", "https://x/v1/files"),
        ("http://127.0.0.1:8000", "/chat/completions", "http://127.0.0.1:8000/v1/chat/completions"),
    ],
)
def test_an_openai_base_ends_with_its_version(api_base: str, path: str, url: str) -> None:
    assert endpoint_url(api_base, path) == url


def test_credentials_are_sent_as_each_host_wants_them() -> None:
    assert HOSTS["anthropic"].credential_headers("k") == [(b"x-api-key", b"k")]
    assert HOSTS["openai"].credential_headers("k") == [(b"authorization", b"Bearer k")]


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("claude-opus-4-5", "anthropic"),
        ("gpt-5", "openai"),
        ("o1", "openai"),
        ("o4-mini", "openai"),
        ("chatgpt-4o-latest", "openai"),
        ("llama-3", None),
        ("", None),
    ],
)
def test_a_bare_name_belongs_to_the_one_maker_of_its_family(name: str, provider: str | None) -> None:
    assert family_of(name) == provider


def test_what_is_built_is_not_also_to_come() -> None:
    assert not HOSTS.keys() & NOT_BUILT


@pytest.mark.parametrize(
    ("provider", "model", "protocol"),
    [
        ("azure", "claude-sonnet-4-5", "anthropic_messages"),
        ("azure_ai", "claude-sonnet-4-5", "anthropic_messages"),
        ("azure_ai", "mistral-large", "openai_chat"),
        ("vertex_ai", "claude-sonnet-4-5@20250929", "anthropic_messages"),
        ("vertex_ai", "gemini-2.5-pro", "gemini"),
        ("vertex_ai", "meta/llama-4", "openai_chat"),
        ("anthropic", "claude-sonnet-4-5", "anthropic_messages"),
        ("openai", "gpt-5", "openai_chat"),
    ],
)
def test_a_chat_client_is_served_in_the_one_protocol_that_names_its_model(
    provider: str, model: str, protocol: str
) -> None:
    speech = HOSTS[provider].choose_speech("openai_chat", model, "https://x")
    assert speech is not None
    assert speech.protocol == protocol
