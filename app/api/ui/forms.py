"""What is typed into a form, as the body of the route that the form stands for, and refusals in the form's words.

A field of a form that changes something is sent with what it held before, as ``was_…``: only what the person changed
goes into the body, so that two who change different things at once both get what they want.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.api.ui.access import Form
from app.api.ui.role_words import with_role_names
from app.api.ui.typed_numbers import EXAMPLES, WHOLE_EXAMPLES, plain_number
from app.base.errors import CallerError, Unprocessable
from app.base.money import NANO_PER_USD, NanoUSD
from app.storage.postgres.budgets import StoredBudget

Reader = Callable[[str, str], bytes]
"""The name of a field and what was typed, not empty: as JSON. Raises Unprocessable."""
WORDS: Mapping[str, str] = {
    "max_budget": "the budget", "soft_budget": "the warning", "budget_duration": "the period",
    "budget_id": "the budget", "rpm_limit": "requests a minute", "tpm_limit": "tokens a minute",
    "tpd_limit": "tokens a day",
    "max_parallel_requests": "requests at the same time", "key_alias": "the name", "team_alias": "the name",
    "organization_alias": "the name", "project_alias": "the name", "user_alias": "the name", "alias": "the name",
    "user_email": "the e-mail address", "user_id": "the id", "user_role": "the role", "role": "the role",
    "models": "the models", "metadata": "the notes", "tags": "the tags", "organization_id": "the organization",
    "cost_center": "the cost centre", "team_id": "the team", "project_id": "the project",
    "team_member_budget": "the budget of each member",
    "team_member_budget_duration": "the period of each member", "max_budget_in_team": "the budget in the team",
    "team_member_rpm_limit": "requests a minute of each member", "budget_timezone": "the time zone",
    "team_member_tpm_limit": "tokens a minute of each member", "duration": "the expiry", "on_exceed": "a full budget",
    "temp_budget_increase": "the increase", "temp_budget_expiry": "the end of the increase",
    "effective_from": "the beginning", "ends": "the end", "input_cost_per_token": "the price of input",
    "output_cost_per_token": "the price of output",
    "name": "the name", "description": "the description", "url": "the address", "recipients": "the recipients",
    "credential_values": "the further values", "allowed_model_region": "the region",
    "budget_fallbacks": "what serves instead",
}  # fmt: skip
_ROUTES = re.compile(
    r"; change it with /budget/update, or send .* to leave that budget"
    r"|[;,:] (?:[a-z ]+ )?(?:(?:GET|POST) /[a-z0-9_/]+|/[a-z0-9_]+/[a-z_/]+)(?:\?\S+)?|(?<=[.?]) See GET /[a-z0-9_/]+"
)
"""Where a route of the API is named as the next step: somebody at a page takes none."""
_AMOUNT = re.compile(r"\b(\d+)\.(\d\d)(\d{4,7})\b")
"""Dollars as refusals name them, with at least six digits."""
BUDGET_FIELDS = ("max_budget", "budget_duration", "soft_budget", "budget_timezone", "on_exceed", "budget_id")
LIMIT_FIELDS = ("rpm_limit", "tpm_limit", "tpd_limit", "max_parallel_requests")
_LIMIT_COLUMNS = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "max_parallel_requests")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a form was not taken, in the words of the form."""

    message: str
    status: int
    param: str | None


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it is shown: what stands in its fields, what stood there when it was first shown, and the refusal.

    Names that are not in ``typed`` are empty. ``lists`` are the fields of several values.
    """

    typed: Mapping[str, str] = field(default_factory=dict)
    was: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    error: Refusal | None = None

    def value(self, name: str) -> str:
        return self.typed.get(name, "")

    def before(self, name: str) -> str:
        return self.was.get(name, "")

    def values(self, name: str) -> list[str]:
        return self.lists.get(name, [])

    def is_wrong(self, name: str) -> bool:
        return self.error is not None and self.error.param == name

    def any_of(self, *names: str) -> bool:
        """Whether something stands in one of these fields: for a part of the form that is folded otherwise."""
        return any(self.typed.get(name) or self.is_wrong(name) for name in names)


def filled(shown: Mapping[str, str], lists: Mapping[str, Iterable[str]] | None = None) -> Filled:
    """For the first time, with what is there already."""
    chosen = {name: list(values) for name, values in (lists or {}).items()}
    was = {**shown, **{name: "\n".join(values) for name, values in chosen.items()}}
    return Filled(shown, was, chosen)


def refused(form: Form, names: Iterable[str], lists: Iterable[str], error: CallerError) -> Filled:
    """Once more, with what was typed."""
    names, lists = list(names), list(lists)
    typed = {name: form.text(name) for name in (*names, *(f"further_{name}" for name in lists))}
    was = {name: form.raw(f"was_{name}") for name in (*names, *lists)}
    return Filled(typed, was, {name: form.texts(name) for name in lists}, as_refusal(error))


def as_refusal(error: CallerError) -> Refusal:
    return Refusal(in_words(error.message), error.status, error.param)


def in_words(message: str) -> str:
    """What a route refuses, in those of its form. Said twice it stays the same."""
    message = with_role_names(without_routes(message))
    for name, words in WORDS.items():
        message = message.replace(f'"{name}"', words)
    return _AMOUNT.sub(lambda found: f"${int(found[1]):,}.{found[2]}{found[3].rstrip('0')}", message)


def without_routes(message: str) -> str:
    return _ROUTES.sub("", message)


def read_fields(form: Form, readers: Mapping[str, Reader], *, changes: bool) -> dict[str, bytes]:
    """The body of what was typed; with ``changes`` of what is another now, null where it is empty. Raises
    Unprocessable."""
    body = {}
    for name, reader in readers.items():
        if not form.has(name):
            continue
        typed = form.text(name).replace("\r\n", "\n")
        if changes and typed == form.raw(f"was_{name}").strip().replace("\r\n", "\n"):
            continue
        if typed:
            body[name] = reader(name, typed)
        elif changes:
            body[name] = b"null"
    return body


def read_list(form: Form, name: str, *, changes: bool) -> dict[str, bytes]:
    """What was ticked under ``name`` and typed under ``further_…``, separated by commas or lines."""
    typed = form.raw(f"further_{name}").replace("\n", ",").split(",")
    found = list(dict.fromkeys([*form.texts(name), *(one.strip() for one in typed if one.strip())]))
    before = [one for one in form.raw(f"was_{name}").replace("\r\n", "\n").split("\n") if one]
    if set(found) == set(before) if changes else not found:
        return {}
    return {name: as_json(found)}


def as_json(value: Any) -> bytes:  # noqa: ANN401  whatever JSON can say
    return msgspec.json.encode(value)


def as_body(**named: Any) -> dict[str, bytes]:  # noqa: ANN401  whatever JSON can say
    return {name: as_json(value) for name, value in named.items()}


def text(_: str, typed: str) -> bytes:
    return as_json(typed)


def number(name: str, typed: str) -> bytes:
    """As a number of JSON: ``$1,250.50`` too."""
    return _number(name, typed, EXAMPLES)


def whole_number(name: str, typed: str) -> bytes:
    """The same of what has no parts, which its reader looks at."""
    return _number(name, typed, WHOLE_EXAMPLES)


def _number(name: str, typed: str, examples: str) -> bytes:
    plain = plain_number(typed)
    if plain is None:
        raise Unprocessable(f'"{name}" is "{typed[:50]}"; give a number such as {examples}', param=name)
    return plain.encode()


def names(_: str, typed: str) -> bytes:
    """Separated by commas or lines, each once."""
    found = (one.strip() for one in typed.replace("\n", ",").split(","))
    return as_json(list(dict.fromkeys(one for one in found if one)))


def names_by_name(name: str, typed: str) -> bytes:
    """Lines of a name, a colon, and names separated by commas: an object of lists. What is named twice adds up."""
    found: dict[str, list[str]] = {}
    for line in typed.splitlines():
        first, colon, rest = line.partition(": " if ": " in line else ":")  # names may hold colons: llama3:8b
        several = [one.strip() for one in rest.split(",") if one.strip()]
        if line.strip() and not (colon and first.strip() and several):
            raise Unprocessable(
                f'"{name}" has the line "{line.strip()[:80]}"; write a model, a colon, and those that serve '
                "instead: claude-opus-4-8: claude-sonnet-4-6, claude-haiku-4-5",
                param=name,
            )
        if several:
            found.setdefault(first.strip(), []).extend(several)
    return as_json(found)


def lines_of(lists: Mapping[str, Iterable[str]]) -> str:
    """As ``names_by_name`` reads them."""
    return "\n".join(f"{name}: {', '.join(several)}" for name, several in sorted(lists.items()))


def json_object(name: str, typed: str) -> bytes:
    """JSON as it stands."""
    try:
        msgspec.json.decode(typed, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unprocessable(f'"{name}" must be an object of JSON, such as {{"owner": "Ada"}}', param=name) from error
    return typed.encode()


BUDGET_READERS: Mapping[str, Reader] = {
    "max_budget": number, "budget_duration": text, "soft_budget": number, "budget_timezone": text, "on_exceed": text,
    "budget_id": text,
}  # fmt: skip
LIMIT_READERS: Mapping[str, Reader] = dict.fromkeys(LIMIT_FIELDS, whole_number)


def shown_budget(budget: StoredBudget | None) -> dict[str, str]:
    """As the fields of a form hold it: of a shared one its id alone."""
    shown = dict.fromkeys(BUDGET_FIELDS, "")
    if budget is None:
        return shown
    if budget.shared:
        return shown | {"budget_id": budget.budget_id}
    return shown | {
        "max_budget": plain_usd(budget.limit_nanousd),
        "budget_duration": plain(budget.duration),
        "soft_budget": plain_usd(budget.soft_limit_nanousd),
        "budget_timezone": plain(budget.timezone),
        "on_exceed": plain(budget.on_exceed),
    }


def shown_limits(row: Any) -> dict[str, str]:  # noqa: ANN401  any stored row with limits
    return {name: plain(getattr(row, column)) for name, column in zip(LIMIT_FIELDS, _LIMIT_COLUMNS, strict=True)}


def plain(value: object) -> str:
    return "" if value is None else str(value)


def plain_usd(amount: NanoUSD | None) -> str:
    """As somebody types it: 1250.5."""
    if amount is None:
        return ""
    whole, part = divmod(amount, NANO_PER_USD)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".")


def pretty(metadata: Mapping[str, Any]) -> str:
    return msgspec.json.format(as_json(metadata), indent=2).decode() if metadata else ""
