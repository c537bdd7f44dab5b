"""Whether the files that a request names are its caller's: one that another tenant has uploaded is answered like none.

The provider knows one account, ours, and would read each file that is in it to whoever names it. A file that was not
uploaded through us belongs to nobody here, and may be named by all.
"""

import asyncio
import json  # noqa: TID251  msgspec tells one of two members of the same name
import re
import time
from typing import Any

from app.base.errors import InvalidRequest, NotFound, StorageUnavailable
from app.domain.access import Principal
from app.domain.provider_objects import may_handle
from app.gateway.call import Call
from app.gateway.ports import ProviderObjects

_NAMES = b"file_id"
# Any letter of a name may be written so in JSON.
_ESCAPE = b"\\u00"
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")
_LONG_BYTES = 1_000_000
"""A longer body is looked through beside the loop."""
_MOST_FILES = 1_000
"""In one request; a batch has many messages."""
_ASK_EVERY_S = 10


class FileOwners:
    """Where no files were uploaded at all, requests are not looked through: that takes a millisecond for a megabyte."""

    def __init__(self, objects: ProviderObjects) -> None:
        self._objects = objects
        self._are_some = True
        self._uploads = 0
        self._ask_at_s = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def check(self, call: Call, principal: Principal) -> None:
        """Raises NotFound, InvalidRequest for too many files, StorageUnavailable where it cannot be known."""
        if call.operation == "files":
            self._note_upload()
            return
        self._ask_now_and_then()
        if principal.is_admin or not call.body or not self._are_some:
            return
        long = len(call.body) > _LONG_BYTES
        named = await asyncio.to_thread(files_named_in, call.body) if long else files_named_in(call.body)
        if not named:
            return
        if len(named) > _MOST_FILES:
            raise InvalidRequest(f"this request names {len(named):,} files; at most {_MOST_FILES:,} may be named")
        for record in await self._objects.find_all("file", sorted(named)):
            if not may_handle(principal, record):
                raise NotFound(f'there is no file "{record.object_id[:100]}" that this key or its team has uploaded')

    def _note_upload(self) -> None:
        self._uploads += 1
        self._are_some = True
        self._ask_at_s = time.monotonic() + _ASK_EVERY_S

    def _ask_now_and_then(self) -> None:
        """Beside the call, which goes by what was known last."""
        if time.monotonic() >= self._ask_at_s and self._asking is None:
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        uploads = self._uploads
        try:
            are_some = await self._objects.any("file")
            self._are_some = are_some or uploads != self._uploads
        except StorageUnavailable:
            pass  # nothing is uploaded meanwhile either, as it could not be noted
        finally:
            self._ask_at_s = time.monotonic() + _ASK_EVERY_S
            self._asking = None


def files_named_in(body: bytes) -> set[str]:
    """The texts that stand under ``file_id`` and ``file_ids`` anywhere in a request of JSON.

    Of a name that stands twice in an object both count: which of them the provider reads is not known.
    """
    if _NAMES not in body and not (_ESCAPE in body and _ESCAPED_LETTER.search(body)):
        return set()
    found: set[str] = set()

    def note(pairs: list[tuple[str, Any]]) -> None:
        for name, value in pairs:
            texts = value if isinstance(value, list) else [value]
            if name in ("file_id", "file_ids"):
                # No file is called what no text in Postgres is: of NUL characters, or halves of others.
                found.update(text for text in texts if isinstance(text, str) and text.isprintable())

    try:
        # Numbers are not read: one with too many digits is no reason to look no further.
        json.loads(body, object_pairs_hook=note, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return found  # who reads it for its content tells what is wrong with it
    return found
