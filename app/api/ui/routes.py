"""All pages, with what they stand on."""

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.people import People
from app.api.ui.access import Pages
from app.api.ui.assets import serve_asset
from app.api.ui.errors import page_error_handler
from app.api.ui.rendering import Templates
from app.api.ui.sign_in import SignInPages
from app.base.errors import NotFound


def page_routes(engine: AsyncEngine, pepper: bytes, master_key: str) -> Router:
    """For ``route_handlers``. The app must give the services too, as ``admin_dependencies`` names them."""
    pages = Pages(People(engine, pepper, master_key), Templates())
    return Router(
        "/",
        route_handlers=[SignInPages, serve_asset, _unknown_page],
        dependencies={"pages": Provide(lambda: pages, sync_to_thread=False)},
        exception_handlers={Exception: page_error_handler(pages)},
    )


@get("/ui/{rest:path}", include_in_schema=False)
async def _unknown_page(rest: FromPath[str]) -> Response[bytes]:  # noqa: ARG001  the path itself does not matter
    raise NotFound("There is no such page.")
