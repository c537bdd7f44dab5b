"""What was spent before the take-over, as receipts: one for each day, key and model of LiteLLM's own daily sums."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from msgspec.structs import replace

from app.admin.litellm import rows as tables
from app.admin.litellm.draft import Draft
from app.admin.litellm.keys import KeyPlanner, PlannedKey
from app.admin.litellm.rows import Row
from app.base.ids import BudgetId
from app.base.money import NanoUSD
from app.domain.budgets import Budget, parse_duration, window_at
from app.domain.pricing import NO_COST, reported_cost
from app.domain.spend import Receipt
from app.domain.usage import Usage

TAKEN_OVER: Literal["taken_over"] = "taken_over"
# Two floating sums of the same calls differ by less than a thousandth of a thousandth of a dollar.
_DUST: NanoUSD = 1_000
_LAST_SECOND = time(23, 59, 59, tzinfo=UTC)


class SpendPlanner:
    """Books what each key spent once, together with the key; what a later run finds of a known key is not booked."""

    def __init__(self, draft: Draft, keys: KeyPlanner) -> None:
        self._draft = draft
        self._keys = keys
        self._booked: dict[str, list[tuple[datetime, NanoUSD]]] = defaultdict(list)
        self._gone: dict[str, PlannedKey] = {}

    def run(self) -> None:
        deleted = {row.need("token"): row for row in self._draft.source[tables.DELETED_KEYS]}
        for number, row in enumerate(self._draft.source[tables.DAILY_SPEND]):
            token = row.text("api_key") or ""
            if token in self._keys.known:
                continue
            key = self._keys.keys.get(token) or self._key_of_the_past(token, row, deleted.get(token))
            if key is not None:
                self._day(number, token, key, row)
        for token, key in self._keys.keys.items():
            self._rest(token, key)

    def _key_of_the_past(self, token: str, day: Row, deleted: Row | None) -> PlannedKey | None:
        """Who is charged for a key that LiteLLM has no more; None when that was booked by an earlier run."""
        key_id = key_id_of_the_past(token)
        if key_id in self._draft.present.booked_keys:
            return None
        if token not in self._gone:
            self._draft.plan.left["keys that are gone; their spend is carried over"].append(key_id)
            row = deleted or day
            organization_id, team_id, user_id = map(row.text, ("organization_id", "team_id", "user_id"))
            self._gone[token] = PlannedKey(key_id, organization_id, team_id, user_id)
        return self._gone[token]

    def _day(self, number: int, token: str, key: PlannedKey, row: Row) -> None:
        cost = row.amount("spend") or 0
        prompt, output = row.count("prompt_tokens") or 0, row.count("completion_tokens") or 0
        read, written = (row.count(f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
        try:
            day = date.fromisoformat(row.text("date") or "")
        except ValueError:
            self._draft.plan.left["days of spend without a date"].append(token[:12])
            return
        if not cost and not prompt and not output:
            return
        at = min(datetime.combine(day, _LAST_SECOND), self._draft.at)
        model = row.text("model") or "unknown"
        self._draft.plan.receipts.append(
            replace(
                _template(key, at),
                request_id=f"{TAKEN_OVER}_{key.key_id}_{day:%Y%m%d}_{number}",
                model_asked=row.text("model_group") or model,
                model_served=model,
                provider=row.text("custom_llm_provider") or "unknown",
                usage=Usage(max(0, prompt - read - written), read, written, output=output),
                cost=reported_cost(cost),
            )
        )
        self._booked[token].append((at, cost))

    def _rest(self, token: str, key: PlannedKey) -> None:
        """What the key's own counter has beyond the days: all of it where LiteLLM kept no daily sums."""
        assert key.row is not None
        spend = key.row.amount("spend") or 0
        start = _window_start(key.budget, self._draft.at)
        rest = spend - sum(cost for at, cost in self._booked[token] if at >= start)
        if rest > _DUST:
            whole = replace(_template(key, self._draft.at), request_id=f"{TAKEN_OVER}_{key.key_id}_rest")
            self._draft.plan.receipts.append(replace(whole, cost=reported_cost(rest)))


def key_id_of_the_past(token: str) -> str:
    """Under which name the spend of a key stands of which there is no more than its hash."""
    return f"key_litellm_{token[:16] or 'none'}"


def _window_start(budget: Mapping[str, Any] | None, at: datetime) -> datetime:
    """Since when LiteLLM's counter of the key counts."""
    if budget is None or budget["duration"] is None:
        return at - timedelta(days=365_000)
    terms = Budget(BudgetId(""), 0, parse_duration(budget["duration"]), budget["anchor"], at)
    return window_at(terms, at).start


def _template(key: PlannedKey, at: datetime) -> Receipt:
    """A receipt of the key without what was called."""
    return Receipt(
        request_id=TAKEN_OVER,
        attempt=1,
        started_at=at,
        duration_ms=0,
        first_byte_ms=None,
        organization_id=key.organization_id,
        team_id=key.team_id,
        user_id=key.user_id,
        key_id=key.key_id,
        customer_id=None,
        tags=key.tags,
        session_id=None,
        agent_id=None,
        route=TAKEN_OVER,
        model_asked=TAKEN_OVER,
        model_served=TAKEN_OVER,
        provider=TAKEN_OVER,
        deployment_id=TAKEN_OVER,
        protocol_in=TAKEN_OVER,
        protocol_out=TAKEN_OVER,
        streamed=False,
        usage=Usage(),
        cost=NO_COST,
        price_version=TAKEN_OVER,
        price_source=TAKEN_OVER,
        usage_source=TAKEN_OVER,
        status="ok",
        finish_reason=None,
    )
