"""Characters that a host has cut in two: halves of a surrogate pair, escaped, which no reader of JSON takes."""

import re

_HIGH, _LOW = rb"[dD][89abAB][0-9a-fA-F]{2}", rb"[dD][c-fC-F][0-9a-fA-F]{2}"
# Every escape is matched, so that what follows an escaped backslash is not taken for one. Whole pairs come first.
_escapes = re.compile(rb"\\(?:u%b\\u%b|u(%b)|u(%b)|.)" % (_HIGH, _LOW, _HIGH, _LOW)).sub


class Halves:
    """Of one answer. Programs that count in UTF-16 cut their texts there when they make a stream of them."""

    def __init__(self) -> None:
        self._first = b""

    def joined(self, data: bytes) -> bytes:
        """JSON without lone halves: a first one is kept for the second in what comes next, one alone is left out."""
        first, self._first = self._first, b""

        def mend(escape: re.Match[bytes]) -> bytes:
            nonlocal first
            high, low = escape.groups()
            if high is not None:
                self._first = escape[0]
                return b""
            if low is not None:
                whole, first = first and first + escape[0], b""
                return whole
            return escape[0]

        return _escapes(mend, data)
