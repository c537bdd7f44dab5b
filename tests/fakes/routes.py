"""Which answer of which provider a request gets."""

import json
from typing import Any, Protocol
from urllib.parse import unquote

from tests.fakes import anthropic_wire, openai_wire
from tests.fakes.answers import Answer, html_page, whole
from tests.fakes.recording import RecordedRequest
from tests.fakes.script import Script, UnknownWordError, script_of_prompt

ANTHROPIC_MODELS = ("claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5")
OPENAI_MODELS = ("gpt-5", "gpt-5-mini", "text-embedding-3-small")


class Wire(Protocol):
    """What the module of each provider offers."""

    def answer_models(self, script: Script, request_id: str, names: tuple[str, ...]) -> Answer: ...
    def answer_error(self, script: Script, status: int, request_id: str, message: str) -> Answer: ...
    def error_event(self, status: int, message: str) -> bytes: ...
    def headers(self, script: Script, request_id: str) -> tuple[tuple[str, str], ...]: ...


def wire_of(request: RecordedRequest) -> Wire:
    """OpenAI's paths are OpenAI's; elsewhere a path of Messages or `anthropic-version` decides."""
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
    if request.method in ("GET", "HEAD") and request.path.endswith("/models"):
        names = ANTHROPIC_MODELS if wire is anthropic_wire else OPENAI_MODELS
        return wire.answer_models(script, request_id, names)
    if request.method == "POST" and request.path.endswith(
        ("/messages", "/count_tokens", "/chat/completions", "/embeddings")
    ):
        return _answer_post(request, script, request_id)
    echo = {"method": request.method, "path": unquote(request.path), "query": request.query}
    return whole(200, wire.headers(script, request_id), echo)


def error_event(request: RecordedRequest, script: Script) -> bytes:
    """The event of an error in mid-stream."""
    wire = wire_of(request)
    return wire.error_event(script.error or 529, script.message or "The fake provider failed in mid-stream.")


def _answer_post(request: RecordedRequest, script: Script, request_id: str) -> Answer:
    wire = wire_of(request)
    body = parse_body(request)
    if not isinstance(body, dict):
        return wire.answer_error(script, 400, request_id, "The request body is not a JSON object.")
    if request.path.endswith("/count_tokens"):
        return anthropic_wire.answer_count_tokens(script, request_id)
    if request.path.endswith("/messages"):
        return anthropic_wire.answer_messages(script, body, request_id)
    if request.path.endswith("/embeddings"):
        return openai_wire.answer_embeddings(script, body, request_id)
    return openai_wire.answer_chat(script, body, request_id)
