"""The playground: a conversation with a model in the page, called as the person, and what each answer cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec
from litestar import Controller, Request, Response, asgi, get, post
from litestar.di import NamedDependency
from litestar.handlers import ASGIRouteHandler
from sqlalchemy import Row

from app.admin.people import Person
from app.admin.playground_keys import PLAYGROUND_ROUTE, PlaygroundKeys
from app.admin.sign_in_people import Choices
from app.admin.spend import Spend
from app.api.llm.connection import ClientGone, Guard, Receive, Scope, Send, send_reply, send_whole
from app.api.llm.door import check_method
from app.api.ui.access import Form, Pages, SignInNeeded
from app.api.ui.forms import without_routes
from app.api.ui.lists import read_text
from app.api.ui.rendering import PAGE_HEADERS
from app.base.clock import now
from app.base.errors import Forbidden, GatewayError, TooLarge, Unprocessable
from app.base.money import NanoUSD
from app.domain.catalog import Model
from app.domain.spend import Receipt
from app.gateway.call import Reply
from app.gateway.playground import Asked, Playground, Turn, request_id_of, text_of
from app.storage.postgres.receipts import LogPage, ReceiptFilter

AnyRequest = Request[Any, Any, Any]
_ACTION = "key.change"
_STREAM = f"{PLAYGROUND_ROUTE}/answer"
_RECEIPT = f"{PLAYGROUND_ROUTE}/receipt"
_STOP_POLLING = 286
_MOST_BYTES = 1024 * 1024
_MOST_FIELDS = 20_000
"""Two of each turn: it is the bytes that bound a conversation."""
_TOO_LONG = "This conversation is longer than the playground sends, 1 MiB. Copy what you need; Clear begins a new one"
_BODY_STALLED_S = 30
_MOST_TOKENS, _USUAL_TOKENS = 200_000, 1_024
_TEMPERATURE = re.compile(r"[01](\.\d{1,3})?")
_TYPED = ("model", "system", "temperature", "max_tokens", "text")
_OWN_HEADERS = [(name.encode(), value.encode()) for name, value in PAGE_HEADERS.items()]


@dataclass(frozen=True, slots=True)
class Bill:
    """What one answer came to."""

    request_id: str
    model: str
    cost_nanousd: NanoUSD
    input_tokens: int
    output_tokens: int
    duration_ms: int


class PlaygroundPages(Controller):
    """Whoever may make a key may call here: it is a key of theirs that calls."""

    include_in_schema = False

    @get(PLAYGROUND_ROUTE)
    async def page(
        self, request: AnyRequest, pages: NamedDependency[Pages], playground_keys: NamedDependency[PlaygroundKeys]
    ) -> Response[bytes]:
        person = await pages.require_page(request, _ACTION)
        typed = dict.fromkeys(_TYPED, "") | {"model": read_text(request, "model"), "max_tokens": str(_USUAL_TOKENS)}
        team_id = read_text(request, "team_id")
        return await _show(request, pages, playground_keys, person, {"typed": typed, "asked_team": team_id})

    @post(PLAYGROUND_ROUTE, status_code=200)
    async def answer(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        playground_keys: NamedDependency[PlaygroundKeys],
        playground: NamedDependency[Playground],
    ) -> Response[bytes]:
        """The next turn as a whole page, for who has no JavaScript."""
        person = await pages.require_page(request, _ACTION)
        try:
            form = await pages.read_form(request, _MOST_BYTES, most_fields=_MOST_FIELDS)
        except TooLarge as error:
            raise TooLarge(_TOO_LONG) from error
        values: dict[str, Any] = {"typed": {name: form.raw(name) for name in _TYPED}, "turns": _read_turns(form)}
        values["asked_team"] = form.text("team_id")
        try:
            asked = read_asked(form)
            principal = await playground_keys.principal(person.user_id, _team(form), person.actor(_ACTION))
            async with playground.answer(asked, principal, PLAYGROUND_ROUTE, stream=False) as reply:
                said = Turn("assistant", text_of(reply))
                values |= {"turns": [*asked.turns, said], "bill": _bill_of(reply)}
                values["typed"]["text"] = ""
        except GatewayError as error:
            values["error"] = error
        return await _show(request, pages, playground_keys, person, values)

    @get(_RECEIPT)
    async def receipt(
        self, request: AnyRequest, pages: NamedDependency[Pages], spend: NamedDependency[Spend]
    ) -> Response[bytes]:
        """What an answer came to; 204 as long as it is not booked."""
        person = await pages.require_page(request, _ACTION)
        wanted = ReceiptFilter(
            request_id=read_text(request, "id"), user_id=person.user_id, since=now() - timedelta(hours=1)
        )
        found = await spend.log_rows(person.reach("spend.logs"), wanted, LogPage(most=1))
        if not found:
            return Response(b"", status_code=204)
        return pages.show(request, "playground_bill.html", person, status=_STOP_POLLING, bill=_bill_of_row(found[0]))


class PlaygroundStream:
    """The next turn as it comes, for the page's script: events of Messages, and errors as ``{"message"}``."""

    def __init__(self, pages: Pages, keys: PlaygroundKeys, playground: Playground) -> None:
        self._pages = pages
        self._keys = keys
        self._playground = playground

    def handler(self) -> ASGIRouteHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                check_method(scope, "POST")
                request: AnyRequest = Request(scope, receive=receive, send=send)
                person = await self._pages.require_page(request, _ACTION)
                guard = Guard(receive)
                body = await guard.read_body(scope["headers"], _MOST_BYTES, _BODY_STALLED_S)
                form = await self._pages.read_form(request, body=body, most_fields=_MOST_FIELDS)
                asked = read_asked(form)
                principal = await self._keys.principal(person.user_id, _team(form), person.actor(_ACTION))
                answering = self._playground.answer(asked, principal, PLAYGROUND_ROUTE, stream=True)

                async def send_on() -> None:
                    async with answering as reply:
                        await send_reply(_own_reply(reply), send)

                await guard.while_connected(send_on())
            except ClientGone:
                return
            except SignInNeeded:
                await _send_error(401, {"sign_in": f"/ui/sign-in?next={PLAYGROUND_ROUTE}"}, send)
            except TooLarge as error:
                await _send_error(error.status, {"message": _sentence(_TOO_LONG)}, send)
            except GatewayError as error:
                await _send_error(error.status, {"message": _sentence(without_routes(error.message))}, send)

        return asgi(_STREAM, copy_scope=False)(handle)


def read_asked(form: Form) -> Asked:
    """Raises Unprocessable."""
    if not form.text("model"):
        raise Unprocessable("choose a model first", param="model")
    if not form.text("text"):
        raise Unprocessable("type a message first", param="text")
    temperature = form.text("temperature")
    if temperature and (not _TEMPERATURE.fullmatch(temperature) or Decimal(temperature) > 1):
        raise Unprocessable(
            f'the temperature is "{temperature[:20]}"; give a number from 0 to 1, or nothing for the model\'s own',
            param="temperature",
        )
    most = form.text("max_tokens") or str(_USUAL_TOKENS)
    if (
        not most.isascii()
        or not most.isdigit()
        or len(most) > len(str(_MOST_TOKENS))
        or not 0 < int(most) <= _MOST_TOKENS
    ):
        raise Unprocessable(
            f'the maximum of tokens is "{most[:20]}"; give a whole number from 1 to {_MOST_TOKENS}', param="max_tokens"
        )
    turns = [*_read_turns(form), Turn("user", form.text("text"))]
    return Asked(
        form.text("model"), turns, int(most), form.text("system"), Decimal(temperature) if temperature else None
    )


def _read_turns(form: Form) -> list[Turn]:
    """Those that the page keeps; a role is either of two, whatever is sent."""
    found = []
    for role, text in zip(form.raws("turn_role"), form.raws("turn_text"), strict=False):
        who: Literal["user", "assistant"] = "assistant" if role == "assistant" else "user"
        if text.strip():
            found.append(Turn(who, text.strip()))
    return found


def _team(form: Form) -> str | None:
    return form.text("team_id") or None


async def _show(
    request: AnyRequest, pages: Pages, keys: PlaygroundKeys, person: Person, values: dict[str, Any]
) -> Response[bytes]:
    choices = await keys.choices(person.user_id)
    team_id = _chosen_team(choices, values["asked_team"])
    error, models = values.get("error"), list[Model]()
    try:
        models = list(await keys.models(person.user_id, team_id))
    except Forbidden as refused:
        error = error or refused
    shown: dict[str, Any] = {"turns": [], "bill": None} | values | {"error": error, "team_id": team_id}
    shown |= {"choices": choices, "models": models, "most_tokens": _MOST_TOKENS, "stream": _STREAM, "receipt": _RECEIPT}
    shown["typed"]["model"] = _chosen_model(models, shown["typed"]["model"])
    return pages.show_form(request, "playground.html", person, error, **shown)


def _chosen_team(choices: Choices, asked: str) -> str | None:
    ids = [team_id for team_id, _ in choices.teams]
    if asked in ids:
        return asked
    return ids[0] if ids else None


def _chosen_model(models: Sequence[Model], asked: str) -> str:
    names = [model.name for model in models]
    if asked in names or not names:
        return asked if names else ""
    return next((name for name in names if name.startswith("claude-")), names[0])


def _bill_of(reply: Reply) -> Bill | None:
    receipt: Receipt | None = reply.receipt
    if receipt is None:
        return None
    usage = receipt.usage
    given = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h + usage.audio_input
    written = usage.output + usage.audio_output
    model, cost = receipt.model_served, receipt.cost.total
    return Bill(request_id_of(reply), model, cost, given, written, receipt.duration_ms)


def _bill_of_row(row: Row[Any]) -> Bill:
    given = row.input_tokens + row.cache_read_tokens + row.cache_write_5m_tokens + row.cache_write_1h_tokens
    given, written = given + row.audio_input_tokens, row.output_tokens + row.audio_output_tokens
    return Bill(row.request_id, row.model_served, row.cost_nanousd, given, written, row.duration_ms)


def _own_reply(reply: Reply) -> Reply:
    kept = [(name, value) for name, value in reply.headers if name in (b"content-type", b"request-id")]
    return msgspec.structs.replace(reply, headers=[*kept, *_OWN_HEADERS])


async def _send_error(status: int, body: dict[str, str], send: Send) -> None:
    headers = [(b"content-type", b"application/json"), *_OWN_HEADERS]
    await send_whole(status, headers, msgspec.json.encode(body), send)


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")
