"""Where programs are signed in: whether that is on, and how often one address may be wrong."""

from datetime import timedelta

from litestar import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.attempts import Attempts
from app.admin.device_sign_in import DeviceSignIn
from app.base.clock import now
from app.base.errors import NotFound, RateLimited
from app.base.network_place import place_of
from app.domain.sign_in import parse_user_code
from app.domain.wrong_keys import WrongKeys
from app.storage.postgres.sign_ins import StoredAuthorization

WRONG_CODES_PER_MINUTE = 10
_WRONG_TOKENS_PER_MINUTE = 60
_LONGEST_NAME = 200


class SignInDesk:
    """``is_open`` is the setting claude_code_sign_in. Wrong tokens, which nobody can guess, are counted by process."""

    def __init__(self, engine: AsyncEngine, sign_in: DeviceSignIn, *, is_open: bool) -> None:
        self.programs = sign_in
        self.is_open = is_open
        self._wrong_codes = Attempts(engine, WRONG_CODES_PER_MINUTE, timedelta(minutes=1), "wrong codes")
        self._wrong_tokens = WrongKeys(_WRONG_TOKENS_PER_MINUTE)

    @property
    def sign_in(self) -> DeviceSignIn:
        """Raises NotFound when programs cannot sign in here."""
        if not self.is_open:
            raise NotFound(
                "programs cannot sign in here: an admin can switch it on with KEYHOUSE_CLAUDE_CODE_SIGN_IN=true; "
                "until then use a key"
            )
        return self.programs

    async def find_waiting(self, user_code: str, address: str) -> StoredAuthorization:
        """Raises as DeviceSignIn does, and RateLimited for an address that tries many wrong codes."""
        sign_in = self.sign_in
        if parse_user_code(user_code) is None:
            return await sign_in.find_waiting(user_code)
        subject = f"device code:{place_of(address)}"
        await self._wrong_codes.count((subject,), address)
        found = await sign_in.find_waiting(user_code)
        await self._wrong_codes.forgive(subject)
        return found

    def check_tokens(self, address: str) -> None:
        """Raises RateLimited for an address that sends many wrong tokens."""
        if self._wrong_tokens.too_many(address, now()):
            raise _too_many(f"more than {_WRONG_TOKENS_PER_MINUTE} wrong tokens in a minute from {address}")

    def note_wrong_token(self, address: str) -> None:
        self._wrong_tokens.note(address, now())


def _too_many(what: str) -> RateLimited:
    return RateLimited(f"{what}; wait a minute", retry_after_s=60 - int(now().timestamp()) % 60)


def address_of(request: Request[object, object, object]) -> str:  # type: ignore[type-var]  # of any state
    return request.client.host if request.client is not None else ""


def name_of(request: Request[object, object, object]) -> str:  # type: ignore[type-var]  # of any state
    """What the program calls itself: shown to the person who approves, and told by nobody else."""
    name = "".join(sign for sign in request.headers.get("user-agent", "") if sign.isprintable())
    return name[:_LONGEST_NAME].strip() or "a program without a name"
