"""One prompt in place of a conversation, for the endpoint that knows no messages."""

from collections.abc import Sequence

from app.protocols.ollama.message_render import RenderedMessage

_SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


def render_prompt(messages: Sequence[RenderedMessage]) -> str:
    """A lone question goes in as it is; several turns are told as a transcript that the model goes on with."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].content or ""
    parts = [f"{_SPEAKERS[message.role]}: {message.content or ''}" for message in messages]
    if messages and messages[-1].role != "assistant":
        parts.append("Assistant:")
    return "\n\n".join(parts)
