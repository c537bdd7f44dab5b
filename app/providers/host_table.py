"""The table of hosts: every provider by its name in ``provider/model``, as data."""

from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Dialect
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.ollama.dialect import OllamaDialect
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_completions.dialect import CompletionsDialect
from app.protocols.openai_responses.dialect import ResponsesDialect
from app.providers.hosts import Host, SideSpeech, Speech
from app.providers.provider import Header

_VERSION: tuple[Header, ...] = ((b"anthropic-version", b"2023-06-01"),)
_CLAUDE = ("*claude*",)
_OPENAI_EMBEDDINGS = SideSpeech("openai", "/embeddings")
_OPENAI_IMAGES = SideSpeech("openai", "/images/generations")


def _messages(dialect: Dialect | None = None) -> Speech:
    return Speech(
        "anthropic_messages",
        dialect or MessagesDialect(),
        "/v1/messages",
        count_path="/v1/messages/count_tokens",
    )


def _completions(issuer: str) -> Speech:
    return Speech("openai_completions", CompletionsDialect(issuer), "/completions", inventor_only=True)


def _compatible(
    name: str,
    display_name: str,
    default_base: str | None,
    dialect: ChatDialect,
    *,
    more_keys: tuple[str, ...] = (),
    version_path: str = "/v1",
    **more: object,
) -> Host:
    """A host of OpenAI's chat completions: its variables are called after it."""
    variable = name.upper()
    return Host(
        name,
        display_name,
        (
            Speech("openai_chat", dialect, "/chat/completions", version_path=version_path),
            _completions(dialect.issuer),
        ),
        default_base,
        key_variables=(f"{variable}_API_KEY", *more_keys),
        base_variables=(f"{variable}_API_BASE",),
        embeddings=_OPENAI_EMBEDDINGS,
        **more,  # type: ignore[arg-type]
    )


_ANTHROPIC = Host(
    "anthropic",
    "Anthropic",
    (_messages(),),
    "https://api.anthropic.com",
    key_variables=("ANTHROPIC_API_KEY",),
    base_variables=("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    credential="x-api-key",
    families=("claude-*",),
    default_headers=_VERSION,
    price_list="anthropic",
)
_CLAUDE_CODE_NATIVE = Host(
    "claude_code_native",
    "Claude Code (personal token)",
    (
        _messages(
            MessagesDialect(
                betas=("oauth-2025-04-20",),
                system_head="You are Claude Code, Anthropic's official CLI for Claude.",
            )
        ),
    ),
    "https://api.anthropic.com",
    key_variables=("CLAUDE_CODE_API_KEY",),
    base_variables=("CLAUDE_CODE_API_BASE",),
    credential="bearer",
    default_headers=_VERSION,
    options={"owner_user_id": ()},
    price_list="anthropic",
)
_OPENAI = Host(
    "openai",
    "OpenAI",
    (
        Speech("openai_responses", ResponsesDialect(), "/responses", inventor_only=True),
        Speech(
            "openai_chat", ChatDialect(max_tokens_field="max_completion_tokens", documents=True), "/chat/completions"
        ),
        _completions("openai"),
    ),
    "https://api.openai.com/v1",
    key_variables=("OPENAI_API_KEY",),
    base_variables=("OPENAI_API_BASE", "OPENAI_BASE_URL"),
    families=("gpt-*", "chatgpt-*", "o1*", "o3*", "o4*"),
    embeddings=_OPENAI_EMBEDDINGS,
    images=_OPENAI_IMAGES,
    price_list="openai",
)
_GEMINI = Host(
    "gemini",
    "Google Gemini",
    (
        Speech(
            "gemini",
            GeminiDialect(),
            "/v1beta/models/{model}:generateContent",
            stream_path="/v1beta/models/{model}:streamGenerateContent?alt=sse",
            count_path="/v1beta/models/{model}:countTokens",
            version_path="/v1beta",
        ),
    ),
    "https://generativelanguage.googleapis.com",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    base_variables=("GEMINI_API_BASE",),
    credential="x-goog-api-key",
    families=("gemini-*",),
    embeddings=SideSpeech("gemini", "/v1beta/models/{model}:batchEmbedContents", version_path="/v1beta"),
    price_list="google",
)
_VERTEX_MODEL = "/v1/projects/{vertex_project}/locations/{vertex_location}/publishers/%s/models/{model}"
_VERTEX = Host(
    "vertex_ai",
    "Google Vertex AI",
    (
        Speech(
            "anthropic_messages",
            MessagesDialect(version_in_body="vertex-2023-10-16"),
            _VERTEX_MODEL % "anthropic" + ":rawPredict",
            stream_path=_VERTEX_MODEL % "anthropic" + ":streamRawPredict",
            models=_CLAUDE,
        ),
        Speech(
            "gemini",
            GeminiDialect(vertex=True),
            _VERTEX_MODEL % "google" + ":generateContent",
            stream_path=_VERTEX_MODEL % "google" + ":streamGenerateContent?alt=sse",
            count_path=_VERTEX_MODEL % "google" + ":countTokens",
            models=("gemini*", "gemma*"),
        ),
        Speech(
            "openai_chat",
            ChatDialect(issuer="vertex_ai"),
            "/v1/projects/{vertex_project}/locations/{vertex_location}/endpoints/openapi/chat/completions",
        ),
    ),
    "https://{vertex_location}-aiplatform.googleapis.com",
    base_variables=("VERTEXAI_API_BASE",),
    credential="signed",
    needs_key=False,
    options={
        "vertex_project": ("VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT"),
        "vertex_location": ("VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION"),
        "vertex_credentials": ("GOOGLE_APPLICATION_CREDENTIALS",),
    },
    option_defaults={"vertex_location": "us-central1"},
    needed_options=("vertex_project",),
    price_list="google",
)
_BEDROCK = Host(
    "bedrock",
    "Amazon Bedrock",
    (
        Speech(
            "anthropic_messages",
            MessagesDialect(version_in_body="bedrock-2023-05-31", betas_in_body=True, stream_in_body=False),
            "/model/{model}/invoke",
            stream_path="/model/{model}/invoke-with-response-stream",
            version_path="/model",
            models=_CLAUDE,
        ),
        Speech(
            "openai_chat",
            ChatDialect(issuer="bedrock"),
            "/openai/v1/chat/completions",
            version_path="/openai/v1",
            models=("openai.*",),
        ),
    ),
    "https://bedrock-runtime.{aws_region_name}.amazonaws.com",
    base_variables=("AWS_BEDROCK_RUNTIME_ENDPOINT",),
    credential="signed",
    needs_key=False,
    options={
        "aws_region_name": ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"),
        "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
        "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "aws_session_token": ("AWS_SESSION_TOKEN",),
        "aws_bearer_token": ("AWS_BEARER_TOKEN_BEDROCK",),
    },
    needed_options=("aws_region_name",),
    price_list="aws",
)
_AZURE_OPTIONS = {
    "api_version": ("AZURE_API_VERSION",),
    "azure_ad_token": ("AZURE_AD_TOKEN",),
    "tenant_id": ("AZURE_TENANT_ID",),
    "client_id": ("AZURE_CLIENT_ID",),
    "client_secret": ("AZURE_CLIENT_SECRET",),
}
_FOUNDRY_CLAUDE = Speech(
    "anthropic_messages",
    MessagesDialect(),
    "/anthropic/v1/messages",
    count_path="/anthropic/v1/messages/count_tokens",
    version_path="/anthropic",
    models=_CLAUDE,
)
_AZURE = Host(
    "azure",
    "Azure OpenAI",
    (
        _FOUNDRY_CLAUDE,
        Speech(
            "openai_chat",
            ChatDialect(max_tokens_field="max_completion_tokens"),
            "/openai/deployments/{model}/chat/completions?api-version={api_version}",
            version_path="/openai",
        ),
    ),
    None,
    key_variables=("AZURE_API_KEY",),
    base_variables=("AZURE_API_BASE",),
    credential="azure",
    needs_key=False,
    default_headers=_VERSION,
    options=_AZURE_OPTIONS,
    option_defaults={"api_version": "2024-10-21"},
    embeddings=SideSpeech("openai", "/openai/deployments/{model}/embeddings?api-version={api_version}", "/openai"),
    images=SideSpeech("openai", "/openai/deployments/{model}/images/generations?api-version={api_version}", "/openai"),
    price_list="azure",
)
_AZURE_AI = Host(
    "azure_ai",
    "Azure AI Foundry",
    (
        _FOUNDRY_CLAUDE,
        Speech(
            "openai_chat",
            ChatDialect(issuer="azure_ai"),
            "/models/chat/completions?api-version={api_version}",
            version_path="/models",
        ),
    ),
    None,
    key_variables=("AZURE_AI_API_KEY",),
    base_variables=("AZURE_AI_API_BASE",),
    credential="azure",
    needs_key=False,
    default_headers=_VERSION,
    options=_AZURE_OPTIONS,
    option_defaults={"api_version": "2024-05-01-preview"},
    price_list="azure",
)
_DEEPSEEK = _compatible(
    "deepseek",
    "DeepSeek",
    "https://api.deepseek.com",
    ChatDialect(
        issuer="deepseek", reasoning="switch", takes_thoughts=True, json_schema=False, strict_tools=False, images=False,
        parallel_tool_calls=False, seed=False,
    ),
    version_path="",
    price_list="deepseek",
)  # fmt: skip
_OPENROUTER = _compatible(
    "openrouter",
    "OpenRouter",
    "https://openrouter.ai/api/v1",
    ChatDialect(
        issuer="openrouter", reasoning="object", thoughts_field="reasoning", takes_thoughts=True, top_k=True,
        cache_marks=True, documents=True,
        own_fields=frozenset({"transforms", "models", "route", "provider", "plugins", "usage", "min_p", "top_a",
                              "repetition_penalty", "preset"}),
    ),
    price_list="openrouter",
    tells_cost=True,
    header_variables={"OR_SITE_URL": "HTTP-Referer", "OR_APP_NAME": "X-Title"},
    images=SideSpeech("openrouter", "/chat/completions"),
)  # fmt: skip


def _ollama(name: str, display_name: str, *, generate: bool) -> Host:
    return Host(
        name,
        display_name,
        (
            Speech(
                "ollama",
                OllamaDialect(generate=generate),
                "/api/generate" if generate else "/api/chat",
                version_path="/api",
            ),
        ),
        "http://localhost:11434",
        key_variables=("OLLAMA_API_KEY",),
        base_variables=("OLLAMA_API_BASE",),
        needs_key=False,
        local=True,
        embeddings=SideSpeech("ollama", "/api/embed", "/api"),
    )


_DEMO = Host("demo", "Demo", (_messages(),), "demo://demo", credential="x-api-key", needs_key=False)

HOSTS: dict[str, Host] = {
    host.name: host
    for host in (
        _ANTHROPIC,
        _CLAUDE_CODE_NATIVE,
        _OPENAI,
        _DEEPSEEK,
        _ollama("ollama", "Ollama", generate=True),
        _ollama("ollama_chat", "Ollama (chat)", generate=False),
        _OPENROUTER,
        _GEMINI,
        _AZURE,
        _AZURE_AI,
        _VERTEX,
        _BEDROCK,
        _compatible(
            "cohere",
            "Cohere",
            "https://api.cohere.ai/compatibility/v1",
            ChatDialect(issuer="cohere", reasoning="effort", strict_tools=False, parallel_tool_calls=False, user=False),
            more_keys=("CO_API_KEY",),
            price_list="cohere",
        ),
        _compatible(
            "mistral",
            "Mistral",
            "https://api.mistral.ai/v1",
            ChatDialect(issuer="mistral", reasoning="none", stream_usage=False, user=False),
            price_list="mistral",
        ),
        _compatible(
            "groq",
            "Groq",
            "https://api.groq.com/openai/v1",
            ChatDialect(issuer="groq", thoughts_field="reasoning", max_tokens_field="max_completion_tokens"),
            price_list="groq",
        ),
        _compatible("xai", "xAI", "https://api.x.ai/v1", ChatDialect(issuer="xai"), price_list="x-ai"),
        _compatible(
            "together_ai",
            "Together AI",
            "https://api.together.xyz/v1",
            ChatDialect(issuer="together_ai", top_k=True, strict_tools=False),
            more_keys=("TOGETHERAI_API_KEY", "TOGETHER_API_KEY"),
            price_list="together",
        ),
        _compatible(
            "fireworks_ai",
            "Fireworks AI",
            "https://api.fireworks.ai/inference/v1",
            ChatDialect(issuer="fireworks_ai", top_k=True, strict_tools=False),
            more_keys=("FIREWORKS_API_KEY",),
            price_list="fireworks",
        ),
        _compatible(
            "perplexity",
            "Perplexity",
            "https://api.perplexity.ai",
            ChatDialect(issuer="perplexity", top_k=True, strict_tools=False, seed=False),
            version_path="",
            more_keys=("PERPLEXITYAI_API_KEY",),
            price_list="perplexity",
        ),
        _compatible(
            "openai_compatible", "OpenAI-compatible", None, ChatDialect(issuer="openai_compatible"), needs_key=False
        ),
        _compatible(
            "hosted_vllm", "vLLM", None, ChatDialect(issuer="hosted_vllm", top_k=True), needs_key=False, local=True
        ),
        _compatible(
            "lm_studio", "LM Studio", None, ChatDialect(issuer="lm_studio", top_k=True), needs_key=False, local=True
        ),
        _DEMO,
    )
}


def family_of(bare_name: str) -> str | None:
    """The provider that alone serves models of that name (``claude-…``, ``gpt-…``), None when it is not clear."""
    for host in HOSTS.values():
        if any(bare_name.startswith(family.rstrip("*")) for family in host.families):
            return host.name
    return None
