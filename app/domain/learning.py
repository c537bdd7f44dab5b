"""What calls of one kind have lately come to, and the upper quantile of it that is held for the next one."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Hashable

import msgspec

REMEMBERED = 64
"""Calls of a kind that are remembered: enough to tell one in twenty, few enough to follow a change within an hour."""
LEAST_KNOWN = 8
"""Below so many calls nothing is known of a kind."""
EXCEEDED_BY_ONE_IN = 20
MOST_KINDS = 1024


class Recent:
    """The last ``REMEMBERED`` values of one quantity, whole numbers.

    ``upper`` is the smallest value that no more than one in twenty of them exceeds, the largest of fewer than twenty;
    None until ``LEAST_KNOWN`` are known.
    """

    __slots__ = ("_in_order", "_ranked", "upper")

    def __init__(self) -> None:
        self._in_order: deque[int] = deque()
        self._ranked: list[int] = []
        self.upper: int | None = None

    @property
    def largest(self) -> int:
        """Of at least one."""
        return self._ranked[-1]

    def add(self, value: int) -> None:
        ranked, in_order = self._ranked, self._in_order
        in_order.append(value)
        if len(ranked) == REMEMBERED:
            oldest = in_order.popleft()
            if oldest == value:
                return  # one like it takes its place
            del ranked[bisect_left(ranked, oldest)]
        insort(ranked, value)
        if len(ranked) >= LEAST_KNOWN:
            self.upper = ranked[len(ranked) - 1 - len(ranked) // EXCEEDED_BY_ONE_IN]


class Expected(msgspec.Struct, frozen=True):
    """What one more call of a kind will hardly exceed.

    ``input_permille`` is what its input came to, in thousandths of its estimate as fresh input: it tells what of the
    prompt was read from a cache, written to it or neither, and how far the estimate of its length was off.
    ``hides``: one of those remembered was billed for more than what was seen of its answer.
    """

    input_permille: int
    output_tokens: int
    hides: bool = False


class Learning:
    """Of the kinds seen lately, at most ``MOST_KINDS``. The same calls in the same order teach the same."""

    def __init__(self) -> None:
        self._recent: dict[Hashable, tuple[Recent, Recent, Recent]] = {}
        self._expected: dict[Hashable, Expected] = {}

    def expected(self, kind: Hashable) -> Expected | None:
        """None where too little is known."""
        return self._expected.get(kind)

    def observe(self, kind: Hashable, input_permille: int, output_tokens: int, hidden_tokens: int = 0) -> None:
        """A call of the kind has ended, and was counted by its provider."""
        recent = self._recent.get(kind)
        if recent is None:
            if len(self._recent) == MOST_KINDS:
                oldest = next(iter(self._recent))
                del self._recent[oldest]
                self._expected.pop(oldest, None)
            recent = self._recent[kind] = (Recent(), Recent(), Recent())
        inputs, outputs, hidden = recent
        inputs.add(input_permille)
        outputs.add(output_tokens)
        hidden.add(hidden_tokens)
        if inputs.upper is not None and outputs.upper is not None:
            self._expected[kind] = Expected(inputs.upper, outputs.upper, hidden.largest > 0)
