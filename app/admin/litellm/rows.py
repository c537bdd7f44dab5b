"""LiteLLM's rows as they come: JSON objects, read leniently, since every version of it has other columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from app.base.errors import Unprocessable
from app.base.money import NanoUSD, parse_usd
from app.domain.budgets import Duration, parse_duration

ORGANIZATIONS = "LiteLLM_OrganizationTable"
TEAMS = "LiteLLM_TeamTable"
USERS = "LiteLLM_UserTable"
BUDGETS = "LiteLLM_BudgetTable"
CUSTOMERS = "LiteLLM_EndUserTable"
TAGS = "LiteLLM_TagTable"
KEYS = "LiteLLM_VerificationToken"
GRACE = "LiteLLM_DeprecatedVerificationToken"
DELETED_KEYS = "LiteLLM_DeletedVerificationToken"
TEAM_MEMBERS = "LiteLLM_TeamMembership"
ORGANIZATION_MEMBERS = "LiteLLM_OrganizationMembership"
MODELS = "LiteLLM_ProxyModelTable"
DAILY_SPEND = "LiteLLM_DailyUserSpend"
TABLES = (
    ORGANIZATIONS, TEAMS, USERS, BUDGETS, CUSTOMERS, TAGS, KEYS, GRACE, DELETED_KEYS, TEAM_MEMBERS,
    ORGANIZATION_MEMBERS, MODELS, DAILY_SPEND,
)  # fmt: skip
LARGEST_COUNT = 2**53 - 1
_EXACTLY: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_EMPTY: tuple[Any, ...] = (None, "", [], {}, False, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of one of LiteLLM's tables. A value of another type than expected counts as none."""

    values: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return value.replace("\0", "") or None if isinstance(value, str) else None

    def need(self, name: str) -> str:
        """Raises Unprocessable for a row without it."""
        found = self.text(name)
        if found is None:
            raise Unprocessable(f'a row of LiteLLM\'s has no "{name}": {str(dict(self.values))[:80]}', param="tables")
        return found

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name)
        return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

    def map(self, name: str) -> dict[str, Any]:
        """Open JSON, as it is kept here."""
        found: dict[str, Any] = _with_plain_numbers(self.exact_map(name))
        return found

    def exact_map(self, name: str) -> dict[str, Any]:
        """With numbers as exact decimals."""
        value = self._json(name)
        return value if isinstance(value, dict) else {}

    def entries(self, name: str) -> list[dict[str, Any]]:
        """A list of objects, with numbers as exact decimals."""
        value = self._json(name)
        return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

    def _json(self, name: str) -> Any:  # noqa: ANN401
        """Some versions keep JSON as a text."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return _EXACTLY.decode(value)
        except msgspec.DecodeError:
            return None

    def count(self, name: str) -> int | None:
        value = self.values.get(name)
        is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT
        return value if is_count else None

    def flag(self, name: str) -> bool:
        return self.values.get(name) is True

    def amount(self, name: str) -> NanoUSD | None:
        """None for what is no amount of ours too: negative, or beyond nine million dollars."""
        return amount_of(self.values.get(name))

    def time(self, name: str) -> datetime | None:
        """LiteLLM's times are in UTC and do not say so."""
        value = self.text(name)
        if value is None:
            return None
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

    def duration(self, name: str) -> Duration | None:
        return duration_of(self.values.get(name))

    def has(self, name: str) -> bool:
        return self.values.get(name) not in _EMPTY


def amount_of(value: object) -> NanoUSD | None:
    """None for what is no amount of ours; some versions write one as a text."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        return None
    try:
        amount = parse_usd(value)
    except (ValueError, ArithmeticError):
        return None
    return amount if amount >= 0 else None


def duration_of(value: object) -> Duration | None:
    try:
        return parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _with_plain_numbers(value: Any) -> Any:  # noqa: ANN401  JSON
    """Amounts are read exactly, and numbers in what people keep for themselves as JSON has them."""
    match value:
        case dict():
            return {name: _with_plain_numbers(entry) for name, entry in value.items()}
        case list():
            return [_with_plain_numbers(entry) for entry in value]
        case Decimal():
            return float(value)
        case _:
            return value


Tables = Mapping[str, list[Row]]


def read_tables(raw: bytes) -> Tables:
    """Of a JSON object of lists of rows. Raises Unprocessable."""
    decoder = msgspec.json.Decoder(dict[str, list[dict[str, Any]]], float_hook=Decimal)
    try:
        found = decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unprocessable(f'"tables" must be an object of lists of rows: {error}', param="tables") from error
    if b"\\u0000" in raw:
        raise Unprocessable('"tables" holds a NUL character, which cannot be stored', param="tables")
    unknown = sorted(set(found) - set(TABLES))
    if unknown:
        raise Unprocessable(f'"tables" has "{unknown[0]}"; it may have {", ".join(TABLES)}', param="tables")
    return {name: [Row(row) for row in found.get(name, [])] for name in TABLES}
