"""Reads YAML nodes as values of a wanted type, and remembers what is wrong with which line."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import yaml

from app.base.money import NanoUSD
from app.settings.parsing import nearest_names, parse_amount, parse_boolean, parse_dollars, parse_integer, parse_seconds

Value = TypeVar("Value")

ENVIRONMENT_REFERENCE = "os.environ/"
_DEEPEST = 4
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NULL_TAG = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Item:
    """A value in a file, with its dotted name and the line on which that name (or the list's item) stands.

    Line 0: it stands in the body of a request, where its name is its place.
    """

    name: str
    file: Path
    line: int
    node: yaml.Node

    @property
    def place(self) -> str:
        return f"{self.file.name}, line {self.line}" if self.line else self.name

    @property
    def is_null(self) -> bool:
        return self.node.tag == _NULL_TAG

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)


class Problems:
    """Sentences collected: ``errors`` prevent the start, ``notices`` are said at it, each once."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._notices: dict[str, None] = {}

    @property
    def notices(self) -> tuple[str, ...]:
        return tuple(self._notices)

    def error(self, place: str, sentence: str) -> None:
        self.errors.append(f"{place}: {sentence}")

    def notice(self, sentence: str) -> None:
        self._notices[sentence] = None


class Reader:
    """Every method adds a problem and returns None for what is of the wrong type; null is None without a problem."""

    def __init__(self, problems: Problems, environ: Mapping[str, str]) -> None:
        self.problems = problems
        self.environ = environ
        self._reported: set[str] = set()

    def absent_variable(self, item: Item, depth: int = 0) -> tuple[str, Item] | None:
        """The first variable that ``item``, or something in it, refers to and that is not set, and where it does."""
        if isinstance(item.node, yaml.ScalarNode):
            variable = _variable(str(item.node.value))
            return None if variable is None or self.environ.get(variable) else (variable, item)
        if depth > _DEEPEST:
            return None
        if isinstance(item.node, yaml.MappingNode):
            inner = [(key.start_mark.line, value) for key, value in item.node.value]
        else:
            inner = [(node.start_mark.line, node) for node in item.node.value]
        items = (Item(item.name, item.file, line + 1, node) for line, node in inner)
        return next((found for each in items if (found := self.absent_variable(each, depth + 1)) is not None), None)

    def document(self, file: Path) -> Item | None:
        try:
            content = file.read_bytes()
        except OSError as error:
            self.problems.error(str(file), f"the file cannot be read ({error.strerror})")
            return None
        try:
            node = yaml.compose(content, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f", line {mark.line + 1}" if mark is not None else ""
            self.problems.error(f"{file.name}{line}", f"this is not YAML: {error.problem or error.context}")
            return None
        except (yaml.YAMLError, RecursionError) as error:
            self.problems.error(file.name, f"this is not YAML: {str(error) or type(error).__name__}")
            return None
        return None if node is None else Item("", file, 1, node)

    def mapping(self, item: Item, merge_depth: int = 0) -> dict[str, Item] | None:
        """Names with their values, merge keys (``<<``) followed; a name that is written twice is a problem."""
        if item.is_null:
            return {}
        if not isinstance(item.node, yaml.MappingNode):
            self._wrong(item, "a mapping of names to values")
            return None
        if merge_depth > _DEEPEST:
            self._wrong(item, "merged (<<) less deeply")
            return None
        found: dict[str, Item] = {}
        merged: dict[str, Item] = {}
        for key, value in item.node.value:
            if key.tag == _MERGE_TAG:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    shared = self.mapping(Item(item.name, item.file, item.line, source), merge_depth + 1)
                    merged = (shared or {}) | merged
                continue
            name = str(key.value)
            dotted = f"{item.name}.{name}" if item.name else name
            entry = Item(dotted, item.file, key.start_mark.line + 1, value)
            if name in found:
                self.problems.error(
                    entry.place, f'"{dotted}" is already written on line {found[name].line}; remove one'
                )
            found[name] = entry
        return merged | found

    def sequence(self, item: Item) -> list[Item] | None:
        if item.is_null:
            return []
        if not isinstance(item.node, yaml.SequenceNode):
            self._wrong(item, "a list")
            return None
        return [
            Item(f"{item.name}[{index}]", item.file, node.start_mark.line + 1, node)
            for index, node in enumerate(item.node.value)
        ]

    def text(self, item: Item) -> str | None:
        """A scalar as written; ``os.environ/NAME`` is the variable, which must be set."""
        if item.is_null:
            return None
        if not isinstance(item.node, yaml.ScalarNode):
            self._wrong(item, "a text")
            return None
        written = str(item.node.value)
        variable = _variable(written)
        if variable is None:
            return written
        if not self.environ.get(variable):
            self.problems.error(
                item.place, f'{item.name} refers to the environment variable "{variable}", which is not set'
            )
            return None
        return self.environ[variable]

    def integer(self, item: Item, least: int = 0) -> int | None:
        return self._parsed(item, f"a whole number of at least {least}", lambda text: parse_integer(text, least))

    def boolean(self, item: Item) -> bool | None:
        return self._parsed(item, "true or false", parse_boolean)

    def dollars(self, item: Item) -> Decimal | None:
        return self._parsed(item, "a price in dollars such as 0.000003 or 3e-06", parse_dollars)

    def amount(self, item: Item) -> NanoUSD | None:
        return self._parsed(item, "an amount in dollars such as 100 or 0.5", parse_amount)

    def seconds(self, item: Item) -> int | None:
        """Whole seconds of at least 1; fractions are rounded up."""
        return self._parsed(item, "a number of seconds above 0", parse_seconds)

    def pause(self, item: Item) -> int | None:
        """Whole seconds that may be 0."""
        return 0 if self.text(item) in ("0", "0.0") else self.seconds(item)

    def percent(self, item: Item) -> int | None:
        """A share written as 0.5, in percent."""
        return self._parsed(item, "a share such as 0.1", lambda text: int(parse_dollars(text) * 100))

    def texts(self, item: Item) -> tuple[str, ...] | None:
        items = self.sequence(item)
        if items is None:
            return None
        return tuple(text for entry in items if (text := self.text(entry)) is not None)

    def text_mapping(self, item: Item) -> dict[str, str] | None:
        items = self.mapping(item)
        if items is None:
            return None
        return {name: text for name, entry in items.items() if (text := self.text(entry)) is not None}

    def check_names(
        self,
        items: Mapping[str, Item],
        section: str,
        honoured: Collection[str],
        known: Collection[str],
        is_known: Callable[[str], bool] | None = None,
    ) -> None:
        """A name that LiteLLM knows and we do not honour is a notice, once; one nobody knows is an error.

        ``is_known`` tells of the names that are too many to list.
        """
        for name, item in items.items():
            if name in honoured:
                continue
            dotted = f"{section}.{name}" if section else name
            if name not in known and not (is_known is not None and is_known(name)):
                where = f"in {section}" if section else "at the top level"
                self.problems.error(
                    item.place, f'"{name}" is not known {where}; {nearest_names(name, honoured, known)}'
                )
            elif dotted not in self._reported:
                self._reported.add(dotted)
                self.problems.notice(f"{item.place}: {dotted} is LiteLLM's and not honoured yet: it has no effect")

    def _parsed(self, item: Item, wanted: str, parse: Callable[[str], Value]) -> Value | None:
        text = self.text(item)
        if text is None:
            return None
        try:
            return parse(text.strip())
        except ValueError:
            self.problems.error(item.place, f'{item.name} is "{text}", which is not {wanted}')
            return None

    def _wrong(self, item: Item, wanted: str) -> None:
        kinds = {yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}
        kind = next(name for node_type, name in kinds.items() if isinstance(item.node, node_type))
        self.problems.error(item.place, f"{item.name or 'the file'} is {kind}, but it must be {wanted}")


def _variable(written: str) -> str | None:
    """The name in ``os.environ/NAME``; None for any other text."""
    if not written.startswith(ENVIRONMENT_REFERENCE):
        return None
    return written.removeprefix(ENVIRONMENT_REFERENCE).strip()
