"""Use cases of saved views: somebody keeps addresses of pages under names, for nobody else."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.storage.postgres import saved_views as rows
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.saved_views import SavedView

MOST_VIEWS = 50
LONGEST_NAME = 80


class SavedViews:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def list(self, user_id: str) -> Sequence[SavedView]:
        async with reading(self._engine) as connection:
            return await rows.list_views(connection, user_id)

    async def save(self, user_id: str, name: str, address: str) -> None:
        """``address`` is one that was checked. Raises Unprocessable for a name that cannot be, or one view too many."""
        async with transaction(self._engine) as connection:
            held = await rows.hold_views(connection, user_id)
            _check_name(name, held)
            if len(held) >= MOST_VIEWS:
                raise Unprocessable(f"there are {MOST_VIEWS} saved views, as many as there may be; delete one first")
            await rows.insert_view(connection, user_id, new_id("view"), name, address)

    async def rename(self, user_id: str, view_id: str, name: str) -> None:
        """Raises NotFound, Unprocessable."""
        async with transaction(self._engine) as connection:
            held = await rows.hold_views(connection, user_id)
            if all(one.view_id != view_id for one in held):
                raise NotFound("There is no such saved view.")
            _check_name(name, [one for one in held if one.view_id != view_id])
            await rows.rename_view(connection, user_id, view_id, name)

    async def delete(self, user_id: str, view_id: str) -> None:
        """What is gone already is gone."""
        async with transaction(self._engine) as connection:
            await rows.delete_view(connection, user_id, view_id)


def _check_name(name: str, others: Sequence[SavedView]) -> None:
    if not name:
        raise Unprocessable("the name is missing; give one by which you know the view again", param="name")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Unprocessable(
            f'"{name[:40]}" is no name; give at most {LONGEST_NAME} characters on one line', param="name"
        )
    if any(one.name == name for one in others):
        raise Unprocessable(f'there is a view "{name}" already; give another name', param="name")
