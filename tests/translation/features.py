"""One conversation, and one answer, for each thing that can be said; nothing else is in it."""

from dataclasses import dataclass

from app.domain.usage import Usage
from app.protocols.conversation import (
    Audio,
    Base64Source,
    CacheMark,
    Citation,
    Conversation,
    Document,
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
from app.protocols.events import Generation
from app.protocols.opaque import Seal

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJUVPRgo="
WEATHER = FunctionTool(
    "get_weather",
    "The weather of a city.",
    '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}',
)
PARIS = ToolCall("call_paris", "get_weather", '{"city":"Paris"}')
ROME = ToolCall("call_rome", "get_weather", '{"city":"Rome"}')
COUNTRY = (
    '{"type":"object","properties":{"country":{"type":"string"},"capital":{"type":"string"}},'
    '"required":["country","capital"],"additionalProperties":false}'
)


@dataclass(frozen=True)
class Feature:
    """``title`` as the table of docs/compatibility.md has it."""

    name: str
    title: str
    conversation: Conversation
    thinks: bool = False
    """Said to models that reason."""


def ask(*blocks: object, **fields: object) -> Conversation:
    turns = fields.pop("turns", (Turn("user", tuple(blocks)),))  # type: ignore[arg-type]
    fields.setdefault("max_output_tokens", 1000)
    return Conversation(model="the-model", turns=turns, **fields)  # type: ignore[arg-type]


HELLO = Text("What is the weather in Paris?")
CHARACTERS = Citation(
    "anthropic_messages",
    '{"type":"char_location","cited_text":"It rains in Paris.","document_index":0,"document_title":"Notes",'
    '"start_char_index":0,"end_char_index":18}',
    title="Notes",
    cited_text="It rains in Paris.",
)
LONG_NAME = "mcp__plugin_weather_and_climate_of_the_world__forecast_of_the_coming_seven_days"
LONG_TOOL = FunctionTool(LONG_NAME, "The weather of a week.", WEATHER.parameters)
LONG = ToolCall("call_week", LONG_NAME, '{"city":"Paris"}')
ODD = ToolCall("functions.get_weather:0", "get_weather", '{"city":"Paris"}')
CHOICE_TOOL = FunctionTool(
    "find_place",
    "Finds a place.",
    '{"type":"object","properties":{"name":{"type":"string"},"code":{"type":"string"}},'
    '"anyOf":[{"required":["name"]},{"required":["code"]}]}',
)


def looped(*blocks: object, tools: tuple[FunctionTool, ...] = (WEATHER,)) -> Conversation:
    """The answer up to its call, and what the tool has said to it."""
    at = next(number for number, block in enumerate(blocks) if isinstance(block, ToolCall))
    call = blocks[at]
    assert isinstance(call, ToolCall)
    turns = (
        Turn("user", (HELLO,)),
        Turn("assistant", blocks[: at + 1]),  # type: ignore[arg-type]
        Turn("user", (ToolResult(call.call_id, blocks[at + 1 :]),)),  # type: ignore[arg-type]
    )
    return ask(turns=turns, tools=tools, max_output_tokens=8000)


FEATURES: tuple[Feature, ...] = (
    Feature("text", "text, system prompt", ask(HELLO, instructions=(Text("Be brief."),))),
    Feature(
        "system_blocks",
        "system prompt of several blocks",
        ask(HELLO, instructions=(Text("You are a guide."), Text("Be brief."))),
    ),
    Feature(
        "system_in_the_middle",
        "system text between the turns",
        ask(
            turns=(
                Turn("user", (Text("Hello"),)),
                Turn("assistant", (Text("Hello!"),)),
                Turn("system", (Text("From here on answer in French."),)),
                Turn("user", (HELLO,)),
            )
        ),
    ),
    Feature("image", "image, base64", ask(HELLO, Image(Base64Source("image/png", PNG)))),
    Feature("image_url", "image by address", ask(HELLO, Image(UrlSource("https://example.org/paris.png")))),
    Feature("pdf", "PDF, base64", ask(HELLO, Document(Base64Source("application/pdf", PDF), title="report.pdf"))),
    Feature(
        "text_document", "document of plain text", ask(HELLO, Document(TextSource("It rains in Paris."), title="Notes"))
    ),
    Feature(
        "citations",
        "citations asked for",
        ask(HELLO, Document(TextSource("It rains in Paris."), title="Notes", cite=True)),
    ),
    Feature(
        "cited_history",
        "citations in the history",
        ask(
            turns=(
                Turn("user", (HELLO,)),
                Turn("assistant", (Text("It rains.", (CHARACTERS,)),)),
                Turn("user", (Text("And tomorrow?"),)),
            )
        ),
    ),
    Feature("audio", "audio", ask(HELLO, Audio(Base64Source("audio/wav", "UklGRg==")))),
    Feature("tools", "function tools", ask(HELLO, tools=(WEATHER,), tool_choice=ToolChoice("auto"))),
    Feature(
        "forced_tool",
        "a certain tool forced, one call at a time",
        ask(HELLO, tools=(WEATHER,), tool_choice=ToolChoice("tool", "get_weather"), parallel_tool_calls=False),
    ),
    Feature("long_names", "tool names of over 64 characters", looped(LONG, Text("sun"), tools=(LONG_TOOL,))),
    Feature("odd_ids", "ids of calls that other APIs refuse", looped(ODD, Text("sun"))),
    Feature("choice_of_schemas", "a choice of schemas at the root of a tool", ask(HELLO, tools=(CHOICE_TOOL,))),
    Feature("deferred_tools", "tools found by a search of the client's own", looped(PARIS, Text("rain"))),
    Feature("custom_tools", "custom tools and namespaces", looped(PARIS, Text("rain"))),
    Feature(
        "parallel_tools",
        "parallel calls and their results",
        ask(
            turns=(
                Turn("user", (Text("And in Rome?"),)),
                Turn("assistant", (Text("I look."), PARIS, ROME)),
                Turn(
                    "user",
                    (
                        ToolResult("call_paris", (Text("rain"),)),
                        ToolResult("call_rome", (Text("sun"),)),
                        Text("Well?"),
                    ),
                ),
            ),
            tools=(WEATHER,),
        ),
    ),
    Feature(
        "failed_tool",
        "a tool that failed",
        ask(
            turns=(
                Turn("user", (HELLO,)),
                Turn("assistant", (PARIS,)),
                Turn("user", (ToolResult("call_paris", (Text("no such city"),), is_error=True),)),
            ),
            tools=(WEATHER,),
        ),
    ),
    Feature("empty_result", "a tool that said nothing", looped(PARIS)),
    Feature("result_of_parts", "a tool's result of several texts", looped(PARIS, Text("rain"), Text("and wind"))),
    Feature(
        "image_in_a_result",
        "image in a tool's result",
        ask(
            turns=(
                Turn("user", (HELLO,)),
                Turn("assistant", (PARIS,)),
                Turn("user", (ToolResult("call_paris", (Text("see"), Image(Base64Source("image/png", PNG)))),)),
            ),
            tools=(WEATHER,),
        ),
    ),
    Feature(
        "structured_output",
        "answer by a JSON Schema",
        ask(HELLO, output_format=JsonFormat(COUNTRY, "country", strict=True)),
    ),
    Feature("json_output", "any JSON object", ask(HELLO, output_format=JsonFormat())),
    Feature(
        "reasoning_effort",
        "reasoning effort",
        ask(HELLO, reasoning=Reasoning(effort="low"), max_output_tokens=8000),
        thinks=True,
    ),
    Feature(
        "adaptive_thinking",
        "thinking as the model sees fit",
        ask(HELLO, reasoning=Reasoning("medium", adaptive=True), max_output_tokens=8000),
        thinks=True,
    ),
    Feature(
        "thoughts_of_another",
        "reasoning of the client's own vendor in the history",
        looped(Thinking("Where is Paris?", Seal("the client's vendor", "c2VhbA==")), PARIS, Text("rain")),
        thinks=True,
    ),
    Feature("temperature", "temperature", ask(HELLO, sampling=Sampling(temperature=0.5))),
    Feature("stop", "stop sequences", ask(HELLO, sampling=Sampling(stop=("END",)))),
    Feature("top_k", "top_k", ask(HELLO, sampling=Sampling(top_k=5))),
    Feature("seed", "seed", ask(HELLO, sampling=Sampling(seed=7))),
    Feature("cache_marks", "prompt cache marks", ask(Text(HELLO.text, cache=CacheMark()))),
    Feature("web_search", "the host's web search", ask(HELLO, tools=(WebSearch(context_size="medium"),))),
    Feature(
        "web_search_beside_tools",
        "the host's web search beside other tools",
        ask(HELLO, tools=(WEATHER, WebSearch())),
    ),
    Feature(
        "mcp",
        "MCP server called by the host",
        ask(HELLO, tools=(McpServer("deepwiki", "https://mcp.example.org/mcp"),)),
    ),
    Feature(
        "hosted_tool",
        "memory tool",
        ask(HELLO, tools=(HostedTool("memory_20250818", '{"type":"memory_20250818","name":"memory"}'),)),
    ),
    Feature("end_user", "end user", ask(HELLO, end_user="customer-7")),
    Feature(
        "prefill",
        "beginning of the answer given",
        ask(turns=(Turn("user", (HELLO,)), Turn("assistant", (Text("It"),)))),
    ),
)


def answer(*blocks: object, finish: str = "stop", **fields: object) -> Generation:
    return Generation("gen_1", "the-model", tuple(blocks), finish, Usage(input=11, output=7), **fields)  # type: ignore[arg-type]


ANSWERS: dict[str, Generation] = {
    "text": answer(Text("It rains – in Paris.")),
    "parallel_tools": answer(Text("I look."), PARIS, ROME, finish="tool_calls"),
    "cut": answer(Text("It ra"), finish="length"),
    "refused": answer(Text("I may not"), finish="content_filter"),
    "cached": Generation(
        "gen_1", "the-model", (Text("It rains."),), "stop", Usage(input=11, cache_read=100, output=7, reasoning=3)
    ),
    "cache_written": Generation(
        "gen_1",
        "the-model",
        (Text("It rains."),),
        "stop",
        Usage(input=11, cache_read=100, cache_write_5m=20, cache_write_1h=30, output=7),
    ),
    "stopped": answer(Text("It rains "), finish="stop_sequence", stop_sequence="END"),
    "declined": answer(Refusal("I may not say."), finish="content_filter"),
    "call_without_arguments": answer(ToolCall("call_now", "now", "{}"), finish="tool_calls"),
    "text_after_a_call": answer(PARIS, Text("One moment."), finish="tool_calls"),
    "empty": answer(),
}


def thoughtful(issuer: str) -> Generation:
    """A thought with its proof before a call: what a tool loop must give back."""
    return answer(Thinking("Where is Paris?", Seal(issuer, "c2VhbA==")), PARIS, finish="tool_calls")


CITED = answer(
    Text(
        "It rains.",
        (Citation("openai_responses", "{}", "https://example.org/weather", "Weather", None, 0, 9),),
    )
)
