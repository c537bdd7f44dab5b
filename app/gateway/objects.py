"""What a provider keeps for callers of ours: whose it is, and every question about it asked where it is kept.

The provider knows one account, ours, and would show each caller what all of them have left there. So each object is
noted with its owner before the caller learns its name, and a name that is not the caller's own is answered like one
that does not exist. The master key reaches also what was never noted.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

from msgspec.structs import replace

from app.base.errors import GatewayError, InvalidRequest, NotFound, UpstreamUnreachable, UpstreamUnreadable
from app.base.logs import get_logger
from app.domain.access import Principal
from app.domain.catalog import Deployment
from app.domain.provider_objects import ObjectKind, PageAsked, ProviderObject, may_handle
from app.domain.spend import Receipt
from app.gateway.admit import Admission
from app.gateway.call import Call, Grant, Reply, StreamCut
from app.gateway.dispatch import dispatch, headers_back
from app.gateway.exchange import Verbatim
from app.gateway.ports import CatalogSource, ProviderObjects
from app.gateway.relay import read_whole
from app.protocols.anthropic_messages.batches import object_id_of, render_page
from app.providers.provider import Upstream, UpstreamReply

T = TypeVar("T")
Change = Callable[[bytes], bytes]

_PAGE = 20
_LONGEST_PAGE = 1000
_MOST_ASKED = 100
"""A page costs the provider one question for each object, so a longer one is cut here and says that there is more."""
_ASKED_AT_ONCE = 8
_under_way: set[asyncio.Task[Any]] = set()


class Watch(Protocol):
    """Sees the bytes of an answer before the client does."""

    async def pass_on(self, chunk: bytes) -> bytes:
        """What the client may have now. Raises GatewayError to cut the answer."""

    async def end(self) -> bytes: ...


class Custody:
    def __init__(
        self, store: ProviderObjects, catalog: CatalogSource, admission: Admission, upstream: Upstream
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._admission = admission
        self._upstream = upstream
        self._log = get_logger()

    async def find(self, principal: Principal, kind: ObjectKind, object_id: str) -> ProviderObject | None:
        """None for the master key, where the object was not made through us. Raises NotFound, StorageUnavailable."""
        record = await self._store.find(kind, object_id)
        if record is not None and may_handle(principal, record):
            return record
        if record is None and principal.is_admin:
            return None
        raise NotFound(f'there is no {kind} "{object_id[:100]}" that this key or its team has made')

    def place_of(self, call: Call, principal: Principal, record: ProviderObject | None) -> Deployment:
        """Where the object is kept. Raises UpstreamUnreachable when the catalogue leads there no more."""
        if record is None:
            return self._admission.admit_opaque(call, principal).deployment
        found: Deployment | None = None
        for model in self._catalog.current().models:
            for deployment in model.deployments:
                if (deployment.provider, deployment.api_base) != (record.provider, record.api_base):
                    continue
                # A deployment of a wildcard is named after what filled it in.
                if f"{record.deployment_id}/".startswith(f"{deployment.deployment_id}/"):
                    return deployment
                found = found or deployment
        if found is None:
            raise UpstreamUnreachable(
                f'{record.kind} "{record.object_id}" is kept by provider "{record.provider}" at {record.api_base}, and '
                "no deployment leads there any more; an admin can put one back into model_list",
                provider=record.provider,
            )
        return found

    async def keep(self, record: ProviderObject) -> None:
        """Raises StorageUnavailable, UpstreamUnreadable: it is not noted, and the caller must not learn its name."""
        if not await self._store.add(record):
            raise UpstreamUnreadable(
                f'provider "{record.provider}" named a new {record.kind} as it has named one before: '
                f'"{record.object_id}"',
                provider=record.provider,
            )

    async def ask(self, call: Call, principal: Principal, place: Deployment) -> tuple[Grant, UpstreamReply]:
        grant = Grant(principal, None, None, place, Verbatim(call, None, place, None))
        reply = await dispatch(call, grant, self._upstream)
        self._log.info(
            "forwarded",
            request_id=call.request_id,
            route=call.route,
            key_id=principal.key.key_id,
            provider=place.provider,
            status=reply.status,
        )
        return grant, reply

    async def ask_whole(
        self, call: Call, principal: Principal, place: Deployment, change: Change | None = None
    ) -> tuple[Reply, bytes]:
        """The answer for the client, and its body; ``change`` is made to a success."""
        grant, reply = await self.ask(call, principal, place)
        try:
            body = await read_whole(reply, place)
        finally:
            reply.close()
        if change is not None and reply.status < 300:
            body = change(body)
        return Reply(reply.status, headers_back(call, grant, reply), body), body

    async def ask_streamed(self, call: Call, principal: Principal, place: Deployment) -> Reply:
        grant, reply = await self.ask(call, principal, place)
        return Reply(reply.status, headers_back(call, grant, reply), PassingBody(reply, place, Untouched()))

    async def delete(self, call: Call, principal: Principal, record: ProviderObject | None) -> Reply:
        reply, _ = await self.ask_whole(call, principal, self.place_of(call, principal, record))
        if record is not None and (reply.status < 300 or reply.status == 404):
            await self._store.remove(record.kind, record.object_id)
        return reply

    async def list_page(self, call: Call, principal: Principal, kind: ObjectKind, change: Change | None) -> Reply:
        """The caller's own, as the provider describes each now; one that it has dropped is left out."""
        asked = read_page(call.query)
        if asked.only is not None and len(asked.only) > _MOST_ASKED:
            raise InvalidRequest(f'"ids" names more than {_MOST_ASKED} objects', param="ids")
        records = await self._store.page(kind, principal, replace(asked, limit=asked.limit + 1))
        has_more, records = len(records) > asked.limit, _cut(records, asked)
        turns = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def describe(record: ProviderObject) -> Reply | None:
            path = f"{call.upstream_path}/{record.object_id}"
            question = replace(call, upstream_path=path, query=_without_page(call.query), body=b"")
            async with turns:
                try:
                    place = self.place_of(call, principal, record)
                except UpstreamUnreachable as error:
                    self._log.warning("left out of a list", reason=error.message)
                    return None
                reply, _ = await self.ask_whole(question, principal, place, change)
                return reply

        replies = await asyncio.gather(*(describe(record) for record in records))
        data: list[bytes] = []
        for reply in replies:
            if reply is None or reply.status == 404:
                continue
            if reply.status >= 300:
                return reply
            assert isinstance(reply.body, bytes)
            data.append(reply.body)
        body = render_page(data, [record.object_id for record in records], has_more=has_more)
        return Reply(200, [(b"content-type", b"application/json"), (b"request-id", call.request_id.encode())], body)


class Untouched:
    """A Watch that has no eyes."""

    async def pass_on(self, chunk: bytes) -> bytes:
        return chunk

    async def end(self) -> bytes:
        return b""


class PassingBody:
    """A StreamBody: an answer of any size, through a Watch."""

    def __init__(self, reply: UpstreamReply, place: Deployment, watch: Watch) -> None:
        self._reply = reply
        self._place = place
        self._watch = watch
        self._ends_at = time.monotonic() + place.timeouts.total_s
        self._chunks = self._run()
        self.receipt: Receipt | None = None
        """None: what costs is booked where it is counted."""

    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def close(self) -> None:
        await self._chunks.aclose()
        self._reply.close()

    async def _run(self) -> AsyncGenerator[bytes, None]:
        try:
            while chunk := await self._next():
                if passed := await self._watch.pass_on(chunk):
                    yield passed
            if rest := await self._watch.end():
                yield rest
        except (GatewayError, TimeoutError) as error:
            get_logger().warning("an answer was cut", provider=self._place.provider, reason=str(error) or "silence")
            raise StreamCut from error
        finally:
            self._reply.close()

    async def _next(self) -> bytes:
        wait_s = min(self._place.timeouts.idle_s, self._ends_at - time.monotonic())
        return await self._reply.next_chunk(max(wait_s, 0.001))


class Files:
    """The service of ``/v1/files``: bytes pass through untouched, each file for its owner alone."""

    def __init__(self, custody: Custody) -> None:
        self._custody = custody

    async def serve(self, call: Call, principal: Principal) -> Reply:
        custody = self._custody
        match call.method, path_below(call, "/v1/files"):
            case "POST", []:
                place = custody.place_of(call, principal, None)
                return await finish_anyway(self._upload(call, principal, place))
            case "GET", [] if not principal.is_admin:
                return await custody.list_page(call, principal, "file", None)
            case "GET", []:
                reply, _ = await custody.ask_whole(call, principal, custody.place_of(call, principal, None))
                return reply
            case ("GET", [file_id]) | ("GET", [file_id, "content"]):
                record = await custody.find(principal, "file", file_id)
                return await custody.ask_streamed(call, principal, custody.place_of(call, principal, record))
            case "DELETE", [file_id]:
                return await custody.delete(call, principal, await custody.find(principal, "file", file_id))
            case _:
                raise no_such_route(call)

    async def _upload(self, call: Call, principal: Principal, place: Deployment) -> Reply:
        reply, body = await self._custody.ask_whole(call, principal, place)
        if reply.status >= 300:
            return reply
        file_id = object_id_of(body)
        if file_id is None:
            raise UpstreamUnreadable(f'provider "{place.provider}" gave the new file no name', provider=place.provider)
        try:
            await self._custody.keep(record_of(call, principal, place, "file", file_id))
        except GatewayError:
            undo = replace(call, method="DELETE", upstream_path=f"/v1/files/{file_id}", body=b"")
            await at_best(self._custody.ask_whole(undo, principal, place))
            raise
        return reply


def record_of(
    call: Call, principal: Principal, place: Deployment, kind: ObjectKind, object_id: str, facts: bytes = b""
) -> ProviderObject:
    key = principal.key
    return ProviderObject(
        kind=kind,
        object_id=object_id,
        organization_id=key.organization_id,
        team_id=key.team_id,
        user_id=key.user_id,
        key_id=key.key_id,
        provider=place.provider,
        api_base=place.api_base,
        deployment_id=place.deployment_id,
        created_at=call.started_at,
        facts=facts,
    )


def path_below(call: Call, prefix: str) -> list[str]:
    assert call.upstream_path is not None
    below = call.upstream_path.removeprefix(prefix).strip("/")
    return below.split("/") if below else []


def no_such_route(call: Call) -> NotFound:
    return NotFound(f"there is no route {call.method} {call.route[:200]}")


async def finish_anyway(work: Coroutine[Any, Any, T]) -> T:
    """``work`` in a task of its own, which goes on when the client leaves: what it makes at the provider is noted."""
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_finished)
    return await asyncio.shield(task)


async def at_best(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except (GatewayError, TimeoutError) as error:
        get_logger().exception("what was made at a provider could not be undone", reason=str(error))


def read_page(query: bytes) -> PageAsked:
    """Raises InvalidRequest."""
    given = parse_qs(query.decode("latin-1"))
    text = given.get("limit", [str(_PAGE)])[-1]
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= _LONGEST_PAGE:
        raise InvalidRequest(f'"limit" is "{text[:20]}"; give a whole number from 1 to {_LONGEST_PAGE}', param="limit")
    only = (*given.get("ids", ()), *given.get("ids[]", ()))
    cursor = given.get("page", [""])[-1].removeprefix("page_")
    return PageAsked(
        limit=min(int(text), _MOST_ASKED) if not only else _MOST_ASKED,
        after=cursor or given.get("after_id", [None])[-1],
        before=given.get("before_id", [None])[-1],
        only=only or None,
    )


def _cut(records: list[ProviderObject], asked: PageAsked) -> list[ProviderObject]:
    backwards = asked.before is not None and asked.after is None
    return records[-asked.limit :] if backwards else records[: asked.limit]


def _without_page(query: bytes) -> bytes:
    """Only what selects an edition of the API means something to the question for one object."""
    return b"&".join(part for part in query.split(b"&") if part.startswith(b"beta="))


def _finished(task: asyncio.Task[Any]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # whoever waited was told; without anybody there is nobody to tell
