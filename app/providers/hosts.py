"""The table of hosts: where each provider is, what it speaks, and how it is given its credential."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from app.base.secret import Secret
from app.providers.provider import Header

ProtocolName = Literal["anthropic_messages", "openai_chat"]

UNCHANGED = "#unchanged"
"""At the end of an ``api_base``: the URL of a generation call as it stands, nothing is appended to it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What the environment says of one provider; either may be missing."""

    api_key: Secret | None = None
    api_base: str | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """A provider by its name in ``provider/model``.

    ``generation_path`` is the one call that every base URL leads to; it begins with ``version_path`` where the base
    is written without it. ``families`` are the bare names that nobody else serves. ``local`` hosts cost nothing.
    ``default_headers`` are what the host demands, sent where the caller has left them out.
    """

    name: str
    display_name: str
    protocols: tuple[ProtocolName, ...]
    default_base: str | None
    generation_path: str
    version_path: str
    key_variables: tuple[str, ...] = ()
    base_variables: tuple[str, ...] = ()
    credential: Literal["x-api-key", "bearer"] = "bearer"
    needs_key: bool = True
    families: tuple[str, ...] = ()
    local: bool = False
    default_headers: tuple[Header, ...] = ()

    def credential_header(self, api_key: str) -> Header:
        if self.credential == "x-api-key":
            return (b"x-api-key", api_key.encode())
        return (b"authorization", b"Bearer " + api_key.encode())


def _openai_like(name: str, display_name: str, *, local: bool, default_base: str | None = None) -> Host:
    variable = name.upper()
    return Host(
        name,
        display_name,
        ("openai_chat",),
        default_base,
        "/chat/completions",
        "/v1",
        (f"{variable}_API_KEY",),
        (f"{variable}_API_BASE",),
        needs_key=False,
        local=local,
    )


_ANTHROPIC = Host(
    "anthropic",
    "Anthropic",
    ("anthropic_messages",),
    "https://api.anthropic.com",
    "/v1/messages",
    "/v1",
    ("ANTHROPIC_API_KEY",),
    ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    credential="x-api-key",
    families=("claude-*",),
    default_headers=((b"anthropic-version", b"2023-06-01"),),
)
_OPENAI = Host(
    "openai",
    "OpenAI",
    ("openai_chat",),
    "https://api.openai.com/v1",
    "/chat/completions",
    "/v1",
    ("OPENAI_API_KEY",),
    ("OPENAI_API_BASE", "OPENAI_BASE_URL"),
    families=("gpt-*", "chatgpt-*", "o1*", "o3*", "o4*"),
)
_DEMO = Host(
    "demo",
    "Demo",
    ("anthropic_messages",),
    "demo://demo",
    "/v1/messages",
    "/v1",
    credential="x-api-key",
    needs_key=False,
)

HOSTS: dict[str, Host] = {
    host.name: host
    for host in (
        _ANTHROPIC,
        _OPENAI,
        _openai_like("openai_compatible", "OpenAI-compatible", local=False),
        _openai_like("hosted_vllm", "vLLM", local=True),
        _openai_like("lm_studio", "LM Studio", local=True),
        _DEMO,
    )
}

NOT_BUILT = frozenset(
    """
    a2a_agent ai21 ai21_chat aiml amazon_nova anthropic_text anyscale assemblyai auto_router aws_polly azure azure_ai
    azure_text baseten bedrock bedrock_converse bedrock_mantle black_forest_labs brave_search bytez cerebras chatgpt
    charity_engine clarifai claude_code_native cloudflare codestral cohere cohere_chat cometapi compactifai cursor
    custom custom_openai dashscope databricks datarobot deepgram deepinfra deepseek docker_model_runner dotprompt
    elevenlabs empower fal_ai featherless_ai fireworks_ai friendliai galadriel gdm gemini gigachat github
    github_copilot gradient_ai groq helicone heroku huggingface humanloop hyperbolic infinity jina_ai lambda_ai
    langfuse langgraph lemonade litellm_agent litellm_proxy llamafile llamagate manus maritalk meta_llama milvus
    minimax mistral moonshot morph nano-gpt nebius nlp_cloud novita nscale nvidia_nim nvidia_riva oci ollama
    ollama_chat oobabooga openai_like openrouter ovhcloud palm perplexity petals pg_vector poe predibase publicai
    ragflow recraft replicate runwayml s3_vectors sagemaker sagemaker_chat sagemaker_nova sambanova sap snowflake
    stability synthetic text-completion-codestral text-completion-openai together_ai topaz triton v0
    vercel_ai_gateway vertex_ai vertex_ai_beta vllm volcengine voyage wandb watsonx watsonx_text xai xiaomi_mimo
    xinference zai
    """.split()  # noqa: SIM905  a list of a hundred short words
)
"""Providers that LiteLLM knows, and ours that are to come: an entry that names one is left out with a notice."""


def family_of(bare_name: str) -> str | None:
    """The provider that alone serves models of that name (``claude-…``, ``gpt-…``), None when it is not clear."""
    for host in HOSTS.values():
        if any(bare_name.startswith(family.rstrip("*")) for family in host.families):
            return host.name
    return None


def endpoint_url(host: Host, api_base: str, path: str) -> str:
    """The URL of ``path`` (as the provider's own reference writes it) at ``api_base``, however the base was written.

    The base may stop before the version (``https://x``, ``https://x/api``), after it (``/v1``), or name the
    generation call itself (``/v1/messages``). A base ending in ``#unchanged`` is that call's URL, whatever its form.
    """
    if api_base.endswith(UNCHANGED):
        base = api_base.removesuffix(UNCHANGED)
        if path.startswith(host.generation_path):
            return base + path.removeprefix(host.generation_path)
        return base.removesuffix(host.generation_path) + path
    base = _root(host, api_base)
    if not path.startswith("/"):
        path = "/" + path
    if host.generation_path.startswith(host.version_path + "/"):
        return base.removesuffix(host.version_path) + path  # the path brings the version
    return base + path.removeprefix(host.version_path)


def _root(host: Host, api_base: str) -> str:
    base = api_base.rstrip("/").removesuffix(host.generation_path).rstrip("/")
    if not urlsplit(base).path and not host.generation_path.startswith(host.version_path):
        return base + host.version_path
    return base
