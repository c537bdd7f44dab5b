"""Items that only OpenAI's hosts understand, and what another model may read in their place."""

from typing import Any

import msgspec

from app.protocols.scanning import UNREADABLE

_decode_item = msgspec.json.Decoder(dict[str, Any]).decode

# Which members of an item another model may read, by kind.
_READABLE: dict[str, tuple[str, ...]] = {
    "local_shell_call": ("action",),
    "local_shell_call_output": ("output",),
    "shell_call": ("action",),
    "shell_call_output": ("output",),
    "apply_patch_call": ("operation",),
    "apply_patch_call_output": ("status", "output"),
    "code_interpreter_call": ("code", "outputs"),
    "file_search_call": ("queries", "results"),
    "mcp_call": ("server_label", "name", "arguments", "output", "error"),
    "image_generation_call": ("revised_prompt",),
}
# Without these the rest makes no sense, and they hold nothing that another model can read.
_ESSENTIAL = frozenset({"compaction", "computer_call", "computer_call_output"})


def readable_text(kind: str, item: msgspec.Raw) -> tuple[str | None, bool]:
    """(what another model may read instead, whether the conversation needs it)"""
    if kind in _ESSENTIAL:
        return None, True
    names = _READABLE.get(kind)
    if names is None:
        return None, False
    try:
        members = _decode_item(item)
    except UNREADABLE:
        return None, False
    said = [_written(members[name]) for name in names if members.get(name)]
    return (f"[{kind}: {' · '.join(said)}]" if said else None), False


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, RecursionError):
        return ""
