"""How the tests of the rows ask by chat completions: OpenAI's own client, whatever fields a row names."""

from typing import Any

import openai

QUESTION = "What is the weather like in Boston today?"
USER = [{"role": "user", "content": QUESTION}]
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {
        "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["location"],
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": WEATHER_SCHEMA,
    },
}


async def ask(client: openai.AsyncOpenAI, model: str, messages: Any = USER, **fields: Any) -> Any:
    """A whole completion; ``fields`` stand in the body as they are."""
    return await client.chat.completions.create(model=model, messages=messages, extra_body=fields)


async def hear(client: openai.AsyncOpenAI, model: str, messages: Any = USER, **fields: Any) -> list[Any]:
    """The chunks of a streamed completion."""
    chunks = await client.chat.completions.create(model=model, messages=messages, stream=True, extra_body=fields)
    return [chunk async for chunk in chunks]


def text_of(chunks: list[Any]) -> str:
    """The content of a stream put together."""
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def member_of(chunks: list[Any], name: str) -> list[Any]:
    """What the deltas of a stream carry under a name that OpenAI's own types do not have."""
    deltas = [choice.delta.model_dump() for chunk in chunks for choice in chunk.choices]
    return [delta[name] for delta in deltas if delta.get(name) is not None]
