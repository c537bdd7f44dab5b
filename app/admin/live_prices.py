"""The dated prices of the database in the memory of a process, read again when one is set."""

import asyncio
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.errors import StorageUnavailable
from app.base.logs import get_logger
from app.domain.price_list import DatedPrice, PriceList
from app.providers.prices import LivePrices
from app.providers.service_prices import services_of
from app.storage.postgres import prices as rows
from app.storage.postgres.engine import transaction
from app.storage.redis.announcements import Announcements

PRICE_CHANNEL = "kh:prices"


class PriceKeeper:
    """Keeps ``prices`` up to date. ``refresh`` before serving; ``watch`` and ``refresh`` in the background."""

    def __init__(self, prices: LivePrices, engine: AsyncEngine, announcements: Announcements) -> None:
        self.prices = prices
        self._engine = engine
        self._announcements = announcements
        self._reading = asyncio.Lock()
        self._stamp = ""
        self._log = get_logger()

    async def changed(self) -> None:
        """After a commit: read again here, and tell every other process. A store that is away makes it no failure."""
        try:
            await self.refresh()
        except StorageUnavailable as error:
            self._log.warning("prices are read again later", reason=str(error))
        await self._announcements.say()

    async def watch(self) -> None:
        await self._announcements.watch(self.refresh)

    async def refresh(self) -> None:
        """Read all, if any came or went. Raises StorageUnavailable."""
        async with self._reading:
            async with transaction(self._engine) as connection:
                stamp = await rows.read_stamp(connection)
                if stamp == self._stamp:
                    return
                found, terms = await rows.list_all(connection)
            self.prices.replace(PriceList(map(with_services, found), terms))
            self._stamp = stamp


def with_services(price: DatedPrice) -> DatedPrice:
    """With what its provider takes for service tiers that the row says nothing of."""
    sheet = price.sheet
    if sheet is None:
        return price
    services = services_of(price.provider, price.model, sheet.services)
    return replace(price, sheet=replace(sheet, services=services))
