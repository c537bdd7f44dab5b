"""From a principal's call to a grant: the model it may use, and one reservation or one refusal."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from msgspec import structs

from app.base.errors import (
    BudgetExhausted,
    CallerError,
    DeploymentSpent,
    Forbidden,
    InvalidRequest,
    ModelNotAllowed,
    NotFound,
    RateLimited,
)
from app.base.logs import get_logger
from app.domain.access import Principal, in_region, is_allowed, lists, usable_deployments, usable_names
from app.domain.budgets import OnExceed
from app.domain.catalog import Deployment, Model
from app.domain.failures import Failure
from app.domain.picker import plain_name
from app.domain.pricing import PriceSheet, at_service
from app.domain.spend import Admitted, BudgetClaim, Claim
from app.domain.step_down import has_policy
from app.domain.tenancy import Level, serving_of
from app.gateway.attribution import tags_of
from app.gateway.call import Call, Grant, Hold
from app.gateway.claims import budget_claims, deployment_claims, further_scopes, rate_claims
from app.gateway.drafts import draft_receipt
from app.gateway.estimate import may_search
from app.gateway.exchange import Exchanges, Verbatim
from app.gateway.holds import Holds, strict_hold
from app.gateway.own_login import nowhere_to_relay, relayed
from app.gateway.own_routing import take_wishes
from app.gateway.ports import CatalogSource, Ledger, NamedLevels
from app.gateway.refusals import enumerate_models, not_found, not_served, refusal
from app.gateway.response_owners import ResponseOwners
from app.gateway.route import Asked, Route, Wishes
from app.gateway.router import Router
from app.gateway.step_down import StepDown
from app.protocols.service_tiers import asked_service
from app.providers.prices import Prices

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.25
_LOOKS_FOR_ROOM = 20


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
    def __init__(  # noqa: PLR0913  its ports
        self,
        catalog: CatalogSource,
        ledger: Ledger,
        exchanges: Exchanges,
        rules: AdmissionRules,
        prices: Prices,
        router: Router,
        named: NamedLevels | None = None,
    ) -> None:
        """``named`` knows customers and tags."""
        self.router = router
        self.response_owners: ResponseOwners | None = None
        self._named = named
        self._platform = rules.platform
        self._catalog = catalog
        self._prices = prices
        self._exchanges = exchanges
        self._holds = Holds()
        self._ledger = ledger
        self._rules = rules
        self._log = get_logger()

    async def admit(self, call: Call, principal: Principal, *, unpaid: bool = False) -> Grant:
        """``unpaid``: it is only looked for among stored answers, so budgets have no say.

        Raises InvalidRequest, ModelNotFound, ModelNotAllowed, PreviousResponseNotFound, RateLimited, BudgetExhausted,
        StorageUnavailable."""
        envelope = self._exchanges.read_envelope(call)
        tags = tags_of(call, principal, envelope)
        customers = () if envelope.customer is None else (envelope.customer,)
        if customers or tags or self._platform is not None or self._catalog.current().group_budgets is not None:
            principal = await self.beside(principal, customers, tags)
        model = self.find_model(principal, self._meant(principal, envelope.model))
        if self.response_owners is not None:
            await self.response_owners.check(principal, envelope)
        envelope, wishes = take_wishes(call, principal, envelope, fallbacks=self.router.rules.client_fallbacks)
        if call.operation == "count_tokens":
            wishes = wishes._replace(no_fallbacks=True)  # another model counts other tokens
        asked = Asked(principal, envelope, tags, unpaid=unpaid)
        if has_policy(principal) and not unpaid:
            admit = partial(self._admit_as, call, wishes)
            return await StepDown(call, asked, model, admit, self.find_model).grant()
        return await self._admit_as(call, wishes, asked, model)

    async def _admit_as(self, call: Call, wishes: Wishes, asked: Asked, model: Model) -> Grant:
        route = self.router.begin(call, asked, model, wishes)
        if route is None:
            return await self._grant(call, asked, model, model.deployments[0], None)
        return await self._first(call, route)

    async def next(self, call: Call, route: Route, failure: Failure) -> Grant | None:
        """Admit the next attempt, which may be of another model; None where there is none that may be made.

        Whatever was reserved for the attempt before it is given back in the same step. Raises StorageUnavailable.
        """
        await self._wait_for_room(route, failure)
        while (wait_s := self.router.again(route, failure)) is not None:
            if wait_s:
                await asyncio.sleep(wait_s)
            try:
                return await self._grant(call, route.asked, route.model, route.deployment, route)
            except InvalidRequest:
                continue  # it cannot be said to this host
            except DeploymentSpent as error:
                self.router.spent(route, error.retry_after_s)
                continue
            except (RateLimited, BudgetExhausted):
                break  # the same model again is refused again
        if (grant := await self._fallback(call, route, failure)) is not None:
            return grant
        if not self.router.despair(route, failure):
            return None
        try:
            return await self._grant(call, route.asked, route.model, route.deployment, route)
        except CallerError:
            return None

    async def _wait_for_room(self, route: Route, failure: Failure) -> None:
        """When many calls fail at once, more than may be tried again, the rest waits a moment for others to go by."""
        for _ in range(_LOOKS_FOR_ROOM):
            if not self.router.must_wait(route, failure):
                return
            await asyncio.sleep(_LONGEST_PAUSE_S)

    async def _first(self, call: Call, route: Route) -> Grant:
        """Where everything of the model is put aside, or too small for the prompt, what may serve instead; before
        nothing does, the model all the same."""
        refused: InvalidRequest | None = None
        overtaken: Deployment | None = None
        while self.router.choose(route):
            try:
                grant = await self._grant_any(call, route)
            except InvalidRequest as error:
                refused = refused or error
                continue
            except DeploymentSpent:
                break
            if not self.router.overtaken(route):
                return grant
            overtaken = route.deployment  # what is held for it is exchanged by the next reservation
        if refused is not None and overtaken is None:
            raise refused
        model, group = route.model, route.group
        why = None if route.standings_asked else Failure("context_window")
        if (instead := await self._fallback(call, route, why)) is not None:
            return instead
        self.router.last_resort(route, model, group, overtaken)
        return await self._grant(call, route.asked, model, route.deployment, route)

    async def _fallback(self, call: Call, route: Route, failure: Failure | None) -> Grant | None:
        """Each is checked as if it had been asked for: allow-lists, price, limits and budgets."""
        failed = route.model.name
        while (name := self.router.fallback(route, failure)) is not None:
            try:
                model = self.find_model(route.asked.principal, name)
                if self.router.enter(route, model):
                    grant = await self._grant_any(call, route)
                    self.router.fell_back(failed, model.name)
                    return grant
            except CallerError as error:
                self._log.info("fallback refused", request_id=call.request_id, model=name, reason=error.message)
        return None

    async def _grant_any(self, call: Call, route: Route) -> Grant:
        """For what was chosen, or another whose budget is not spent. Raises as ``_grant``."""
        while True:
            try:
                return await self._grant(call, route.asked, route.model, route.deployment, route)
            except DeploymentSpent as error:
                self.router.spent(route, error.retry_after_s)
                if not self.router.choose(route):
                    raise

    async def _grant(
        self, call: Call, asked: Asked, model: Model, deployment: Deployment, route: Route | None
    ) -> Grant:
        principal, envelope, tags, stepped, unpaid = asked
        exchange = self._exchanges.choose(call, envelope, deployment)
        if exchange is None or call.operation == "count_tokens":
            return Grant(principal, envelope, model, deployment, exchange, route=route)
        price = self.price(call, principal, envelope.model, deployment)
        allowed = envelope.max_output_tokens if exchange.max_output_tokens is None else exchange.max_output_tokens
        dearest = at_service(price, asked_service(envelope.fields))
        hold = self._holds.hold_for(call, envelope, allowed, deployment, dearest)
        most = hold.most
        draft = draft_receipt(call, principal, envelope, deployment, most, exchange.protocol_out, tags)
        named = plain_name(model if route is None else route.model_asked, envelope.model)
        if named != envelope.model:
            draft = structs.replace(draft, model_asked=named)
        if principal.own_login:
            draft = relayed(draft)
        asks_none = principal.own_login or unpaid
        budgets = () if asks_none else budget_claims(principal, (model,), most.hold_nanousd, call.started_at)
        if deployment.budgets and not asks_none:
            budgets += deployment_claims(deployment, most.hold_nanousd, call.started_at)
        if any(self._is_strict(one) for one in budgets):
            longest = model.max_output_tokens if allowed is None else allowed
            hold = structs.replace(hold, strict=strict_hold(call, envelope, hold, longest, exchange.protocol_out))
            budgets = tuple(self._held_strictly(one, hold) for one in budgets)
        if scopes := further_scopes(budgets):
            draft = structs.replace(draft, scopes=scopes)
        rates = rate_claims(principal, (model,))
        if stepped is not None:
            draft = structs.replace(draft, step_down=stepped.at)
            rates = tuple(structs.replace(rate, counted=rate.scope in stepped.counted) for rate in rates)
        if route is not None:
            rates = route.counted_once(rates)
            if route.attempt:
                draft = structs.replace(draft, attempt=route.attempt + 1)
        claim = Claim(
            request_id=call.request_id,
            rates=rates,
            tokens=most.usage.input + most.usage.output,
            budgets=budgets,
            if_orphaned=draft,
        )
        admitted = await self._reserve_at(price, call, asked, claim)
        return Grant(principal, envelope, model, deployment, exchange, admitted, draft, price, hold, route, stepped)

    async def beside(self, principal: Principal, customers: Sequence[str], tags: Sequence[str]) -> Principal:
        """The principal with what is set for the customers and tags of its call, the platform, and access groups.

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
        if (of_groups := self._catalog.current().group_budgets) is not None:
            levels += (of_groups,)
        return replace(principal, levels=principal.levels + levels) if levels else principal

    def _meant(self, principal: Principal, asked: str) -> str:
        """The model asked for, or the default of a customer that may not use it."""
        for level in principal.levels:
            if level.default_model is not None and (level.models or level.region is not None):
                model = self._catalog.current().resolve(principal.key.aliases.get(asked, asked))
                if model is not None and not (lists(level.models, model) and in_region(model, level.region)):
                    return level.default_model
        return asked

    def admit_opaque(self, call: Call, principal: Principal) -> Grant:
        """A call to a provider's endpoint that has no model and costs nothing; any deployment of the host will do.

        Raises NotFound when no host of the protocol is configured.
        """
        for model in self._catalog.current().models:
            for deployment in usable_deployments(principal, model):
                if deployment.provider == "anthropic" and is_allowed(principal, model):
                    return Grant(principal, None, model, deployment, Verbatim(call, None, deployment, None))
        if principal.own_login:
            raise nowhere_to_relay(call.route)
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
            raise not_found(principal, catalog, asked)
        if not is_allowed(principal, model):
            names = enumerate_models(usable_names(principal, catalog))
            raise ModelNotAllowed(
                f'model "{asked}" is not allowed for key "…{principal.key.last_four}"; it may use: '
                f"{names}. Ask an admin to allow more, or see GET /v1/models",
                param="model",
            )
        deployments = usable_deployments(principal, model)
        if not deployments:
            raise not_served(principal, asked)
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

    async def _reserve_at(self, price: PriceSheet, call: Call, asked: Asked, claim: Claim) -> Admitted:
        """What costs nothing needs no room in a budget."""
        try:
            return await self.reserve(call, asked.principal, claim)
        except BudgetExhausted:
            if not price.costs_nothing(may_search=may_search(asked.envelope)):
                raise
            return await self.reserve(call, asked.principal, structs.replace(claim, budgets=()))

    async def reserve(self, call: Call, principal: Principal, claim: Claim) -> Admitted:
        """Wait where it makes sense. Raises RateLimited, BudgetExhausted, StorageUnavailable."""
        deadline = time.monotonic() + self._rules.wait_s
        pause_s = _FIRST_PAUSE_S
        while True:
            outcome = await self._ledger.reserve(claim)
            if isinstance(outcome, Admitted):
                return outcome
            of_deployment = outcome.budget is not None and serving_of(outcome.budget.claim.scope) is not None
            if outcome.reason != "budget_held" or of_deployment or time.monotonic() + pause_s > deadline:
                raise refusal(call, principal, outcome)
            # The limit is not spent: running calls only hold the rest of it. They settle soon, so wait, not refuse.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  spreads waiters, guards nothing
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
