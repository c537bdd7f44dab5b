"""A call near the end of a budget, or refused at it, is served by a cheaper model where the key or team has it so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.base.errors import BudgetExhausted, CallerError, RateLimited
from app.base.logs import get_logger
from app.domain.access import Principal
from app.domain.catalog import Model
from app.domain.step_down import BUDGET, LIMIT, Rung, rungs_of
from app.gateway.attribution import class_of
from app.gateway.call import Call, Grant
from app.gateway.claims import rate_claims
from app.gateway.route import Asked, SteppedDown

AdmitAs = Callable[[Asked, Model], Awaitable[Grant]]
FindModel = Callable[[Principal, str], Model]


@dataclass(frozen=True, slots=True)
class StepDown:
    """One call that a policy may be for. ``model`` is the one asked for; ``admit`` reserves for any model."""

    call: Call
    asked: Asked
    model: Model
    admit: AdmitAs
    find_model: FindModel

    async def grant(self) -> Grant:
        """Whatever may serve instead is checked as if it had been asked for; where nothing may, the model asked for is
        served, or its refusal told. Raises as ``admit``."""
        rungs = self._rungs()
        try:
            grant = await self.admit(self.asked, self.model)
        except (BudgetExhausted, RateLimited) as error:
            for rung in rungs:
                if rung.at == BUDGET and not isinstance(error, BudgetExhausted):
                    continue
                if (lower := await self._lower(rung, LIMIT, frozenset())) is not None:
                    return lower
            raise
        reached = [] if grant.admitted is None else [rung for rung in rungs if rung.is_reached(grant.admitted.budgets)]
        if not reached:
            return grant
        # A reservation of the same request takes the place of the one before it, and the request was counted.
        counted = frozenset(rate.scope for rate in rate_claims(self.asked.principal, (self.model,)))
        for rung in reached:
            if (lower := await self._lower(rung, rung.said, counted)) is not None:
                return lower
        # What was tried in vain may have taken the first reservation with it.
        return await self.admit(self.asked._replace(stepped=SteppedDown(None, counted)), self.model)

    def _rungs(self) -> list[Rung]:
        request_class = class_of(dict(self.call.headers), self.asked.envelope)
        return [rung for rung in rungs_of(self.asked.principal) if rung.is_for(request_class, self.model)]

    async def _lower(self, rung: Rung, at: str, counted: frozenset[str]) -> Grant | None:
        try:
            target = self.find_model(self.asked.principal, rung.to)
            if target.name == self.model.name:
                return None
            stepped = SteppedDown(at, counted, self.model.name, target.name)
            return await self.admit(self.asked._replace(stepped=stepped), target)
        except CallerError as error:
            get_logger().info("step-down refused", request_id=self.call.request_id, model=rung.to, reason=error.message)
            return None
