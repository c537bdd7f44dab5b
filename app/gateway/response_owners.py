"""Whether the response that a request goes on from is its caller's: one that another tenant has made is none.

The provider knows one account, ours, and would go on from each response that is kept in it. The book of record notes
whose a response is together with its receipt (app.storage.postgres.response_owners); one that was not made through us
belongs to nobody here, and may be named by all.
"""

from app.base.errors import PreviousResponseNotFound
from app.domain.access import Principal
from app.domain.provider_objects import LONGEST_RESPONSE_ID, may_handle
from app.gateway.ports import ResponseOwners as Known
from app.protocols.codec import Envelope
from app.protocols.envelope import read_loosely

_NAME = "previous_response_id"


class ResponseOwners:
    def __init__(self, known: Known) -> None:
        self._known = known

    async def check(self, principal: Principal, envelope: Envelope) -> None:
        """What the envelope has is what goes out, also where a name is escaped or said twice.

        Raises PreviousResponseNotFound, StorageUnavailable where it cannot be known.
        """
        if _NAME not in envelope.fields or principal.is_admin:
            return
        response_id = read_loosely(envelope.fields, _NAME)
        if not isinstance(response_id, str) or len(response_id) > LONGEST_RESPONSE_ID or "\0" in response_id:
            return  # none that was noted; who reads it for its content tells what is wrong with it
        owner = await self._known.find(response_id)
        if owner is not None and not may_handle(principal, owner):
            raise PreviousResponseNotFound(
                f'there is no response "{response_id[:100]}" that this key or its team has made; send the conversation '
                f"in input, without {_NAME}",
                param=_NAME,
            )
