"""What each scope of budgets has spent since an instant, by the sums of the book of record."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.money import NanoUSD
from app.domain.tenancy import owners_in
from app.storage.postgres.engine import transaction
from app.storage.postgres.owner_spend import spend_of_owners, spend_of_scope


class SpendingReader:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def since(self, windows: Sequence[tuple[str, datetime]]) -> list[NanoUSD]:
        """For each pair of scope and start. A receipt is in it as soon as it is drained, within the second.

        Raises StorageUnavailable.
        """
        spent: list[NanoUSD] = []
        async with transaction(self._engine) as connection:
            # One state of the books for all of them: a receipt that is in a team's sum is in its key's too.
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            for scope, start in windows:
                owners = owners_in(scope)
                if "scope" in owners:
                    spent.append(await spend_of_scope(connection, scope, start))
                    continue
                owner = tuple(owners.values())
                found = await spend_of_owners(connection, tuple(owners), [(owner, start)])
                spent.append(found[owner].window_nanousd)
        return spent
