"""OpenAI's own client is the judge of what we write, and of what it writes to us."""

import httpx2
import openai
import pytest

from app.base.errors import RateLimited
from app.domain.usage import Usage
from app.protocols.codec import Asked
from app.protocols.conversation import Conversation, Text, Thinking, Turn
from app.protocols.events import Generation, unfold
from tests.protocols.openai_completions.builders import COMPLETIONS

GENERATION = Generation(
    "msg_1", "claude", (Thinking("Hm."), Text("This is "), Text("indéed.")), "length", Usage(input=7, output=9)
)


class _Gateway(httpx2.BaseTransport):
    """Answers with GENERATION, as the codec writes it."""

    def __init__(self) -> None:
        self.asked: list[Conversation] = []
        self.fails = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        envelope = COMPLETIONS.read_envelope(request.read())
        self.asked.append(COMPLETIONS.parse_request(envelope, ()))
        asked = Asked(envelope, envelope.model, "req_1", 1_700_000_000)
        if self.fails:
            error = COMPLETIONS.render_error(RateLimited("slowly"), "req_1")
            return httpx2.Response(error.status, headers=list(error.headers), content=error.body)
        if not envelope.stream:
            body, kind = COMPLETIONS.render_response(GENERATION, asked), b"application/json"
        else:
            renderer = COMPLETIONS.stream_renderer(asked)
            frames = [renderer.feed(event) for event in unfold(GENERATION)]
            body, kind = COMPLETIONS.ping.join([b"", *frames]), COMPLETIONS.stream_type
        return httpx2.Response(200, headers=[(b"content-type", kind)], content=body)


@pytest.fixture
def gateway() -> _Gateway:
    return _Gateway()


@pytest.fixture
def client(gateway: _Gateway) -> openai.OpenAI:
    http_client = openai.DefaultHttpxClient(transport=gateway)
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http_client, max_retries=0)


def test_a_completion(client: openai.OpenAI, gateway: _Gateway) -> None:
    answer = client.completions.create(model="m", prompt="Say", max_tokens=5, suffix="!", stop=["x"])
    assert (answer.id, answer.object, answer.model) == ("cmpl-msg_1", "text_completion", "m")
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("This is indéed.", "length")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 9, 16)
    assert gateway.asked[0].turns == (Turn("user", (Text("Say"),)),)
    assert gateway.asked[0].extras == {"suffix": '"!"'}


def test_a_streamed_completion(client: openai.OpenAI) -> None:
    chunks = list(
        client.completions.create(model="m", prompt="Say", stream=True, stream_options={"include_usage": True})
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "This is indéed."
    assert {chunk.id for chunk in chunks} == {"cmpl-msg_1"}
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 16


def test_an_error(client: openai.OpenAI, gateway: _Gateway) -> None:
    gateway.fails = True
    with pytest.raises(openai.RateLimitError, match="slowly"):
        client.completions.create(model="m", prompt="Say")
