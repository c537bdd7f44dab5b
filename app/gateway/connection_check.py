"""Whether one deployment answers: a call of one token to it alone, on the way of all others, and with its receipt."""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import cast

import msgspec

from app.base.clock import now
from app.base.errors import GatewayError
from app.base.ids import UserId, new_id
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.failures import FailureKind
from app.domain.keys import VirtualKey
from app.domain.routing import RoutingRules, credential_of
from app.domain.spend import Receipt
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.authenticate import MASTER_KEY_ID
from app.gateway.call import Call, Operation, Reply
from app.gateway.exchange import Exchanges
from app.gateway.pipeline import Gateway
from app.gateway.ports import CatalogSource, Ledger
from app.gateway.relay import RelayRules
from app.gateway.router import Router
from app.gateway.settle import Settlement
from app.protocols.registry import Codecs
from app.providers.prices import Prices
from app.providers.provider import Upstream

LONGEST_S = 30
_AGENT = b"keyhouse-connection-check"
_HEADERS = ((b"content-type", b"application/json"), (b"user-agent", _AGENT))


@dataclass(frozen=True, slots=True)
class Checked:
    """``problem`` None: it has answered; ``kind`` is what sort of failure it is. ``receipt`` is what was booked for it,
    None where it cost nothing."""

    took_ms: int
    problem: str | None
    receipt: Receipt | None = None
    kind: FailureKind | None = None


class ConnectionCheck:
    """Built beside the gateway, of the same parts: what holds for every call holds for these too."""

    def __init__(  # noqa: PLR0913  the parts of a gateway
        self,
        catalog: CatalogSource,
        ledger: Ledger,
        codecs: Codecs,
        rules: AdmissionRules,
        prices: Prices,
        upstream: Upstream,
        settlement: Settlement,
        metrics: Metrics,
    ) -> None:
        self._catalog = catalog
        self._ledger = ledger
        self._codecs = codecs
        self._rules = rules
        self._prices = prices
        self._upstream = upstream
        self._settlement = settlement
        self._metrics = metrics

    def resolve(self, name: str, deployment_id: str) -> tuple[Model, Deployment] | None:
        """The deployment under a name that it serves: of a wildcard the one that the name fills in, or the same host
        with the same credential where the catalogue has the name itself."""
        catalog = self._catalog.current()
        model = catalog.resolve(name)
        places = [place for one in catalog.models for place in one.deployments if place.deployment_id == deployment_id]
        if model is None or not places:
            return None
        meant = credential_of(places[0])
        is_wildcard = "*" in places[0].upstream_model
        for place in model.deployments:
            if place.deployment_id == deployment_id or (is_wildcard and credential_of(place) == meant):
                return None if "*" in place.upstream_model else (model, place)
        return None

    async def check(
        self, model: Model, deployment: Deployment, user_id: str | None, tags: tuple[str, ...] = ()
    ) -> Checked:
        """At most ``LONGEST_S``. It is booked on no key and no team, but on the user who asked, and the platform."""
        alone = replace(model, deployments=(replace(deployment, retries=None),))
        catalog = Catalog((alone,), group_budgets=self._catalog.current().group_budgets)
        router = Router(RoutingRules(), self._metrics)
        admission = Admission(_Alone(catalog), self._ledger, Exchanges(self._codecs), self._rules, self._prices, router)
        gateway = Gateway(admission, self._upstream, self._settlement, self._metrics, RelayRules())
        call = self._call(alone)
        try:
            async with asyncio.timeout(LONGEST_S):
                reply = await gateway.serve(call, _principal(user_id, tags))
        except TimeoutError:
            problem = f'"{deployment.provider}" has not answered within {LONGEST_S} seconds'
            return Checked(_since(call), problem, kind="timeout")
        except GatewayError as error:
            return Checked(_since(call), error.message, kind=_kind(router))
        said = None if reply.status < 300 else self._said(call, reply, deployment.provider)
        return Checked(_since(call), said, reply.receipt, _kind(router))

    def _call(self, model: Model) -> Call:
        """In the protocol that is translated to every other; a host takes as few tokens as it can."""
        operation: Operation
        if model.generates_text:
            codec, operation, route = self._codecs["anthropic_messages"], "generate", "/v1/messages"
            body: dict[str, object] = {"max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
        else:
            codec, operation, route = self._codecs["openai_chat"], "embeddings", "/v1/embeddings"
            body = {"input": "Hi"}
        return Call(
            request_id=new_id("req"),
            codec=codec,
            operation=operation,
            method="POST",
            route=route,
            upstream_path=None,
            query=b"",
            headers=_HEADERS,
            body=msgspec.json.encode({"model": model.name, **body}),
            started_at=now(),
            started_s=time.monotonic(),
        )

    def _said(self, call: Call, reply: Reply, provider: str) -> str:
        body = reply.body if isinstance(reply.body, bytes) else b""
        return call.codec.parse_error(reply.status, body, provider).message


class _Alone:
    """Implements CatalogSource with a catalogue that never changes."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def current(self) -> Catalog:
        return self._catalog


def _kind(router: Router) -> FailureKind | None:
    """What the call's own router noted of its one deployment; nothing for what is not the host's fault."""
    reasons = (health.reason for _, health in router.standings.troubled() if health.reason)
    return cast(FailureKind | None, next(reasons, None))


def _principal(user_id: str | None, tags: tuple[str, ...]) -> Principal:
    key = VirtualKey(
        key_id=MASTER_KEY_ID,  # type: ignore[arg-type]  # an id that new_id cannot make
        last_four="",
        created_at=now(),
        alias="connection check",
        user_id=None if user_id is None else UserId(user_id),
        tags=tags,
    )
    return Principal(key, is_admin=True)


def _since(call: Call) -> int:
    return round((time.monotonic() - call.started_s) * 1000)
