"""Streamed answers as hosts of each protocol write them: how one begins, and the frames of which it has hundreds."""

import dataclasses
from collections.abc import Callable
from typing import Literal

Kind = Literal["text", "tools"]

FRAMES = 256
TEXT = " about twenty letters"
_WHOLE_CALLS = ("gemini", "ollama")
ARGUMENTS = r"{\"file_path\":\"/src/place.py\","
_CALL = '{"file_path":"/home/dev/project/src/place.py","old_string":"return None","new_string":"return place"}'


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """``head`` is what comes before the frames; ``data`` is the JSON of each. ``events`` is how many a frame tells: a
    whole call begins, has its arguments, and ends."""

    head: bytes
    frames: tuple[bytes, ...]
    data: tuple[bytes, ...]
    events: int = 1


def stream_of(protocol: str, kind: Kind) -> Stream | None:
    """None for what the protocol's hosts never send."""
    written = _WRITERS.get((protocol, kind))
    if written is None:
        return None
    heads, render = written
    frame = _FRAMERS[protocol]
    data = tuple(render(number).encode() for number in range(FRAMES))
    head = b"".join(frame(begun.encode()) for begun in heads)
    whole = kind == "tools" and protocol in _WHOLE_CALLS
    return Stream(head, tuple(map(frame, data)), data, 3 if whole else 1)


def _event(data: bytes) -> bytes:
    kind = data[len(b'{"type":"') :].partition(b'"')[0]
    return b"event: %b\ndata: %b\n\n" % (kind, data)


_FRAMERS: dict[str, Callable[[bytes], bytes]] = {
    "anthropic_messages": _event,
    "openai_chat": b"data: %b\n\n".__mod__,
    "openai_responses": _event,
    "openai_completions": b"data: %b\n\n".__mod__,
    "gemini": b"data: %b\r\n\r\n".__mod__,
    "ollama": b"%b\n".__mod__,
}

_MESSAGE = (
    '{"type":"message_start","message":{"model":"claude-haiku-4-5","id":"msg_01","type":"message","role":"assistant",'
    '"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":310,"cache_creation_input_tokens":0,'
    '"cache_read_input_tokens":0,"output_tokens":1}}}'
)
_TEXT_BLOCK = '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'
_CALL_BLOCK = (
    '{"type":"content_block_start","index":0,'
    '"content_block":{"type":"tool_use","id":"toolu_01","name":"Edit","input":{}}}'
)


def _block_delta(delta: str) -> str:
    return f'{{"type":"content_block_delta","index":0,"delta":{delta}}}'


def _chunk(delta: str) -> str:
    return (
        '{"id":"chatcmpl-CeX4","object":"chat.completion.chunk","created":1795219200,"model":"gpt-5.6",'
        '"service_tier":"default","system_fingerprint":null,"choices":[{"index":0,'
        f'"delta":{delta},"logprobs":null,"finish_reason":null}}],"usage":null,"obfuscation":"Qx7uT2"}}'
    )


def _chunk_call(arguments: str, begun: str = "") -> str:
    return _chunk(f'{{"tool_calls":[{{"index":0,{begun}"function":{{{_named(begun)}"arguments":"{arguments}"}}}}]}}')


def _named(begun: str) -> str:
    return '"name":"Edit",' if begun else ""


_RESPONSE = (
    '{"type":"response.created","response":{"id":"resp_67c9","object":"response","created_at":1795219200,'
    '"status":"in_progress","error":null,"incomplete_details":null,"model":"gpt-5.6","output":[],"usage":null},'
    '"sequence_number":0}'
)
_MESSAGE_ITEM = (
    '{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_67c9","type":"message",'
    '"status":"in_progress","content":[],"role":"assistant"},"sequence_number":1}'
)
_TEXT_PART = (
    '{"type":"response.content_part.added","item_id":"msg_67c9","output_index":0,"content_index":0,'
    '"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""},"sequence_number":2}'
)
_CALL_ITEM = (
    '{"type":"response.output_item.added","output_index":0,"item":{"id":"fc_67c9","type":"function_call",'
    '"status":"in_progress","arguments":"","call_id":"call_01","name":"Edit"},"sequence_number":1}'
)


def _text_delta(number: int) -> str:
    return (
        '{"type":"response.output_text.delta","item_id":"msg_67c9","output_index":0,"content_index":0,'
        f'"delta":"{TEXT}","logprobs":[],"obfuscation":"Qx7uT2","sequence_number":{number + 3}}}'
    )


def _arguments_delta(number: int) -> str:
    return (
        '{"type":"response.function_call_arguments.delta","item_id":"fc_67c9","output_index":0,'
        f'"delta":"{ARGUMENTS}","obfuscation":"Qx7uT2","sequence_number":{number + 2}}}'
    )


def _completion(number: int) -> str:
    del number
    return (
        '{"id":"cmpl-uqkv","object":"text_completion","created":1795219200,"choices":[{"text":"'
        f'{TEXT}","index":0,"logprobs":null,"finish_reason":null}}],"model":"gpt-3.5-turbo-instruct",'
        '"system_fingerprint":"fp_44709d6fcb","usage":null}'
    )


def _answer(part: str, number: int) -> str:
    """Google counts along: the usage of each answer is another one."""
    return (
        f'{{"candidates":[{{"content":{{"parts":[{part}],"role":"model"}},"index":0}}],"usageMetadata":'
        f'{{"promptTokenCount":310,"candidatesTokenCount":{number + 1},"totalTokenCount":{number + 311},'
        '"promptTokensDetails":[{"modality":"TEXT","tokenCount":310}]},"modelVersion":"gemini-2.5-flash",'
        '"responseId":"AdVRaMmDCYek"}'
    )


def _line(message: str) -> str:
    return (
        '{"model":"qwen3","created_at":"2026-11-21T00:00:00.184789Z","message":{"role":"assistant",'
        f'{message}}},"done":false}}'
    )


# For each protocol and kind: what stands before, and the frame of each number.
_WRITERS: dict[tuple[str, Kind], tuple[tuple[str, ...], Callable[[int], str]]] = {
    ("anthropic_messages", "text"): (
        (_MESSAGE, _TEXT_BLOCK),
        lambda _: _block_delta(f'{{"type":"text_delta","text":"{TEXT}"}}'),
    ),
    ("anthropic_messages", "tools"): (
        (_MESSAGE, _CALL_BLOCK),
        lambda _: _block_delta(f'{{"type":"input_json_delta","partial_json":"{ARGUMENTS}"}}'),
    ),
    ("openai_chat", "text"): (
        (_chunk('{"role":"assistant","content":"","refusal":null}'), _chunk('{"content":"So"}')),
        lambda _: _chunk(f'{{"content":"{TEXT}"}}'),
    ),
    ("openai_chat", "tools"): (
        (_chunk('{"role":"assistant","content":null}'), _chunk_call("", '"id":"call_01","type":"function",')),
        lambda _: _chunk_call(ARGUMENTS),
    ),
    ("openai_responses", "text"): ((_RESPONSE, _MESSAGE_ITEM, _TEXT_PART), _text_delta),
    ("openai_responses", "tools"): ((_RESPONSE, _CALL_ITEM), _arguments_delta),
    ("openai_completions", "text"): ((_completion(0),), _completion),
    ("gemini", "text"): ((_answer('{"text":"So"}', 0),), lambda number: _answer(f'{{"text":"{TEXT}"}}', number + 1)),
    ("gemini", "tools"): (
        (_answer('{"text":"So"}', 0),),
        lambda number: _answer(f'{{"functionCall":{{"name":"Edit","args":{_CALL}}}}}', number + 1),
    ),
    ("ollama", "text"): ((_line('"content":"So"'),), lambda _: _line(f'"content":"{TEXT}"')),
    ("ollama", "tools"): (
        (_line('"content":"So"'),),
        lambda _: _line(f'"content":"","tool_calls":[{{"function":{{"name":"Edit","arguments":{_CALL}}}}}]'),
    ),
}
