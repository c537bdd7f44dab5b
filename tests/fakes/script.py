"""What the fake provider shall do with one request, and the words in a prompt that say so."""

import dataclasses
import json
from typing import Any, Literal

ASCII_TEXT = "Every key has an owner, and every token has a price. "
UNICODE_TEXT = "帳簿は🔑の家の心臓。Größe ≥ naïve 𝄞 👩‍👩‍👧 한국어 ñandú "
TOOL_INPUT = {"city": "Zürich", "days": 3, "note": "☔ or ☀️?"}
THINKING_TEXT = ("The user asks for something. ", "I weigh it 🤔 and then answer.")
TOOL_FRAGMENT_CHARACTERS = 5

PieceKind = Literal["thinking", "text", "tool"]


@dataclasses.dataclass(frozen=True, slots=True)
class Script:
    """The behaviour of one answer. `*_after` counts server-sent events (bytes in a whole answer)."""

    events: int = 3  # text deltas of a stream
    text: tuple[str, ...] | None = None  # the deltas themselves; else text of about 4 characters a token
    unicode: bool = False  # text, not given above, of multi-byte characters
    thinking: bool = False
    tools: int = 0  # tool calls after the text
    call: str | None = None  # the tool that is called; else the first that the request offers
    input: str | None = None  # its arguments as JSON (in a prompt: without spaces); else TOOL_INPUT
    pings: bool = True  # `ping` events (Anthropic), comment lines (OpenAI)
    unknown: bool = False  # events and fields that no public page describes
    stop_reason: str | None = None

    input_tokens: int = 12  # neither read from nor written to a cache
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output_tokens: int | None = None  # with the reasoning; None = one for each delta
    reasoning_tokens: int = 0

    error: int = 0  # status of the refusal; with `error_after`, an error event in mid-stream
    error_after: int | None = None
    message: str | None = None
    retry_after: str | None = None
    html: bool = False  # the error is a load balancer's HTML page
    raw: bytes | None = None  # the very body of the answer, and no bill; a stream where it is one of events
    headers: tuple[tuple[str, str], ...] = ()

    delay_ms: float = 0.0  # before each event, or before a whole answer
    silence_s: float = 0.0  # one pause before event `silence_after`, or before a whole answer
    silence_after: int = 3
    hold_after: int | None = None  # waits before that event, or before a whole answer, for `upstream.released`
    hang_before: bool = False  # accepts the request and never answers
    hang_after: int | None = None  # sends so much and then nothing more
    cut_after: int | None = None  # sends so much and closes without an end
    reset: bool = False  # the cut is a RST
    split: int = 0  # writes of so many bytes; 0 = one write for each event

    @property
    def tool_calls(self) -> int:
        return self.tools or int(self.call is not None)


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """One delta of generated content, and the output tokens generated up to its end."""

    kind: PieceKind
    text: str
    output_tokens: int
    tool: int = 0
    call: str | None = None


class UnknownWordError(ValueError):
    """The prompt holds a word that no script knows."""


def total_output_tokens(script: Script) -> int:
    """The output tokens of the whole answer, reasoning included."""
    if script.output_tokens is not None:
        return script.output_tokens
    return len(_content(script, text_tokens=0))


def pieces_of(script: Script) -> list[Piece]:
    """The content in order: thinking, text, tool calls, the tokens spread evenly over it."""
    total = total_output_tokens(script)
    content = _content(script, text_tokens=total)
    return [
        Piece(kind, text, total * number // len(content), tool, script.call)
        for number, (kind, text, tool) in enumerate(content, start=1)
    ]


def whole_content(script: Script) -> list[Piece]:
    """The same content with the deltas of one block joined."""
    blocks: list[Piece] = []
    for piece in pieces_of(script):
        last = blocks[-1] if blocks else None
        if last and (last.kind, last.tool) == (piece.kind, piece.tool):
            blocks[-1] = dataclasses.replace(piece, text=last.text + piece.text)
        else:
            blocks.append(piece)
    return blocks


def _content(script: Script, text_tokens: int) -> list[tuple[PieceKind, str, int]]:
    content: list[tuple[PieceKind, str, int]] = []
    if script.thinking:
        content += [("thinking", text, 0) for text in THINKING_TEXT]
    content += [("text", text, 0) for text in script.text or _texts(script, text_tokens)]
    for tool in range(script.tool_calls):
        rendered = script.input or json.dumps(TOOL_INPUT, ensure_ascii=False)
        for start in range(0, len(rendered), TOOL_FRAGMENT_CHARACTERS):
            content.append(("tool", rendered[start : start + TOOL_FRAGMENT_CHARACTERS], tool))
    return content


def _texts(script: Script, text_tokens: int) -> list[str]:
    source = UNICODE_TEXT if script.unicode else ASCII_TEXT
    length = max(4, 4 * text_tokens // max(1, script.events))
    endless = source * (2 + length // len(source))
    starts = (number * length % len(source) for number in range(script.events))
    return [endless[start : start + length] for start in starts]


def script_of_prompt(body: Any, default: Script) -> Script:
    """The default changed by the words after `FAKE:` in the last user message (or `input`).

    Words are the fields of `Script`: `events=50 thinking tools=2 error=529`; a bare word is true, or 1.
    Raises UnknownWordError for a word that names no field.
    """
    _, marker, words = last_user_text(body).partition("FAKE:")
    if not marker:
        return default
    changes: dict[str, Any] = dict(_parse_word(word) for word in words.splitlines()[0].split())
    return dataclasses.replace(default, **changes)


def last_user_text(body: Any) -> str:
    """The text of the last user message of any of the APIs spoken here, or '' when a tool's result came after it."""
    if not isinstance(body, dict):
        return ""
    turns = next((body[name] for name in ("messages", "contents", "input") if isinstance(body.get(name), list)), None)
    if turns is None:
        return str(body.get("input", body.get("prompt", "")))
    users = [turn for turn in turns if isinstance(turn, dict) and _is_said_by_user(turn)]
    contents = [turn.get("content", turn.get("parts")) for turn in users]
    last = contents[-1] if contents else ""
    if isinstance(last, str):
        return last
    blocks = last if isinstance(last, list) else []
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def _is_said_by_user(turn: dict[str, Any]) -> bool:
    """A tool's result is the user's turn in every API, whatever it is called there."""
    return turn.get("role") in ("user", "tool") or turn.get("type") == "function_call_output"


_TYPES = {field.name: str(field.type) for field in dataclasses.fields(Script)}


def _parse_word(word: str) -> tuple[str, bool | int | float | str]:
    name, equals, value = word.partition("=")
    kind = _TYPES.get(name, "")
    if not kind or "tuple" in kind or "bytes" in kind:
        raise UnknownWordError(f"no script knows the word {word!r}")
    if "bool" in kind:
        return name, value not in ("0", "false")
    if "float" in kind:
        return name, float(value)
    if "int" in kind:
        return name, int(value) if equals else 1
    return name, value
