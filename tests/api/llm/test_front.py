"""Which requests go past the router, and which through it."""

from typing import Any

import pytest
from litestar import asgi

from app.api.llm.front import Front


def make_front(seen: list[str]) -> Front:
    @asgi(["/v1/messages", "/messages"], copy_scope=False)
    async def messages(scope: Any, receive: Any, send: Any) -> None:
        seen.append("messages")

    @asgi("/anthropic", is_mount=True, copy_scope=False)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        seen.append("mounted")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append("app")

    return Front(app, [messages, mounted])


@pytest.mark.parametrize(
    ("kind", "path", "taken_by"),
    [
        ("http", "/v1/messages", "messages"),
        ("http", "/messages", "messages"),
        ("http", "/v1/messages/", "app"),
        ("http", "/anthropic", "app"),
        ("http", "/key/generate", "app"),
        ("lifespan", "/v1/messages", "app"),
    ],
)
async def test_only_exact_paths_of_plain_handlers_go_past_the_router(kind: str, path: str, taken_by: str) -> None:
    seen: list[str] = []
    await make_front(seen)({"type": kind, "path": path}, None, None)  # type: ignore[arg-type]
    assert seen == [taken_by]


@pytest.mark.parametrize(
    ("path", "method"), [("/ui", "GET"), ("/ui/keys", "GET"), ("/uid", "HEAD"), ("/anthropic/a", "HEAD")]
)
async def test_who_asks_for_the_head_of_a_page_gets_that_of_a_get(path: str, method: str) -> None:
    asked = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["method"])

    await Front(app, [])({"type": "http", "path": path, "method": "HEAD"}, None, None)  # type: ignore[arg-type]
    assert asked == [method]
