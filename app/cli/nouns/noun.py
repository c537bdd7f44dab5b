"""What a noun of the command line is made of, and the commands that are made of it."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import click
import msgspec

from app.cli.client import Answer, call
from app.cli.counting import counted
from app.cli.groups import Group
from app.cli.tables import Column, terminal_width, write_sheet, write_table
from app.settings import environment, load_settings

NOTHING = "none"
"""Said for a value it clears the field."""
_LARGEST_PAGE = 100
Given = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """What a person may give: an argument called ``word``, or an option ``--word``.

    ``name`` is the API's; dots lead into objects. ``read`` makes JSON of the text, or raises ValueError saying what
    it is not. A person ``by_address`` may be given by id or by address.
    """

    word: str
    name: str
    says: str = ""
    read: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    by_address: bool = False


class Shown(Protocol):
    """What is printed of an answer."""

    def write(self, answer: Answer, given: Given) -> str: ...


@dataclass(frozen=True, slots=True)
class Verb:
    """One command. ``given`` is always sent; ``warns`` is asked at a terminal before anything is lost."""

    name: str
    does: str
    example: str
    path: str
    shows: Shown
    method: str = "POST"
    arguments: tuple[Field, ...] = ()
    options: tuple[Field, ...] = ()
    sends: Mapping[str, Any] = field(default_factory=dict)
    warns: str = ""


@dataclass(frozen=True, slots=True)
class Noun:
    name: str
    does: str
    verbs: tuple[Verb, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One field of the answer, alone, for a script to take."""

    at: str

    def write(self, answer: Answer, given: Given) -> str:  # noqa: ARG002  as Shown has it
        return str(find(answer.value, self.at))


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence with what was given in it."""

    sentence: str

    def write(self, answer: Answer, given: Given) -> str:  # noqa: ARG002
        return self.sentence.format_map(given)


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of a list, and below it which page of how many; ``at`` is where the rows are in the answer."""

    columns: tuple[Column, ...]
    of: str
    at: str = ""

    def write(self, answer: Answer, given: Given) -> str:  # noqa: ARG002
        value = answer.value
        page, pages, total = _paging(answer)
        paging = f"page {page} of {max(1, pages)}, {counted(total, self.of.removesuffix('s'))}"
        return f"{write_table(self.columns, find(value, self.at), terminal_width())}\n{paging}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One thing, field by field, with the lists that belong to it below."""

    fields: tuple[str, ...]
    at: str = ""
    lists: tuple[Rows, ...] = ()

    def write(self, answer: Answer, given: Given) -> str:  # noqa: ARG002
        value = answer.value
        parts = [write_sheet(self.fields, find(value, self.at))]
        for rows in self.lists:
            found = find(value, rows.at) or []
            if found:
                parts.append(f"{rows.of} ({len(found)})\n{write_table(rows.columns, found, terminal_width())}")
        return "\n\n".join(parts)


def find(value: Any, at: str) -> Any:  # noqa: ANN401  JSON
    """What stands at a path of names and places, separated by dots; a star is the only one."""
    for name in at.split(".") if at else []:
        if name == "*":
            [value] = value.values()
            continue
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def read_texts(text: str) -> list[str]:
    return [] if text == NOTHING else [name.strip() for name in text.split(",") if name.strip()]


def read_dollars(text: str) -> msgspec.Raw:
    """A JSON number with the digits as they were written."""
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("is not an amount in dollars") from error
    if not amount.is_finite():
        raise ValueError("is not an amount in dollars")
    return msgspec.Raw(f"{amount:f}".encode())


def read_count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("is not a whole number")
    return int(text)


def read_secret(text: str) -> str:
    """As it stands, or out of the file that is named after an @: a secret does not belong into a history."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read ({error})") from error


def read_object(text: str) -> msgspec.Raw:
    """A JSON object, with its digits as they were written."""
    return _read_json(text, dict[str, Any], "a JSON object")


def read_list(text: str) -> msgspec.Raw:
    """A JSON list, with its digits as they were written."""
    return _read_json(text, list[Any], "a JSON list")


def _read_json(text: str, kind: Any, name: str) -> msgspec.Raw:  # noqa: ANN401
    try:
        msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(f"is not {name} ({error})") from error
    return msgspec.Raw(text.encode())


def build(noun: Noun) -> click.Group:
    """The group of the noun's commands."""
    first = noun.verbs[0]
    group = Group(noun.name, help=f"{noun.does}\n\nExample: keyhouse {noun.name} {first.name} {first.example}")
    for verb in noun.verbs:
        group.add_command(_command(noun, verb))
    return group


def _command(noun: Noun, verb: Verb) -> click.Command:
    parameters: list[click.Parameter] = [
        click.Argument([one.word.replace("-", "_")], metavar=one.word.upper()) for one in verb.arguments
    ]
    parameters += [
        click.Option(
            [f"--{one.word}", one.word.replace("-", "_")],
            help=one.says,
            type=click.Choice(one.choices) if one.choices else str,
        )
        for one in verb.options
    ]
    if isinstance(verb.shows, Rows):
        page = click.Option(["--page"], type=click.IntRange(1), default=1, show_default=True, help="Counted from 1.")
        size = click.IntRange(1, _LARGEST_PAGE)
        parameters += [page, click.Option(["--size"], type=size, default=_LARGEST_PAGE, help="Rows of a page.")]
    if verb.warns:
        parameters.append(click.Option(["--yes", "sure"], is_flag=True, help="Do not ask."))
    parameters.append(click.Option(["--json", "as_json"], is_flag=True, help="Print the API's own JSON."))

    def run(**words: Any) -> None:  # noqa: ANN401  click gives them
        _run(verb, words)

    example = f"keyhouse {noun.name} {verb.name} {verb.example}".rstrip()
    return click.Command(verb.name, params=parameters, callback=run, help=f"{verb.does}\n\nExample: {example}")


def _run(verb: Verb, words: Mapping[str, Any]) -> None:
    known = (*verb.arguments, *verb.options)
    texts = {one.word: words[one.word.replace("-", "_")] for one in known}
    given = {word: text for word, text in texts.items() if text is not None}
    path, payload = verb.path, dict(verb.sends)
    for one in known:
        if one.word not in given:
            continue
        if f"{{{one.word}}}" in path:
            path = path.replace(f"{{{one.word}}}", quote(given[one.word], safe=""))
        else:
            _put(payload, _api_name(one, given[one.word]), _read(one, given[one.word]))
    payload |= {name: words[name] for name in ("page", "size") if name in words}
    if verb.warns and not words["sure"] and sys.stdin.isatty():
        click.confirm(verb.warns.format_map(given), abort=True)
    answer = call(load_settings(environment(), {}), verb.method, path, payload)
    click.echo(answer.text if words["as_json"] else verb.shows.write(answer, given))


def _api_name(one: Field, text: str) -> str:
    return one.name.replace("user_id", "user_email") if one.by_address and "@" in text else one.name


def _read(one: Field, text: str) -> Any:  # noqa: ANN401  JSON
    if text == NOTHING and one.read is not read_texts:
        return None
    try:
        return one.read(text)
    except ValueError as error:
        raise click.BadParameter(f'"{text}" {error}', param_hint=f"--{one.word}") from error


def _put(payload: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401
    *objects, last = name.split(".")
    for key in objects:
        payload[key] = dict(payload.get(key, {}))
        payload = payload[key]
    payload[last] = value


def _paging(answer: Answer) -> tuple[int, int, int]:
    """Number of the page, of pages and of rows: in the answer itself, or in its headers when that is a bare list."""
    value = answer.value
    if isinstance(value, list):
        headers = {name: int(answer.headers.get(name, len(value))) for name in ("x-page", "x-total-pages")}
        return headers["x-page"], headers["x-total-pages"], int(answer.headers.get("x-total-count", len(value)))
    page = value["current_page"] if "current_page" in value else value["page"]
    return page, value["total_pages"], value["total_count"] if "total_count" in value else value["total"]
