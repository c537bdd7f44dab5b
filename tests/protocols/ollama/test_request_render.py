"""What a host that is Ollama is asked."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Audio,
    Base64Source,
    CacheMark,
    Conversation,
    Document,
    Foreign,
    FunctionTool,
    HostedTool,
    Image,
    JsonFormat,
    McpServer,
    Reasoning,
    Refusal,
    Sampling,
    Text,
    TextSource,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    UrlSource,
    WebSearch,
)
from app.protocols.losses import Loss
from app.protocols.ollama.dialect import OllamaDialect
from app.protocols.opaque import Seal
from tests.protocols.ollama.builders import CHAT, GENERATE, OLLAMA, PNG, WITHOUT_TOOLS, rendered

HELLO = (Turn("user", (Text("Hello"),)),)
LOOK = FunctionTool("look", "Looks.", '{"type":"object","properties":{"at":{"type":"integer"}}}')


def conversation(*turns: Turn, **fields: Any) -> Conversation:
    return Conversation(fields.pop("model", "llama3.2"), turns or HELLO, **fields)


def losses_of(asked: Conversation, dialect: OllamaDialect = CHAT) -> set[tuple[str, str]]:
    return {(loss.severity, loss.field) for loss in OLLAMA.render_request(asked, dialect).losses}


def test_stream_is_always_said() -> None:
    assert rendered(conversation()) == {
        "model": "llama3.2",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": False,
    }
    assert rendered(conversation(stream=True))["stream"] is True


def test_a_tool_loop_has_objects_for_arguments_and_names_for_ids() -> None:
    body = rendered(
        conversation(
            Turn("user", (Text("Look."),)),
            Turn(
                "assistant",
                (Text("I "), Text("look."), ToolCall("a", "look", '{"at": 1}'), ToolCall("b", "hear", "{}")),
            ),
            Turn("user", (ToolResult("b", (Text("x"),), is_error=True), ToolResult("a"), Text("Go on."))),
            instructions=(Text("One."), Text("Two.")),
            tools=(LOOK, FunctionTool("hear")),
        )
    )
    assert body["messages"] == [
        {"role": "system", "content": "One.\n\nTwo."},
        {"role": "user", "content": "Look."},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"function": {"name": "look", "arguments": {"at": 1}}},
                {"function": {"name": "hear", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "Error: x", "tool_name": "hear"},
        {"role": "tool", "content": "", "tool_name": "look"},
        {"role": "user", "content": "Go on."},
    ]
    assert [tool["function"] for tool in body["tools"]] == [
        {
            "name": "look",
            "description": "Looks.",
            "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}},
        },
        {"name": "hear", "parameters": {"type": "object"}},
    ]


def test_seed_d18_a_picture_goes_as_bare_base64() -> None:
    body = rendered(conversation(Turn("user", (Text("What?"), Image(Base64Source("image/png", PNG))))))
    assert body["messages"] == [{"role": "user", "content": "What?", "images": [PNG]}]


def test_a_picture_in_a_result_follows_the_results() -> None:
    result = ToolResult("a", (Text("see"), Image(Base64Source("image/png", PNG))))
    asked = conversation(Turn("assistant", (ToolCall("a", "look", "{}"),)), Turn("user", (result,)))
    assert rendered(asked)["messages"][1:] == [
        {"role": "tool", "content": "see", "tool_name": "look"},
        {"role": "user", "content": "", "images": [PNG]},
    ]


@pytest.mark.parametrize(
    ("block", "advice"),
    [
        (Image(UrlSource("https://example.com/a.png")), "base64"),
        (Document(Base64Source("application/pdf", "JVBERi0=")), "its text"),
        (Audio(Base64Source("audio/wav", "UklGRg==")), "transcript"),
        (Foreign("anthropic_messages", "container_upload", "{}", essential=True), "leave it out"),
    ],
)
def test_what_no_message_can_hold_is_refused_with_advice(block: Any, advice: str) -> None:
    with pytest.raises(InvalidRequest, match=advice) as caught:
        rendered(conversation(Turn("user", (block,))))
    assert caught.value.param == "messages.0"


@pytest.mark.parametrize(
    "tools",
    [(WebSearch(),), (McpServer("a", "https://example.com"), LOOK), (HostedTool("bash_20250124", "{}"), LOOK)],
)
def test_tools_that_the_host_would_run_are_refused(tools: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rendered(conversation(tools=tools))
    assert caught.value.param == "tools.0"


def test_the_search_of_the_host_is_dropped_beside_other_tools() -> None:
    asked = conversation(tools=(LOOK, WebSearch()))
    assert [tool["function"]["name"] for tool in rendered(asked)["tools"]] == [LOOK.name]
    assert losses_of(asked) == {("dropped", "tools.web_search")}


def test_text_documents_refusals_and_readable_foreign_blocks_are_texts() -> None:
    asked = conversation(
        Turn(
            "user",
            (Document(TextSource("body"), title="Title", context="Context"), Foreign("x", "search", "{}", "found")),
        ),
        Turn("assistant", (Refusal("No."), Foreign("x", "server_tool_use", "{}"))),
    )
    assert [message["content"] for message in rendered(asked)["messages"]] == [
        "Title\n\nContext\n\nbody\n\nfound",
        "No.",
    ]
    assert losses_of(asked) == {
        ("approximated", "messages.0.document"),
        ("approximated", "messages.0.search"),
        ("dropped", "messages.1.server_tool_use"),
    }


def test_thoughts_go_back_to_whom_they_are_from() -> None:
    asked = conversation(
        *HELLO,
        Turn("assistant", (Thinking("own", Seal("ollama", "")), Text("a"))),
        Turn("assistant", (Thinking("other's", Seal("anthropic", "sig")), Text("b"))),
        Turn("assistant", (Thinking("unsealed"), Text("c"))),
    )
    assert [message.get("thinking") for message in rendered(asked)["messages"]] == [None, "own", None, "unsealed"]
    assert losses_of(asked) == {("dropped", "messages.2.thinking")}


@pytest.mark.parametrize(
    ("model", "reasoning", "think"),
    [
        ("qwen3", Reasoning("none"), False),
        ("qwen3", Reasoning("low"), True),
        ("qwen3", Reasoning(budget_tokens=1024), True),
        ("llama3.2", Reasoning("high"), None),
        ("llama3.2", Reasoning(budget_tokens=1024), None),
        ("llama3.2", Reasoning("none"), False),
        ("qwen3", Reasoning("high", adaptive=True), None),
        ("gpt-oss:20b", Reasoning("minimal"), "low"),
        ("gpt-oss:20b", Reasoning("medium"), "medium"),
        ("gpt-oss:20b", Reasoning("xhigh"), "high"),
        ("gpt-oss:20b", Reasoning(budget_tokens=2048), "medium"),
        ("gpt-oss:20b", Reasoning(budget_tokens=4096), "high"),
        ("gpt-oss:20b", Reasoning(adaptive=True), "medium"),
        ("gpt-oss:20b", Reasoning("none"), "low"),
    ],
)
def test_a_level_only_for_models_that_have_levels(model: str, reasoning: Reasoning, think: Any) -> None:
    assert rendered(conversation(model=model, reasoning=reasoning)).get("think") == think


def test_seed_d13_json_mode() -> None:
    assert rendered(conversation(output_format=JsonFormat(), max_output_tokens=10))["format"] == "json"
    body = rendered(conversation(extras={"format": '"json"'}, max_output_tokens=10))
    assert (body["format"], body["options"]) == ("json", {"num_predict": 10})


def test_seed_d17_json_schema() -> None:
    assert rendered(conversation(output_format=JsonFormat('{"type":"object"}', "n")))["format"] == {"type": "object"}


def test_options_and_own_fields_are_claimed_and_the_rest_is_told() -> None:
    asked = conversation(
        sampling=Sampling(0.5, 0.9, 5, 1, 0.1, 0.2, ("x", "y")),
        max_output_tokens=7,
        extras={
            "options": '{"num_ctx":9,"temperature":1}',
            "num_gpu": "2",
            "keep_alive": "0",
            "logit_bias": "{}",
            "raw": "true",
        },
        end_user="me",
        parallel_tool_calls=False,
        tools=(msgspec.structs.replace(LOOK, strict=True, cache=CacheMark()),),
        tool_choice=ToolChoice("any"),
        headers=(("anthropic-beta", "x"),),
    )
    body = rendered(asked)
    assert body["options"] == {
        "num_gpu": 2,
        "num_ctx": 9,
        "temperature": 0.5,
        "num_predict": 7,
        "top_p": 0.9,
        "top_k": 5,
        "seed": 1,
        "stop": ["x", "y"],
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
    }
    assert body["keep_alive"] == 0
    assert losses_of(asked) == {
        ("dropped", "logit_bias"),
        ("dropped", "raw"),
        ("dropped", "user"),
        ("dropped", "parallel_tool_calls"),
        ("dropped", "tools.0.strict"),
        ("dropped", "tools.0.cache_control"),
        ("dropped", "extra_headers.anthropic-beta"),
        ("approximated", "tool_choice"),
    }


def test_tool_choice_none_offers_none_and_a_named_tool_is_offered_alone() -> None:
    hear = FunctionTool("hear")
    assert "tools" not in rendered(conversation(tools=(LOOK,), tool_choice=ToolChoice("none")))
    body = rendered(conversation(tools=(LOOK, hear), tool_choice=ToolChoice("tool", "hear")))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["hear"]


def test_seed_d15_fim_goes_to_generate() -> None:
    asked = conversation(Turn("user", (Text("def add("),)), extras={"suffix": '"return c"', "raw": "true"}, stream=True)
    assert rendered(asked, GENERATE) == {
        "model": "llama3.2",
        "prompt": "def add(",
        "suffix": "return c",
        "raw": True,
        "stream": True,
    }
    with pytest.raises(InvalidRequest, match="/api/generate"):
        rendered(asked, CHAT)


def test_several_turns_are_told_as_a_transcript() -> None:
    asked = conversation(
        Turn("user", (Text("One?"), Image(Base64Source("image/png", PNG)))),
        Turn("assistant", (Text("Two."), ToolCall("a", "look", '{"at":1}'))),
        Turn("user", (ToolResult("a", (Text("three"),)), Text("And?"))),
        instructions=(Text("Count."),),
    )
    body = rendered(asked, GENERATE)
    assert body["prompt"] == (
        'User: One?\n\nAssistant: Two.{"name":"look","arguments":{"at":1}}\n\n'
        "User: The tool look answered:\nthree\n\nUser: And?\n\nAssistant:"
    )
    assert (body["system"], body["images"]) == ("Count.", [PNG])
    assert losses_of(asked, GENERATE) == {("approximated", "messages")}


def test_a_transcript_has_no_thoughts() -> None:
    asked = conversation(*HELLO, Turn("assistant", (Thinking("own", Seal("ollama", "")), Text("a"))), *HELLO)
    assert "own" not in rendered(asked, GENERATE)["prompt"]
    assert ("dropped", "messages.1.thinking") in losses_of(asked, GENERATE)


@pytest.mark.parametrize(("model", "effort", "told"), [("qwen3", "high", True), ("gpt-oss", "high", False)])
def test_a_level_that_a_model_does_not_have_is_told(model: str, effort: Any, told: bool) -> None:
    asked = conversation(model=model, reasoning=Reasoning(effort))
    assert (("approximated", "reasoning_effort") in losses_of(asked)) == told
    assert not losses_of(conversation(model=model, reasoning=Reasoning(adaptive=True)))


@pytest.mark.parametrize("dialect", [WITHOUT_TOOLS, GENERATE])
def test_seed_d14_a_model_without_tools_is_offered_them_in_json_mode(dialect: OllamaDialect) -> None:
    body = rendered(conversation(tools=(LOOK,)), dialect)
    system = body["system"] if dialect.generate else body["messages"][0]["content"]
    assert body["format"] == "json"
    assert "tools" not in body
    assert '"name":"look"' in system
    assert '{"answer": "your answer"}' in system


def test_broken_arguments_are_held_by_an_object() -> None:
    asked = conversation(Turn("assistant", (ToolCall("a", "look", '{"at":'),)))
    assert rendered(asked)["messages"][0]["tool_calls"][0]["function"]["arguments"] == {"raw": '{"at":'}
    assert OLLAMA.render_request(asked, CHAT).losses == (Loss("messages.0.tool_calls", "approximated"),)


WORDS = st.text(min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=2).map(
    lambda members: msgspec.json.encode(members).decode()
)
PICTURE = Image(Base64Source("image/png", PNG))


@st.composite
def turns(draw: st.DrawFn) -> tuple[Turn, ...]:
    """As a client of Ollama could have written them."""
    made: list[Turn] = [Turn("user", (Text(draw(WORDS)),))]
    count = 0
    for _ in range(draw(st.integers(0, 3))):
        thoughts = [Thinking(draw(WORDS), Seal("ollama", ""))] if draw(st.booleans()) else []
        calls = []
        for _ in range(draw(st.integers(0, 2))):
            count += 1
            calls.append(ToolCall(f"call_{count}", draw(WORDS), draw(ARGUMENTS)))
        made.append(Turn("assistant", (*thoughts, Text(draw(WORDS)), *calls)))
        made += [Turn("user", (ToolResult(call.call_id, (Text(draw(WORDS)),)),)) for call in calls]
        said = (Text(draw(WORDS)), PICTURE) if draw(st.booleans()) else (Text(draw(WORDS)),)
        made.append(Turn(draw(st.sampled_from(["user", "system"])), said))
    return tuple(made)


FLOATS = st.none() | st.floats(0, 2)
CONVERSATIONS = st.builds(
    Conversation,
    model=st.just("gpt-oss"),
    turns=turns(),
    instructions=st.just(()) | WORDS.map(lambda text: (Text(text),)),
    tools=st.just(()) | st.just((LOOK,)),
    sampling=st.builds(
        Sampling, FLOATS, FLOATS, st.none() | st.integers(0, 99), st.none(), FLOATS, FLOATS, st.just(("a",))
    ),
    max_output_tokens=st.none() | st.integers(1, 9999),
    reasoning=st.none() | st.sampled_from([Reasoning("low", shown=True), Reasoning("high", shown=True)]),
    output_format=st.none() | st.just(JsonFormat()) | st.just(JsonFormat('{"type":"object"}')),
    stream=st.booleans(),
    extras=st.just({}) | st.just({"options": '{"num_ctx":1}', "keep_alive": '"5m"'}),
)


@settings(max_examples=100, deadline=None)
@given(CONVERSATIONS)
def test_what_was_said_is_read_again(asked: Conversation) -> None:
    said = OLLAMA.render_request(asked, CHAT)
    assert said.losses == ()
    assert OLLAMA.parse_request(OLLAMA.read_envelope(said.body), ()) == asked
