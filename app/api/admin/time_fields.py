"""Reading periods, moments and time zones of an admin request, or a 422 that names the field and what it may be."""

import difflib
import zoneinfo
from datetime import UTC, datetime

from app.api.admin.fields import read_duration, read_text
from app.base.clock import now
from app.base.errors import Unprocessable
from app.domain.budgets import Duration, after, parse_period


def read_period(name: str, raw: bytes) -> Duration:
    """A duration, or a period of the calendar: ``30d``, ``month``."""
    try:
        return parse_period(read_text(name, raw))
    except ValueError as error:
        raise Unprocessable(f'"{name}": {error}', param=name) from error


def read_zone(name: str, raw: bytes) -> str:
    """An IANA name."""
    return check_zone(name, read_text(name, raw))


def check_zone(name: str, zone: str) -> str:
    """Raises Unprocessable with the nearest names for what is no IANA name."""
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Unprocessable(
            f'"{name}" is "{zone}"; the nearest IANA names are: {", ".join(_nearest_zones(zone))}', param=name
        ) from error
    return zone


def read_coming_moment(name: str, raw: bytes) -> datetime:
    """A date or a time (of UTC, where it says no other), or how long from now: ``2026-12-01``, ``12h``."""
    text = read_text(name, raw)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return after(read_duration(name, raw), now())
        except Unprocessable as error:
            raise Unprocessable(f'{error}; or a date or a time, such as "2026-12-01"', param=name) from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if moment <= now():
        raise Unprocessable(f'"{name}" is "{text}", which is over; give a time to come', param=name)
    return moment


def _nearest_zones(name: str) -> list[str]:
    """Also by the city alone: ``Kolkatta``, ``berlin``."""
    zones = {zone.lower(): zone for zone in sorted(zoneinfo.available_timezones())}
    cities = {zone.rpartition("/")[2]: zone for zone in zones}
    asked = name.lower().replace(" ", "_")
    found = [cities[city] for city in difflib.get_close_matches(asked.rpartition("/")[2], cities, n=2)]
    found += difflib.get_close_matches(asked, zones, n=2)
    return [zones[zone] for zone in dict.fromkeys(found)] or ["UTC", "Europe/Berlin", "Asia/Kolkata"]
