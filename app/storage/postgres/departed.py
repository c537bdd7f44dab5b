"""The names of what was deleted: kept when a row goes, found when a report names it."""

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.tables import departed


async def keep_name(
    connection: AsyncConnection, kind: str, column: ColumnElement[str], name: ColumnElement[str | None], owner: str
) -> None:
    """Before the row of ``owner`` is deleted: ``column`` holds its id, ``name`` what people call it, if they do."""
    present = select(literal(kind), column, name).where(column == owner, name.is_not(None))
    made = insert(departed).from_select(["kind", "id", "name"], present)
    again = {"name": made.excluded.name, "deleted_at": func.now()}
    await connection.execute(made.on_conflict_do_update(index_elements=["kind", "id"], set_=again))
