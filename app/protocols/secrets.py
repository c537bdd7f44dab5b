"""What of a host's text must not reach a caller: keys, which hosts repeat when they refuse them."""

import re

# OpenAI repeats the key that it refuses with its middle masked, others repeat all of it.
_keys = re.compile(
    r"\b(?:sk|gsk|xai|rk|pk|key)[-_][\w*.-]{3,}|\bAIza[\w-]{10,}|[\w*-]*\*{3,}[\w*-]*|\b[A-Za-z0-9_-]{32,}\b"
).sub


def without_keys(text: str) -> str:
    return _keys("…", text)
