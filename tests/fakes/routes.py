"""Which answer of which provider a request gets."""

import json
from typing import Any, Protocol
from urllib.parse import unquote

from tests.fakes import anthropic_wire, gemini_wire, ollama_wire, openai_wire, responses_wire
from tests.fakes.answers import Answer, html_page, whole, written
from tests.fakes.anthropic_complete import answer_complete
from tests.fakes.recording import RecordedRequest
from tests.fakes.script import Script, UnknownWordError, script_of_prompt

ANTHROPIC_MODELS = ("claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5")
GEMINI_MODELS = ("gemini-2.5-pro", "gemini-2.5-flash")
OLLAMA_MODELS = ("llama3.2",)
OPENAI_MODELS = ("gpt-5", "gpt-5-mini", "text-embedding-3-small")


_POSTS = ("/messages", "/count_tokens", "/chat/completions", "/embeddings", "/responses")


class Wire(Protocol):
    """What the module of each provider offers."""

    __name__: str

    def answer_models(self, script: Script, request_id: str, names: tuple[str, ...]) -> Answer: ...
    def answer_error(self, script: Script, status: int, request_id: str, message: str) -> Answer: ...
    def error_event(self, status: int, message: str) -> bytes: ...
    def headers(self, script: Script, request_id: str) -> tuple[tuple[str, str], ...]: ...


MODELS = {
    anthropic_wire.__name__: ANTHROPIC_MODELS,
    openai_wire.__name__: OPENAI_MODELS,
    gemini_wire.__name__: GEMINI_MODELS,
    ollama_wire.__name__: OLLAMA_MODELS,
}


def wire_of(request: RecordedRequest) -> Wire:
    """OpenAI's paths are OpenAI's, and so on; elsewhere a path of Messages or `anthropic-version` decides."""
    if ":" in request.path.rpartition("/")[2] or request.path.startswith("/v1beta/"):
        return gemini_wire
    if request.path.endswith(("/api/chat", "/api/generate", "/api/embed", "/api/tags")):
        return ollama_wire
    is_openai = request.path.endswith(("/chat/completions", "/embeddings", "/responses"))
    if not is_openai and ("/messages" in request.path or request.header("anthropic-version") is not None):
        return anthropic_wire
    return openai_wire


def choose_script(request: RecordedRequest, default: Script) -> Script:
    """The default changed by the words of the prompt; a word not known is a 400 that names it."""
    try:
        return script_of_prompt(parse_body(request), default)
    except UnknownWordError as error:
        return Script(error=400, message=str(error))


def parse_body(request: RecordedRequest) -> Any:
    """The body as JSON, or None when it is not."""
    try:
        return json.loads(request.body)
    except ValueError:
        return None


def answer_of(request: RecordedRequest, script: Script, request_id: str) -> Answer:
    """The answer to one request, errors included; the hangs and cuts of the script are left to the connection."""
    wire = wire_of(request)
    if script.error and script.error_after is None:
        message = script.message or f"The fake provider was told to answer {script.error}."
        if script.html:
            return html_page(script.error)
        return wire.answer_error(script, script.error, request_id, message)
    if script.raw is not None:
        return written(script.raw, wire.headers(script, request_id))
    if request.method in ("GET", "HEAD") and request.path.endswith(("/models", "/api/tags")):
        return wire.answer_models(script, request_id, MODELS[wire.__name__])
    if request.method == "POST" and request.path.endswith("/v1/complete"):
        return answer_complete(script, parse_body(request), request_id)
    if request.method == "POST" and (wire in (gemini_wire, ollama_wire) or request.path.endswith(_POSTS)):
        return _answer_post(request, script, request_id)
    echo = {"method": request.method, "path": unquote(request.path), "query": request.query}
    return whole(200, wire.headers(script, request_id), echo)


def error_event(request: RecordedRequest, script: Script) -> bytes:
    """The event of an error in mid-stream."""
    wire = responses_wire if request.path.endswith("/responses") else wire_of(request)
    return wire.error_event(script.error or 529, script.message or "The fake provider failed in mid-stream.")


def _answer_post(request: RecordedRequest, script: Script, request_id: str) -> Answer:
    wire = wire_of(request)
    body = parse_body(request)
    if not isinstance(body, dict):
        return wire.answer_error(script, 400, request_id, "The request body is not a JSON object.")
    if wire is gemini_wire:
        if request.path.endswith(":countTokens"):
            return gemini_wire.answer_count_tokens(script, request_id)
        if request.path.endswith(":batchEmbedContents"):
            return gemini_wire.answer_embeddings(script, body, request_id)
        return gemini_wire.answer_generate(script, body, request.path, request_id)
    if wire is ollama_wire:
        if request.path.endswith("/api/embed"):
            return ollama_wire.answer_embeddings(script, body, request_id)
        return ollama_wire.answer_generation(script, body, request.path, request_id)
    return _answer_others(request, script, body, request_id)


def _answer_others(request: RecordedRequest, script: Script, body: dict[str, Any], request_id: str) -> Answer:
    if request.path.endswith("/responses"):
        return responses_wire.answer_responses(script, body, request_id)
    if request.path.endswith("/count_tokens"):
        return anthropic_wire.answer_count_tokens(script, request_id)
    if request.path.endswith("/messages"):
        return anthropic_wire.answer_messages(script, body, request_id)
    if request.path.endswith("/embeddings"):
        return openai_wire.answer_embeddings(script, body, request_id)
    return openai_wire.answer_chat(script, body, request_id)
