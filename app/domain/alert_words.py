"""The words of alerts: whose, how much of what, when it resets, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from app.base.money import NANO_PER_USD, NanoUSD, format_usd
from app.domain.alerts import Alert, AlertKind
from app.domain.budgets import Budget, BudgetWindow
from app.domain.tenancy import PLATFORM, ids_in, owners_in, serving_of

_CENT = NANO_PER_USD // 100
# Where the budget of each kind of owner is changed, and by which field.
_CHANGED_BY = {
    "key": ("/key/update", "max_budget"),
    "member": ("/team/member_update", "max_budget_in_team"),
    "team": ("/team/update", "max_budget"),
    "user": ("/user/update", "max_budget"),
    "organization": ("/organization/update", "max_budget"),
    "customer": ("/customer/update", "max_budget"),
    "tag": ("/tag/update", "max_budget"),
    "project": ("/project/update", "max_budget"),
    "pool": ("/budget/update", "max_budget"),
}

_PERIODS = {"1h": "hour", "1d": "day", "7d": "week", "1w": "week", "30d": "month", "1mo": "month"}
# Requests name some owners by other words than receipts.
_NAMED_BY = {"key_id": "key", "customer_id": "user_id", "tag": "name"}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose budget or spend it is: ``title`` is ``team "research"``, ``scope`` as app.domain.tenancy names it."""

    scope: str
    title: str
    team_id: str | None = None
    organization_id: str | None = None

    @property
    def kind(self) -> str:
        """Of whom it is; of one model's budget, of whom that model is. The platform has such of access groups alone."""
        if self.access_group is not None:
            return "access_group"
        scope = ids_in(self.scope)[0] if self.scope.startswith("model:") else self.scope
        if scope == PLATFORM:
            return "platform"
        if (serving := serving_of(scope)) is not None:
            return serving[0]
        kind, colon, _ = scope.partition(":")
        return kind if colon else "key"

    @property
    def access_group(self) -> str | None:
        if not self.scope.startswith("model:"):
            return None
        whose, name = ids_in(self.scope)
        return name if whose == PLATFORM else None

    @property
    def facts(self) -> dict[str, Any]:
        facts = {"scope": self.scope, "owner": self.title, "owner_kind": self.kind, **owners_in(self.scope)}
        if self.access_group is not None:
            facts["access_group"] = self.access_group
        if (serving := serving_of(self.scope)) is not None:
            facts["deployment_id" if serving[0] == "deployment" else "provider"] = serving[1]
        return facts


@dataclass(frozen=True, slots=True)
class BudgetFacts:
    """One budget of an owner in its present window."""

    owner: Owner
    budget: Budget
    window: BudgetWindow
    spent_nanousd: NanoUSD
    limit_nanousd: NanoUSD | None
    soft_limit_nanousd: NanoUSD | None

    @property
    def subject(self) -> str:
        name = ";".join(part for part in (self.budget.budget_id, self.budget.part) if part)
        return f"{self.owner.scope}|{name}|{int(self.window.start.timestamp())}"


def threshold_reached(budget: BudgetFacts, percent: int) -> Alert:
    limit = budget.limit_nanousd or 0
    title = f"{_upper(budget.owner.title)} has spent {percent} % of its budget"
    effect = "its calls are refused" if budget.owner.access_group is None else "calls of its models are refused"
    if serving_of(budget.owner.scope) is not None:
        effect = "other deployments serve its models, and calls are refused where there are none"
    if percent < 100:
        effect = f"At 100 % {effect}."
    else:
        effect = f"{_upper(effect)}." if budget.window.end is None else f"{_upper(effect)} until then."
    text = f"{_spent_of(budget, limit)}\n{effect} {_next_step(budget)}"
    return _of_budget(budget, "budget.threshold_reached", limit, percent, (title, text))


def soft_limit_reached(budget: BudgetFacts, percent: int) -> Alert:
    soft = budget.soft_limit_nanousd or 0
    title = f"{_upper(budget.owner.title)} has spent {percent} % of its soft budget"
    limit = budget.limit_nanousd
    is_spent = limit is not None and budget.spent_nanousd >= limit
    effect = "The budget beside it is spent, and refuses." if is_spent else "Nothing is refused."
    text = f"{_spent_of(budget, soft)}\n{effect} {_next_step(budget, soft=True)}"
    return _of_budget(budget, "budget.soft_limit_reached", soft, percent, (title, text))


def forecast_exceeded(budget: BudgetFacts, expected: NanoUSD, reached: datetime | None) -> Alert:
    limit = budget.limit_nanousd or budget.soft_limit_nanousd or 0
    soft = budget.limit_nanousd is None
    title = f"{_upper(budget.owner.title)} is on course to exceed its {'soft ' if soft else ''}budget"
    when = "" if reached is None else f", and the budget is reached on {_instant(reached)}"
    text = (
        f"{_spent_of(budget, limit)}\nAt this pace {usd(expected)} USD are spent by then{when}. "
        f"{_next_step(budget, soft=soft)}"
    )
    facts = {"forecast_usd": format_usd(expected), "reached_at": reached}
    return _of_budget(budget, "budget.forecast_exceeded", limit, 0, (title, text), facts)


def spends_faster(owner: Owner, last_hour: NanoUSD, usual_hour: NanoUSD, hour: datetime) -> Alert:
    return Alert(
        name=f"spend.velocity|{owner.scope}|{int(hour.timestamp())}",
        subject=f"spend.velocity|{owner.scope}",
        kind="spend.velocity",
        title=f"{_upper(owner.title)} spends far more than usual",
        text=(
            f"{usd(last_hour)} USD in the last hour; {usd(usual_hour)} USD is usual in an hour with any spend.\n"
            f"Look at its calls with GET /spend/logs{_stop(owner)}"
        ),
        facts=owner.facts | {"last_hour_usd": format_usd(last_hour), "usual_hour_usd": format_usd(usual_hour)},
        team_id=owner.team_id,
        organization_id=owner.organization_id,
    )


def unpriced_model(provider: str, model: str, calls: int, cost: NanoUSD, at: datetime) -> Alert:
    year, week, _ = at.isocalendar()
    return Alert(
        name=f"model.unpriced|{provider}|{model}|{year}-W{week:02}",
        subject=f"model.unpriced|{provider}|{model}",
        kind="model.unpriced",
        title=f'The model "{model}" of {provider} is used without a known price',
        text=(
            f"{calls} {'call' if calls == 1 else 'calls'} lately, charged {usd(cost)} USD at the price of unpriced "
            "models.\nGive it a price: POST /price/new, or input_cost_per_token and output_cost_per_token in the "
            "configuration; or refuse such models with unpriced_models: refuse."
        ),
        facts={"provider": provider, "model": model, "calls": calls, "charged_usd": format_usd(cost)},
    )


@dataclass(frozen=True, slots=True)
class BillingRefusal:
    """A provider's word that its account has no money left; ``account`` tells accounts apart without a secret."""

    provider: str
    account: str
    model: str
    status: int
    message: str
    at: datetime


def billing_refused(refusal: BillingRefusal) -> Alert:
    said = f' It says: "{refusal.message}"' if refusal.message else ""
    return Alert(
        name=f"provider.billing_refused|{refusal.provider}|{refusal.account}|{refusal.at:%Y-%m-%d}",
        subject=f"provider.billing_refused|{refusal.provider}|{refusal.account}",
        kind="provider.billing_refused",
        title=f"Provider {refusal.provider} refuses calls: its account is out of credit",
        text=(
            f"{refusal.account}, status {refusal.status}, asked for {refusal.model}.{said}\n"
            "Calls to this account fail until then: add credit or raise the limit at the provider."
        ),
        facts={
            "provider": refusal.provider, "account": refusal.account, "model": refusal.model,
            "status": refusal.status, "message": refusal.message,
        },
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ejection:
    """A deployment that was put aside; ``reason`` is a FailureKind. ``by_check``: it only fails its health checks."""

    deployment_id: str
    provider: str
    model: str
    reason: str
    at: datetime
    by_check: bool = False


def deployment_ejected(ejection: Ejection) -> Alert:
    what = ejection.reason.replace("_", " ")
    fails, then = (
        "fails and is put aside",
        "Its calls go elsewhere; one at a time is let through to find out when it is",
    )
    if ejection.by_check:
        fails, then = "fails its health check", "Calls to it go on as before; the next check finds out whether it is"
    return Alert(
        name=f"deployment.ejected|{ejection.deployment_id}|{ejection.at:%Y-%m-%dT%H}",
        subject=f"deployment.ejected|{ejection.deployment_id}",
        kind="deployment.ejected",
        title=f"A deployment of provider {ejection.provider} {fails} ({what})",
        text=(
            f'Deployment "{ejection.deployment_id}" of model {ejection.model}.\n'
            f"{then} well again. GET /health says how it stands."
        ),
        facts={
            "deployment_id": ejection.deployment_id, "provider": ejection.provider, "model": ejection.model,
            "reason": ejection.reason,
        },
    )  # fmt: skip


def key_expires(owner: Owner, expires_at: datetime, days: int) -> Alert:
    within = "a day" if days == 1 else f"{days} days"
    return Alert(
        name=f"key.expiring|{owner.scope}|{int(expires_at.timestamp())}|{days}",
        subject=f"key.expiring|{owner.scope}",
        kind="key.expiring",
        title=f"{_upper(owner.title)} expires within {within}",
        text=(
            f"It stops working on {_instant(expires_at)}.\nTo keep it: POST /key/update with {_named(owner)} and a new "
            "duration; to replace it: POST /key/regenerate."
        ),
        facts=owner.facts | {"expires_at": expires_at, "notice_days": days},
        team_id=owner.team_id,
        organization_id=owner.organization_id,
    )


def trial(event_id: str, destination: str) -> Alert:
    return Alert(
        name=f"test|{event_id}",
        subject="test",
        kind="test",
        title="A test from Keyhouse",
        text=f'Alerts for "{destination}" arrive here. There is nothing to do.',
    )


def usd(amount: NanoUSD) -> str:
    """For reading: whole cents, rounded down, from ten cents on; below, every digit that there is."""
    if amount >= 10 * _CENT:
        whole, cents = divmod(amount // _CENT, 100)
        return f"{whole}.{cents:02}"
    whole_text, _, decimals = format_usd(amount).partition(".")
    return f"{whole_text}.{decimals.rstrip('0'):0<2}"


def _of_budget(
    budget: BudgetFacts,
    kind: AlertKind,
    limit: NanoUSD,
    percent: int,
    words: tuple[str, str],
    further: Mapping[str, Any] | None = None,
) -> Alert:
    facts = budget.owner.facts | {
        "budget_id": budget.budget.budget_id,
        "limit_usd": format_usd(limit),
        "spent_usd": format_usd(budget.spent_nanousd),
        "window_start": budget.window.start,
        "resets_at": budget.window.end,
    }
    if percent:
        facts["threshold_percent"] = percent
    return Alert(
        name=f"{kind}|{budget.subject}|{limit}|{percent}",
        subject=budget.subject,
        kind=kind,
        title=words[0],
        text=words[1],
        facts=facts | dict(further or {}),
        team_id=budget.owner.team_id,
        organization_id=budget.owner.organization_id,
        spent_nanousd=budget.spent_nanousd,
        percent=percent,
    )


def _spent_of(budget: BudgetFacts, limit: NanoUSD) -> str:
    duration = str(budget.budget.duration)
    per = "" if budget.window.end is None else f" per {_PERIODS.get(duration, duration)}"
    ends = "never resets" if budget.window.end is None else f"resets on {_instant(budget.window.end)}"
    return f"{usd(budget.spent_nanousd)} of {usd(limit)} USD{per} spent; {ends}."


def _next_step(facts: BudgetFacts, *, soft: bool = False) -> str:
    budget = facts.budget
    if facts.owner.kind == "platform":
        return "To change the budget: max_budget of litellm_settings in the configuration."
    if facts.owner.kind == "provider":
        return "To change the budget: provider_budget_config of router_settings in the configuration."
    if facts.owner.kind == "deployment":
        return (
            "To change the budget: max_budget of its litellm_params, on the page of the model or in the configuration."
        )
    if facts.owner.access_group is not None:
        name = "soft_budget" if soft else "budget_limits" if budget.part else "max_budget"
        return f"To change the budget: PUT /access_group/{quote(facts.owner.access_group, safe='')}/budget with {name}."
    path, name = _CHANGED_BY["pool" if budget.shared else facts.owner.kind]
    if soft:
        name = "soft_budget"
    elif budget.part:
        name = "budget_limits" if budget.model is None else "model_max_budget"
    named = f'budget_id "{budget.budget_id}"' if budget.shared else _named(facts.owner)
    return f"To change the budget: POST {path} with {named} and {name}."


def _named(owner: Owner) -> str:
    """By which fields a request names the owner."""
    scope = ids_in(owner.scope)[0] if owner.scope.startswith("model:") else owner.scope
    fields = {_NAMED_BY.get(name, name): value for name, value in owners_in(scope).items()}
    return ", ".join(f'{name} "{value}"' for name, value in fields.items())


def _stop(owner: Owner) -> str:
    return f"; to stop it: POST /{owner.kind}/block with {_named(owner)}." if owner.kind in {"key", "team"} else "."


def _instant(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
