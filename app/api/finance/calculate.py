"""What a call would cost, or what an answer did, by LiteLLM's route: by the prices and arithmetic of settlement."""

from typing import Any

import msgspec
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency

from app.admin.price_view import Priced, PriceView
from app.api.admin import fields
from app.api.admin.answers import answer, number
from app.api.admin.fields import Body, check_names, is_null, read_body
from app.api.security import Access, Caller
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.domain.pricing import at_service, cost_of
from app.domain.usage import Usage
from app.gateway.estimate import input_tokens
from app.protocols.registry import all_codecs

AnyRequest = Request[Any, Any, Any]
MOST_BODY_BYTES = 16_000_000
_NAMES = frozenset({"model", "messages", "completion_response"})
_CLASSES = ("input", "cache_read", "cache_write", "output", "other")


class CalculateRoutes(Controller):
    """Everybody may ask; a key is answered with the prices of its organization."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/spend/calculate", status_code=200)
    async def calculate(
        self, request: AnyRequest, access: NamedDependency[Access], price_view: NamedDependency[PriceView]
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        body = await read_body(request)
        check_names(body, _NAMES, ())
        completion = body.get("completion_response", b"null")
        if is_null(completion):
            model, usage, source = _asked_model(body, None), _estimated(body), "estimated"
        else:
            model, usage, source = _asked_model(body, completion), _counted(completion), "provider"
        return answer(_render(model, usage, source, _price(caller, price_view, model)))


def _price(caller: Caller, price_view: PriceView, model: str) -> Priced:
    """Of the first deployment, for the organization of the caller's key. Raises NotFound."""
    key = None if caller.principal is None else caller.principal.key
    named = model if key is None else key.aliases.get(model, model)
    found = price_view.of(named, None, None if key is None else key.organization_id, now())
    if not found:
        raise NotFound(f'model "{model}" is not known here; see GET /v1/models', param="model")
    return found[0]


def _asked_model(body: Body, completion: bytes | None) -> str:
    """The one that the request names, else the one that answered."""
    raw = body.get("model", b"null")
    if is_null(raw) and completion is not None:
        raw = bytes(_members(completion).get("model", msgspec.Raw(b"null")))
    if is_null(raw):
        raise Unprocessable('"model" is missing: give the name that clients ask for', param="model")
    return fields.read_text("model", raw)


def _estimated(body: Body) -> Usage:
    """The input alone, at a token for four bytes, as holds are estimated."""
    raw = body.get("messages", b"null")
    if is_null(raw):
        raise Unprocessable(
            '"messages" is missing: give them, or "completion_response" with its usage', param="messages"
        )
    if raw[:1] != b"[":
        raise Unprocessable('"messages" must be a list', param="messages")
    return Usage(input=input_tokens(raw))


def _counted(completion: bytes) -> Usage:
    """An answer of any protocol, told apart by what its usage counts."""
    codecs = all_codecs()
    of_responses = _members(completion).get("object") == msgspec.Raw(b'"response"')
    names = ("openai_chat", "openai_responses" if of_responses else "anthropic_messages", "gemini")
    for name in names:
        usage = codecs[name].scan_response(completion).usage
        if usage is not None:
            return usage
    raise Unprocessable(
        '"completion_response" has no usage that can be counted; give the answer as the provider sent it',
        param="completion_response",
    )


def _members(completion: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(completion, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise Unprocessable('"completion_response" must be an object', param="completion_response") from error


def _render(model: str, usage: Usage, source: str, priced: Priced) -> dict[str, Any]:
    charged = at_service(priced.charged, usage.service)
    cost, listed = cost_of(usage, charged), cost_of(usage, at_service(priced.listed, usage.service))
    counts = {name: getattr(usage, name) for name in Usage.__struct_fields__ if getattr(usage, name)}
    return {
        "cost": number(cost.total),
        "model": model,
        "provider": priced.deployment.provider,
        "breakdown": {name: number(getattr(cost, name)) for name in _CLASSES},
        "cost_before_discount_and_margin": number(listed.total),
        "usage": counts,
        "usage_source": source,
        "price_source": charged.source,
        "price_version": charged.version,
    }
