"""From a principal's call to a grant: the model it may use, and one reservation or one refusal."""

import asyncio
import random
import time
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import unquote

from app.base.errors import (
    BudgetExhausted,
    GatewayError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    NotFound,
    RateLimited,
)
from app.base.money import format_usd
from app.domain.access import Principal, is_allowed, may_use_model, usable_deployments, visible_models
from app.domain.budgets import Budget, BudgetWindow, counter_name, window_at
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.pricing import cost_of
from app.domain.spend import Admitted, BudgetClaim, BudgetStanding, Claim, RateClaim, Receipt, Refused
from app.domain.tenancy import NO_LIMITS
from app.domain.usage import Usage
from app.gateway.call import Call, Grant
from app.gateway.estimate import Estimate, estimate
from app.gateway.exchange import Exchanges, Verbatim
from app.gateway.ports import CatalogSource, Ledger
from app.protocols.codec import Envelope

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.25
_MODELS_NAMED = 10
_WINDOWS_REMEMBERED = 100_000
_windows: dict[str, tuple[Budget, BudgetWindow, str]] = {}


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """``wait_s``: how long a call may wait for running ones to settle when they hold what is left of its budget."""

    wait_s: int = 30
    refuse_unpriced: bool = False


class Admission:
    def __init__(self, catalog: CatalogSource, ledger: Ledger, exchanges: Exchanges, rules: AdmissionRules) -> None:
        self._catalog = catalog
        self._exchanges = exchanges
        self._ledger = ledger
        self._rules = rules

    async def admit(self, call: Call, principal: Principal) -> Grant:
        """Raises InvalidRequest, ModelNotFound, ModelNotAllowed, RateLimited, BudgetExhausted, StorageUnavailable."""
        envelope = self._exchanges.read_envelope(call)
        model = self.find_model(principal, envelope.model)
        deployment = _choose(model)
        exchange = self._exchanges.choose(call, envelope, deployment)
        if exchange is None or call.operation == "count_tokens":
            return Grant(principal, envelope, model, deployment, exchange)
        self.check_priced(envelope.model, deployment)
        allowed = envelope.max_output_tokens if exchange.max_output_tokens is None else exchange.max_output_tokens
        most = estimate(call.body, allowed, deployment.price)
        draft = draft_receipt(call, principal, envelope, deployment, most, exchange.protocol_out)
        claim = Claim(
            request_id=call.request_id,
            rates=rate_claims(principal),
            tokens=most.usage.input + most.usage.output,
            budgets=budget_claims(principal, most, call.started_at),
            if_orphaned=draft,
        )
        admitted = await self.reserve(call, principal, claim)
        return Grant(principal, envelope, model, deployment, exchange, admitted, draft)

    def admit_opaque(self, call: Call, principal: Principal) -> Grant:
        """A call to a provider's endpoint that has no model and costs nothing; any deployment of the host will do.

        Raises NotFound when no host of the protocol is configured.
        """
        for model in self._catalog.current().models:
            for deployment in model.deployments:
                if deployment.provider == "anthropic" and may_use_model(principal, model):
                    return Grant(principal, None, model, deployment, Verbatim(call, None, deployment, None))
        raise NotFound(
            f"{call.route} needs an Anthropic deployment that this key may use, and there is none; "
            "an admin can set ANTHROPIC_API_KEY or add one to model_list"
        )

    def find_model(self, principal: Principal, asked: str) -> Model:
        """The model that the name means for this key, with the deployments that serve it.

        Raises ModelNotFound, ModelNotAllowed.
        """
        catalog = self._catalog.current()
        model = catalog.resolve(principal.key.aliases.get(asked, asked))
        if model is None:
            raise _not_found(principal, catalog, asked)
        if not is_allowed(principal, model):
            names = [visible.name for visible in visible_models(principal, catalog)]
            raise ModelNotAllowed(
                f'model "{asked}" is not allowed for key "…{principal.key.last_four}"; it may use: '
                f"{_enumerate(names)}. Ask an admin to allow more, or see GET /v1/models",
                param="model",
            )
        deployments = usable_deployments(principal, model)
        if not deployments:
            raise ModelNotAllowed(
                f'model "{asked}" is served here on the personal token of another user alone, which may not serve '
                f'key "…{principal.key.last_four}"; ask an admin for a model on a shared credential, or for a key of '
                "the token's owner",
                param="model",
            )
        return model if len(deployments) == len(model.deployments) else replace(model, deployments=deployments)

    def check_priced(self, asked: str, deployment: Deployment) -> None:
        """Raises InvalidRequest for a model without a price where such models are refused."""
        if deployment.price.source == "fallback" and self._rules.refuse_unpriced:
            raise InvalidRequest(
                f'model "{asked}" has no price and unpriced_models is "refuse"; '
                "an admin can set input_cost_per_token and output_cost_per_token in its model_info"
            )

    async def reserve(self, call: Call, principal: Principal, claim: Claim) -> Admitted:
        """Wait where it makes sense. Raises RateLimited, BudgetExhausted, StorageUnavailable."""
        deadline = time.monotonic() + self._rules.wait_s
        pause_s = _FIRST_PAUSE_S
        while True:
            outcome = await self._ledger.reserve(claim)
            if isinstance(outcome, Admitted):
                return outcome
            if outcome.reason != "budget_held" or time.monotonic() + pause_s > deadline:
                raise _refusal(call, principal, outcome)
            # The limit is not spent: running calls only hold the rest of it. They settle soon, so wait, not refuse.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  spreads waiters, guards nothing
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _choose(model: Model) -> Deployment:
    if len(model.deployments) == 1:
        return model.deployments[0]
    weights = [deployment.weight for deployment in model.deployments]
    return random.choices(model.deployments, weights)[0]  # noqa: S311  spreads load, guards nothing


def rate_claims(principal: Principal) -> tuple[RateClaim, ...]:
    """Of the key and of every level above it that has rate limits."""
    key = principal.key
    claims: tuple[RateClaim, ...] = () if key.limits == NO_LIMITS else (RateClaim(key.key_id, key.limits),)
    for level in principal.levels:
        if level.limits != NO_LIMITS:
            claims += (RateClaim(level.scope, level.limits),)
    return claims


def budget_claims(principal: Principal, most: Estimate, at: datetime) -> tuple[BudgetClaim, ...]:
    """Of the key and of every level above it that has a budget."""
    key = principal.key
    claims: tuple[BudgetClaim, ...] = ()
    if key.budget is not None:
        claims = (_budget_claim(key.key_id, key.budget, most, at),)
    for level in principal.levels:
        if level.budget is not None:
            claims += (_budget_claim(level.scope, level.budget, most, at),)
    return claims


def _budget_claim(scope: str, budget: Budget, most: Estimate, at: datetime) -> BudgetClaim:
    window, counter = _window(scope, budget, at)
    return BudgetClaim(
        counter=counter,
        budget_id=budget.budget_id,
        scope=scope,
        limit_nanousd=budget.limit_nanousd,
        hold_nanousd=most.hold_nanousd,
        start=window.start,
        end=window.end,
        counting_since=budget.counted_since,
    )


def _window(scope: str, budget: Budget, at: datetime) -> tuple[BudgetWindow, str]:
    """The window and the name of its counter; they are remembered, as a window has many calls."""
    known = _windows.get(scope)
    if known is not None:
        of, window, name = known
        in_window = window.start <= at and (window.end is None or at < window.end)
        if in_window and (of is budget or of == budget):
            return window, name
    window = window_at(budget, at)
    name = counter_name(scope, budget, window)
    if len(_windows) >= _WINDOWS_REMEMBERED:
        _windows.clear()
    _windows[scope] = (budget, window, name)
    return window, name


def whose(principal: Principal, scope: str) -> str:
    """A scope of the principal in words: ``key "…4f2a" ("laptop")``, ``team "research"``."""
    for level in principal.levels:
        if level.scope == scope:
            return level.title
    return f'key "…{principal.key.last_four}"' + (f' ("{principal.key.alias}")' if principal.key.alias else "")


def draft_receipt(
    call: Call, principal: Principal, envelope: Envelope, deployment: Deployment, most: Estimate, protocol_out: str
) -> Receipt:
    """What is booked should our process die. A streamed answer ends with its connection, so only its input and what
    was counted by then are taken to be spent; a whole one is computed to its end, so all that is held."""
    key = principal.key
    headers = dict(call.headers)
    usage = Usage(input=most.usage.input) if envelope.stream else most.usage
    return Receipt(
        request_id=call.request_id,
        attempt=1,
        started_at=call.started_at,
        duration_ms=0,
        first_byte_ms=None,
        organization_id=key.organization_id,
        team_id=key.team_id,
        user_id=key.user_id,
        key_id=key.key_id,
        customer_id=envelope.customer,
        tags=_tags(call, principal, envelope),
        session_id=_text(headers.get(b"x-claude-code-session-id")) or envelope.session_id,
        agent_id=_text(headers.get(b"x-claude-code-agent-id")) or None,
        route=call.route,
        model_asked=envelope.model,
        model_served=deployment.upstream_model,
        provider=deployment.provider,
        deployment_id=deployment.deployment_id,
        protocol_in=call.codec.name,
        protocol_out=protocol_out,
        streamed=envelope.stream,
        usage=usage,
        cost=cost_of(usage, deployment.price),
        price_version=deployment.price.version,
        price_source=deployment.price.source,
        usage_source="estimated",
        status="cut",
        finish_reason=None,
    )


def _tags(call: Call, principal: Principal, envelope: Envelope) -> tuple[str, ...]:
    tags = dict.fromkeys((*principal.key.tags, *envelope.tags))
    for name, value in call.headers:
        if name == b"x-litellm-tags":
            tags.update(dict.fromkeys(tag for part in _text(value).split(",") if (tag := part.strip())))
        elif name.startswith(b"x-keyhouse-tag-"):
            tags[f"{_text(name[15:])}:{_text(value)}"] = None
    return tuple(tags)


def _text(value: bytes | None) -> str:
    """A header's value as text that Postgres can store: percent-decoded, without NUL, at most 256 characters."""
    if value is None:
        return ""
    return unquote(value.decode("latin-1")).replace("\x00", "")[:256]


def _not_found(principal: Principal, catalog: Catalog, asked: str) -> ModelNotFound:
    names = [model.name for model in visible_models(principal, catalog)]
    nearest = catalog.nearest(asked, names) or names
    return ModelNotFound(
        f'model "{asked[:200]}" is not known here; {"did you mean" if nearest else "this key may use"}: '
        f"{_enumerate(nearest)}? See GET /v1/models",
        param="model",
    )


def _enumerate(names: list[str]) -> str:
    if not names:
        return "no model"
    more = len(names) - _MODELS_NAMED
    listed = ", ".join(f'"{name}"' for name in names[:_MODELS_NAMED])
    return f"{listed} and {more} more" if more > 0 else listed


def _refusal(call: Call, principal: Principal, refused: Refused) -> GatewayError:
    if refused.rate is not None:
        return _rate_refusal(call, principal, refused, refused.rate)
    assert refused.budget is not None
    owner = whose(principal, refused.budget.claim.scope)
    if refused.reason == "budget":
        return _budget_refusal(owner, refused.budget, refused.retry_after_s)
    claim = refused.budget.claim
    return RateLimited(
        f"the rest of the budget of {owner} is held by its running requests "
        f"({format_usd(refused.budget.spent_nanousd)} of {format_usd(claim.limit_nanousd)} USD spent, "
        f"{format_usd(refused.budget.held_nanousd)} USD held); try again when one has finished",
        code="budget_held",
        retry_after_s=refused.retry_after_s,
    )


def _rate_refusal(call: Call, principal: Principal, refused: Refused, rate: RateClaim) -> RateLimited:
    said = {
        "requests": f"{rate.limits.requests_per_minute} requests per minute",
        "tokens": f"{rate.limits.tokens_per_minute} tokens per minute",
        "concurrency": f"{rate.limits.max_parallel_requests} parallel requests",
    }[refused.reason]
    error = RateLimited(
        f"the limit of {said} of {whose(principal, rate.scope)} is reached; try again in {refused.retry_after_s} s",
        retry_after_s=refused.retry_after_s,
    )
    standing = Admitted(requests=refused.requests, tokens=refused.tokens, budgets=())
    error.headers = call.codec.limit_headers(standing, int(call.started_at.timestamp()))
    return error


def _budget_refusal(owner: str, standing: BudgetStanding, retry_after_s: int) -> BudgetExhausted:
    claim = standing.claim
    resets = f"resets {claim.end:%b} {claim.end.day}" if claim.end is not None else "does not reset by itself"
    until = f" at {claim.end:%Y-%m-%d %H:%M:%S} UTC" if claim.end is not None else ""
    return BudgetExhausted(
        f"spend limit reached · {resets}{until}: {owner} has spent {format_usd(standing.spent_nanousd)} "
        f"of its {format_usd(claim.limit_nanousd)} USD; ask an admin to raise max_budget",
        limit_nanousd=claim.limit_nanousd,
        spent_nanousd=standing.spent_nanousd,
        period=_period(claim),
        resets_at=claim.end,
        retry_after_s=retry_after_s if claim.end is not None else None,
    )


def _period(claim: BudgetClaim) -> str | None:
    if claim.end is None:
        return None
    days = (claim.end - claim.start).days
    return {1: "daily", 7: "weekly"}.get(days, "monthly" if 28 <= days <= 31 else None)
