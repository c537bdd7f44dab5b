"""What of a host's text must not reach a caller: keys, which hosts repeat when they refuse them."""

import re

# OpenAI repeats the key that it refuses with its middle masked, others repeat all of it. What is masked is looked for
# from the beginning of a word alone: from each of its signs it would take a minute for a word of some thousand.
_keys = re.compile(
    r"\b(?:sk|gsk|xai|rk|pk|key)[-_][\w*.-]{3,}|(?<![\w*-])(?=[\w*-]*?\*{3})[\w*-]+"
    r"|\bAIza[\w-]{10,}|\b[A-Za-z0-9_-]{32,}\b"
).sub


def without_keys(text: str) -> str:
    return _keys("…", text)
