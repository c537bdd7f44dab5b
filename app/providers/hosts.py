"""What a host of models is: where it is, which protocols it speaks, and how it is given its credential."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, urlsplit

from app.base.secret import Secret
from app.protocols.codec import Dialect
from app.providers.provider import Header

ProtocolName = Literal[
    "anthropic_messages", "openai_chat", "openai_responses", "openai_completions", "gemini", "ollama"
]
CredentialKind = Literal["x-api-key", "bearer", "azure", "x-goog-api-key", "signed"]

ANY_MODEL = ("*",)
PUBLIC_OPTIONS = frozenset(
    {
        "api_version", "aws_region_name", "client_id", "owner_user_id", "tenant_id", "vertex_location",
        "vertex_project",
    }
)  # fmt: skip
"""Those that say where and who, and open nothing; every other option of a host is taken for a secret."""
UNCHANGED = "#unchanged"
"""At the end of an ``api_base``: the URL of a generation call as it stands, nothing is appended to it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What the environment says of one provider; any of it may be missing."""

    api_key: Secret | None = None
    api_base: str | None = None
    options: Mapping[str, Secret] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Speech:
    """One protocol that a host speaks.

    ``path`` is that of a generation call, as the provider's reference writes it, with its query if it needs one;
    ``{model}`` and the host's options are filled in. ``stream_path`` and ``count_path`` (of a count of tokens, in the
    same protocol) where they differ, and exist. ``models`` are patterns of the host's model names that are served so.
    ``version_path`` is what a base URL may end with already. ``inventor_only``: a server of somebody else that is
    reached through this host's name is not expected to speak it, though a client of the protocol may try.
    """

    protocol: ProtocolName
    dialect: Dialect
    path: str
    stream_path: str | None = None
    count_path: str | None = None
    version_path: str = "/v1"
    models: tuple[str, ...] = ANY_MODEL
    inventor_only: bool = False

    def serves(self, upstream_model: str) -> bool:
        return self.models == ANY_MODEL or any(fnmatchcase(upstream_model, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class SideSpeech:
    """How a host takes embeddings or images. ``shape`` is whose: OpenAI's, or its own."""

    shape: Literal["openai", "ollama", "gemini", "cohere", "openrouter"]
    path: str
    version_path: str = "/v1"


@dataclass(frozen=True, slots=True)
class Host:
    """A provider by its name in ``provider/model``.

    ``speaks`` is ordered: what the host speaks best comes first. ``families`` are the bare names that nobody else
    serves. ``local`` hosts cost nothing. ``default_headers`` are what the host demands, sent where the caller has
    left them out. ``options`` are LiteLLM's further parameters of a deployment with the variables that may give
    them, ``option_defaults`` what holds without; ``needed_options`` have none. ``header_variables`` are headers whose
    values come from the environment. ``price_list`` names the bundled list of prices; ``tells_cost``: what the host
    says that a call cost is what it cost, unless the operator has written a price.
    """

    name: str
    display_name: str
    speaks: tuple[Speech, ...]
    default_base: str | None
    key_variables: tuple[str, ...] = ()
    base_variables: tuple[str, ...] = ()
    credential: CredentialKind = "bearer"
    needs_key: bool = True
    families: tuple[str, ...] = ()
    local: bool = False
    default_headers: tuple[Header, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    option_defaults: Mapping[str, str] = field(default_factory=dict)
    needed_options: tuple[str, ...] = ()
    header_variables: Mapping[str, str] = field(default_factory=dict)
    embeddings: SideSpeech | None = None
    images: SideSpeech | None = None
    price_list: str | None = None
    tells_cost: bool = False

    @property
    def secret_options(self) -> frozenset[str]:
        """The options that are credentials, and never shown."""
        return frozenset(self.options) - PUBLIC_OPTIONS

    @property
    def protocols(self) -> tuple[ProtocolName, ...]:
        return tuple(speech.protocol for speech in self.speaks)

    def credential_headers(self, api_key: str) -> list[Header]:
        key = api_key.encode()
        match self.credential:
            case "x-api-key":
                return [(b"x-api-key", key)]
            case "bearer":
                return [(b"authorization", b"Bearer " + key)]
            case "x-goog-api-key":
                return [(b"x-goog-api-key", key)]
            case "azure":
                # OpenAI's models are asked with the one, Anthropic's with the other.
                return [(b"api-key", key), (b"x-api-key", key)]
            case "signed":
                return []

    def choose_speech(
        self, wanted: str, upstream_model: str, api_base: str, preferred: str | None = None
    ) -> Speech | None:
        """The protocol in which to ask for a model: the client's own where the host speaks it, else the one that the
        operator prefers, else the host's best. None when the host serves no such model.

        A model that one of its protocols names is served in no other: Azure's Claude answers no chat completions.
        """
        serving = [speech for speech in self.speaks if speech.serves(upstream_model)]
        spoken = [speech for speech in serving if speech.models != ANY_MODEL] or serving
        for protocol in (wanted, preferred):
            for speech in spoken:
                if speech.protocol == protocol:
                    return speech
        own = self.default_base is None or urlsplit(api_base).hostname == urlsplit(self.default_base).hostname
        return next((speech for speech in spoken if own or not speech.inventor_only), None)


def generation_path(speech: Speech, upstream_model: str, options: Mapping[str, Secret], *, stream: bool) -> str:
    """The path of a generation call, filled in."""
    path = speech.stream_path if stream and speech.stream_path is not None else speech.path
    return filled(path, upstream_model, options)


def filled(path: str, upstream_model: str, options: Mapping[str, Secret]) -> str:
    """``path`` with the model's name and the deployment's options in their places."""
    if "{" not in path:
        return path
    values = {name: quote(option.reveal(), safe="") for name, option in options.items()}
    return path.format_map({**values, "model": quote(upstream_model, safe="")})


@lru_cache(maxsize=1024)
def endpoint_url(api_base: str, path: str, version_path: str = "/v1") -> str:
    """The URL of ``path`` (as the provider's own reference writes it) at ``api_base``, however the base was written.

    The base may stop before the version (``https://x``, ``https://x/api``), after it (``/v1``), or name a generation
    call itself (``/v1/messages``). A base ending in ``#unchanged`` is that call's URL, whatever its form.
    """
    bare, question, query = path.partition("?")
    if not bare.startswith("/"):
        bare = "/" + bare
    return _join(api_base, bare, version_path) + question + query


_CALLS = ("/messages", "/chat/completions", "/responses", "/completions", "/api/chat", "/api/generate")
"""What a base URL may end with though it should not: the call that its writer had in mind."""


def _join(api_base: str, path: str, version_path: str) -> str:
    if api_base.endswith(UNCHANGED):
        return _join_unchanged(api_base.removesuffix(UNCHANGED), path)
    base = api_base.rstrip("/")
    for call in _CALLS:
        if base.endswith(call):
            base = base.removesuffix(call).rstrip("/")
            break
    if path.startswith(version_path + "/"):  # the path brings the version
        return base.removesuffix(version_path) + path
    if not urlsplit(base).path:
        return base + version_path + path
    return base + path


def _join_unchanged(base: str, path: str) -> str:
    """``base`` is the URL of the generation call; what is below it goes below, what is beside it beside."""
    for call in ("/v1/messages", "/chat/completions"):
        if path.startswith(call):
            return base + path.removeprefix(call)
    return base.removesuffix("/v1/messages").removesuffix("/chat/completions") + path
