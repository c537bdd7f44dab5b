"""The last refusal that each key met, kept for an hour: for its owner, who asks why a client does not work."""

from datetime import UTC, datetime

import msgspec

from app.base.errors import GatewayError
from app.gateway.call import Reply
from app.gateway.ports import RefusalBoard
from app.protocols.scanning import UNREADABLE

MOST_WAITING = 1_000
_LONGEST_MESSAGE = 600
_PROVIDER = "provider_refused"


class LastRefusal(msgspec.Struct, frozen=True, array_like=True):
    """``code`` is that of an error of ours, or ``provider_refused``."""

    at_s: float
    status: int
    code: str
    message: str
    request_id: str

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, UTC)


class LastRefusals:
    """What is noted waits in memory and is written twice a second, so that a flood of refusals costs a store nothing;
    of more keys than ``MOST_WAITING`` in that time some are left out."""

    def __init__(self, board: RefusalBoard) -> None:
        self._board = board
        self._waiting: dict[str, bytes] = {}
        self._encode = msgspec.msgpack.Encoder().encode

    def note(self, key_id: str, error: GatewayError, status: int, request_id: str, at: datetime) -> None:
        self._keep(key_id, LastRefusal(at.timestamp(), status, error.code, error.message, request_id))

    def note_reply(self, key_id: str, reply: Reply, request_id: str, at: datetime) -> None:
        """An answer of the provider that is an error."""
        said = message_of(reply.body) if isinstance(reply.body, bytes) else ""
        message = f"the provider answered {reply.status}" + (f": {said}" if said else "")
        self._keep(key_id, LastRefusal(at.timestamp(), reply.status, _PROVIDER, message, request_id))

    async def write(self) -> None:
        """Raises StorageUnavailable; what waited is gone then."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            await self._board.write(waiting)

    async def find(self, key_id: str) -> LastRefusal | None:
        """Raises StorageUnavailable."""
        said = await self._board.read(key_id)
        try:
            return None if said is None else msgspec.msgpack.decode(said, type=LastRefusal)
        except msgspec.DecodeError:
            return None  # of a process of another version

    def _keep(self, key_id: str, refusal: LastRefusal) -> None:
        if key_id in self._waiting or len(self._waiting) < MOST_WAITING:
            shortened = msgspec.structs.replace(refusal, message=refusal.message[:_LONGEST_MESSAGE])
            self._waiting[key_id] = self._encode(shortened)


class _Error(msgspec.Struct):
    message: str = ""


class _Refusal(msgspec.Struct):
    error: _Error


def message_of(body: bytes) -> str:
    """The sentence of an error in the shape that Anthropic, OpenAI and Gemini share; nothing of any other."""
    try:
        return msgspec.json.decode(body, type=_Refusal).error.message
    except UNREADABLE:
        return ""
