"""Names that only one may bear: whoever checks one holds it until its transaction ends."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection


async def hold_name(connection: AsyncConnection, kind: str, name: str) -> None:
    """Keep others from checking the same name, so that two at once cannot both find it free."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{kind}:{name}", 0))))
