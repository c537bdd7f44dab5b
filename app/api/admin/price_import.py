"""Our own route for a public list of prices in LiteLLM's format."""

from decimal import Decimal
from typing import Any

import msgspec
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency

from app.admin.price_import import PriceChange, PriceImport
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.fields import Body, check_names, is_null, read_body
from app.api.admin.price_answers import render_rates
from app.api.admin.price_fields import read_instant
from app.api.security import Access
from app.base.errors import Unprocessable

AnyRequest = Request[Any, Any, Any]
MOST_LIST_BYTES = 16_000_000
_NAMES = frozenset({"prices", "effective_from", "dry_run", "allow_large_changes"})


class PriceImportRoutes(Controller):
    """Admins alone."""

    request_max_body_size = MOST_LIST_BYTES

    @post("/price/import", status_code=200)
    async def import_prices(
        self, request: AnyRequest, access: NamedDependency[Access], price_import: NamedDependency[PriceImport]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, _NAMES, ())
        models, raw = _read_models(body), body.get("effective_from", b"null")
        at = None if is_null(raw) else read_instant("effective_from", fields.read_text("effective_from", raw))
        dry, allow_large = _flag(body, "dry_run"), _flag(body, "allow_large_changes")
        if dry:
            changes = await price_import.compare(models, at)
        else:
            changes = await price_import.write(models, at, actor, allow_large=allow_large)
        return answer({"dry_run": dry, "changes": [_render(change) for change in changes]})


def _flag(body: Body, name: str) -> bool:
    return fields.read_flag(name, body[name]) if name in body else False


def _read_models(body: Body) -> dict[str, Any]:
    try:
        decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
        return decoder.decode(body.get("prices", b"null"))
    except (msgspec.MsgspecError, ArithmeticError, RecursionError) as error:
        raise Unprocessable(
            '"prices" must be an object of prices by model, as in model_prices_and_context_window.json', param="prices"
        ) from error


def _render(change: PriceChange) -> dict[str, Any]:
    before = {} if change.before is None else render_rates(change.before)
    after = {} if change.after is None else render_rates(change.after)
    differing = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return {
        "change": change.kind,
        "provider": change.provider,
        "model": change.model,
        "large": list(change.large),
        "before": {name: before[name] for name in differing if name in before},
        "after": {name: after[name] for name in differing if name in after},
    }
