"""From a principal's call to a grant: the model it may use, and one reservation or one refusal."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from app.base.errors import (
    BudgetExhausted,
    Forbidden,
    GatewayError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    NotFound,
    RateLimited,
)
from app.base.money import format_usd
from app.domain.access import Principal, is_allowed, lists, may_use_model, usable_deployments, visible_models
from app.domain.budgets import OnExceed
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.picker import plain_name
from app.domain.pricing import PriceSheet, at_service, cost_of
from app.domain.spend import Admitted, BudgetClaim, BudgetStanding, Claim, RateClaim, Receipt, Refused
from app.domain.tenancy import Level
from app.domain.usage import Usage
from app.gateway.attribution import (
    AGENT_HEADER,
    AGENT_TYPE_HEADER,
    PARENT_AGENT_HEADER,
    PROMPT_HEADER,
    SESSION_HEADER,
    class_of,
    client_of,
    header_text,
    project_of,
    tags_of,
)
from app.gateway.call import Call, Grant, Hold
from app.gateway.claims import budget_claims, further_scopes, rate_claims, whose
from app.gateway.estimate import Estimate
from app.gateway.exchange import Exchanges, Verbatim
from app.gateway.holds import Holds, strict_hold
from app.gateway.ports import CatalogSource, Ledger, NamedLevels
from app.protocols.codec import Envelope
from app.protocols.service_tiers import asked_service
from app.providers.prices import Prices

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.25
_MODELS_NAMED = 10


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """``wait_s``: how long a call may wait for running ones to settle when they hold what is left of its budget.
    ``platform`` is what is set for all calls together.
    ``on_exceed`` is that of budgets which do not say."""

    wait_s: int = 30
    refuse_unpriced: bool = False
    platform: Level | None = None
    on_exceed: OnExceed = "finish"


class Admission:
    def __init__(
        self,
        catalog: CatalogSource,
        ledger: Ledger,
        exchanges: Exchanges,
        rules: AdmissionRules,
        prices: Prices,
        named: NamedLevels | None = None,
    ) -> None:
        """``named`` knows customers and tags."""
        self._named = named
        self._platform = rules.platform
        self._catalog = catalog
        self._prices = prices
        self._exchanges = exchanges
        self._holds = Holds()
        self._ledger = ledger
        self._rules = rules

    async def admit(self, call: Call, principal: Principal) -> Grant:
        """Raises InvalidRequest, ModelNotFound, ModelNotAllowed, RateLimited, BudgetExhausted, StorageUnavailable."""
        envelope = self._exchanges.read_envelope(call)
        tags = tags_of(call, principal, envelope)
        customers = () if envelope.customer is None else (envelope.customer,)
        if customers or tags or self._platform is not None:
            principal = await self.beside(principal, customers, tags)
        model = self.find_model(principal, self._meant(principal, envelope.model))
        deployment = _choose(model)
        exchange = self._exchanges.choose(call, envelope, deployment)
        if exchange is None or call.operation == "count_tokens":
            return Grant(principal, envelope, model, deployment, exchange)
        price = self.price(call, principal, envelope.model, deployment)
        allowed = envelope.max_output_tokens if exchange.max_output_tokens is None else exchange.max_output_tokens
        dearest = at_service(price, asked_service(envelope.fields))
        hold = self._holds.hold_for(call, envelope, allowed, deployment, dearest)
        most = hold.most
        draft = draft_receipt(call, principal, envelope, deployment, most, exchange.protocol_out, tags)
        if (asked := plain_name(model, envelope.model)) != envelope.model:
            draft = structs.replace(draft, model_asked=asked)
        budgets = budget_claims(principal, (model,), most.hold_nanousd, call.started_at)
        if any(self._is_strict(one) for one in budgets):
            longest = model.max_output_tokens if allowed is None else allowed
            hold = structs.replace(hold, strict=strict_hold(call, envelope, hold, longest, exchange.protocol_out))
            budgets = tuple(self._held_strictly(one, hold) for one in budgets)
        if scopes := further_scopes(budgets):
            draft = structs.replace(draft, scopes=scopes)
        claim = Claim(
            request_id=call.request_id,
            rates=rate_claims(principal, (model,)),
            tokens=most.usage.input + most.usage.output,
            budgets=budgets,
            if_orphaned=draft,
        )
        admitted = await self.reserve(call, principal, claim)
        return Grant(principal, envelope, model, deployment, exchange, admitted, draft, price, hold)

    async def beside(self, principal: Principal, customers: Sequence[str], tags: Sequence[str]) -> Principal:
        """The principal with what is set for the customers and tags of its call, and for the platform.

        Raises Forbidden for a blocked customer, StorageUnavailable.
        """
        levels: tuple[Level, ...] = ()
        if self._named is not None and (customers or tags):
            known = self._named.peek(customers, tags)
            levels = await self._named.find(customers, tags) if known is None else known
        for level in levels:
            if level.blocked:
                raise Forbidden(f"{level.title} is blocked; an admin can unblock it with /customer/unblock")
        if self._platform is not None:
            levels += (self._platform,)
        return replace(principal, levels=principal.levels + levels) if levels else principal

    def _meant(self, principal: Principal, asked: str) -> str:
        """The model asked for, or the default of a customer that may not use it."""
        for level in principal.levels:
            if level.default_model is not None and level.models:
                model = self._catalog.current().resolve(principal.key.aliases.get(asked, asked))
                if model is not None and not lists(level.models, model):
                    return level.default_model
        return asked

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

    def price(self, call: Call, principal: Principal, asked: str, deployment: Deployment) -> PriceSheet:
        """In force when the call started. Raises InvalidRequest for a model without one where such are refused."""
        sheet = self._prices.sheet(deployment, principal.key.organization_id, call.started_at)
        if sheet.source == "fallback" and self._rules.refuse_unpriced:
            raise InvalidRequest(
                f'model "{asked}" has no price and unpriced_models is "refuse"; '
                "an admin can set input_cost_per_token and output_cost_per_token in its model_info, or POST /price/new"
            )
        return sheet

    def _is_strict(self, claim: BudgetClaim) -> bool:
        return self._rules.on_exceed == "cut" if claim.strict is None else claim.strict

    def _held_strictly(self, claim: BudgetClaim, hold: Hold) -> BudgetClaim:
        if hold.strict is None or not self._is_strict(claim):
            return claim
        return structs.replace(claim, strict=True, hold_nanousd=hold.strict.hold_nanousd)

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


def draft_receipt(  # noqa: PLR0913  the parts of a receipt
    call: Call,
    principal: Principal,
    envelope: Envelope,
    deployment: Deployment,
    most: Estimate,
    protocol_out: str,
    tags: tuple[str, ...],
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
        tags=tags,
        session_id=header_text(headers.get(SESSION_HEADER)) or envelope.session_id,
        agent_id=header_text(headers.get(AGENT_HEADER)) or None,
        route=call.route,
        model_asked=envelope.model,
        model_served=deployment.upstream_model,
        provider=deployment.provider,
        deployment_id=deployment.deployment_id,
        protocol_in=call.codec.name,
        protocol_out=protocol_out,
        streamed=envelope.stream,
        usage=usage,
        cost=cost_of(usage, most.price),
        price_version=most.price.version,
        price_source=most.price.source,
        usage_source="estimated",
        status="cut",
        finish_reason=None,
        request_class=class_of(headers, envelope),
        project=project_of(tags, principal),
        parent_agent_id=header_text(headers.get(PARENT_AGENT_HEADER)) or None,
        agent_type=header_text(headers.get(AGENT_TYPE_HEADER)) or None,
        prompt_id=header_text(headers.get(PROMPT_HEADER)) or None,
        client=client_of(headers),
        project_id=key.project_id,
    )


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
    if refused.reason == "budget_short":
        return _budget_refusal(
            owner,
            refused.budget,
            refused.retry_after_s,
            f"and this call may cost up to {format_usd(refused.budget.claim.hold_nanousd)} USD, while the budget "
            "may not be exceeded; allow it less output (max_tokens), send less, or",
        )
    if refused.reason == "budget" and refused.budget.claim.pace:
        return _pace_refusal(owner, refused.budget, refused.retry_after_s)
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
        "requests": f"{rate.limits.requests} requests per {rate.limits.window}",
        "tokens": f"{rate.limits.tokens} tokens per {rate.limits.window}",
        "concurrency": f"{rate.limits.max_parallel_requests} parallel requests",
    }[refused.reason]
    error = RateLimited(
        f"the limit of {said} of {whose(principal, rate.scope)} is reached; try again in {refused.retry_after_s} s",
        retry_after_s=refused.retry_after_s,
    )
    standing = Admitted(requests=refused.requests, tokens=refused.tokens, budgets=())
    error.headers = call.codec.limit_headers(standing, int(call.started_at.timestamp()))
    return error


def _pace_refusal(owner: str, standing: BudgetStanding, retry_after_s: int) -> RateLimited:
    claim = standing.claim
    assert claim.end is not None
    window = {60: "minute", 3_600: "hour"}.get(round((claim.end - claim.start).total_seconds()), "day")
    return RateLimited(
        f"the limit of {format_usd(claim.limit_nanousd)} USD per {window} of {owner} is reached "
        f"({format_usd(standing.spent_nanousd)} USD spent); try again in {retry_after_s} s",
        retry_after_s=retry_after_s,
    )


def answer_stopped(principal: Principal, standing: BudgetStanding) -> BudgetExhausted:
    """A running answer came to the end of a budget that may not be exceeded."""
    held = format_usd(standing.held_nanousd)
    return _budget_refusal(
        whose(principal, standing.claim.scope),
        standing,
        0,
        f"and running requests may still cost {held} USD, so this answer was stopped here, as the budget may not be "
        "exceeded;",
    )


def _budget_refusal(owner: str, standing: BudgetStanding, retry_after_s: int, why: str = "") -> BudgetExhausted:
    """``why`` stands where the budget is not spent."""
    claim = standing.claim
    resets = f"resets {claim.end:%b} {claim.end.day}" if claim.end is not None else "does not reset by itself"
    until = f" at {claim.end:%Y-%m-%d %H:%M:%S} UTC" if claim.end is not None else ""
    return BudgetExhausted(
        f"spend limit reached · {resets}{until}: {owner} has spent {format_usd(standing.spent_nanousd)} "
        f"of its {format_usd(claim.limit_nanousd)} USD{f', {why}' if why else ';'} ask an admin to raise max_budget",
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
