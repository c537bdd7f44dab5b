"""What people are written: that they are invited, and that somebody asked for a new password."""

from datetime import datetime

from app.base.clock import now
from app.base.logs import get_logger
from app.notify.letters import Letter
from app.notify.sender import Sender, Undelivered

_FOOT = "--\nSent by Keyhouse. Nobody reads answers to this address.\n"


class Post:
    """``sender`` takes mail."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._log = get_logger()

    async def send_invitation(self, email: str, link: str, until: datetime, by: str) -> str | None:
        """None when a mail server took it; else why not, in words."""
        text = (
            f"{by} invites you to Keyhouse, through which your models are called.\n\n"
            f"Choose a password here; you are signed in with it at once:\n\n{link}\n\n"
            f"The link holds until {until:%d %B %Y, %H:%M} UTC, and for one use. It opens your account: "
            "give it to nobody.\n"
        )
        return await self._send(Letter(email, "Your invitation to Keyhouse", f"{text}\n{_FOOT}"))

    async def send_welcome(self, email: str, link: str, single_sign_on: str, by: str) -> str | None:
        """As ``send_invitation``, where nobody has a password."""
        text = f"{by} made you an account at Keyhouse.\n\nSign in with {single_sign_on} here:\n\n{link}\n"
        return await self._send(Letter(email, "Your account at Keyhouse", f"{text}\n{_FOOT}"))

    async def send_reset(self, email: str, link: str, until: datetime) -> None:
        """Whoever asked is told nothing of how that went."""
        text = (
            "Somebody, you we hope, asked for a new password for your account at Keyhouse. Choose one here:\n\n"
            f"{link}\n\nThe link holds until {until:%d %B %Y, %H:%M} UTC, and for one use.\n"
            "If it was not you, do nothing: your password stays as it is.\n"
        )
        await self._send(Letter(email, "A new password for Keyhouse", f"{text}\n{_FOOT}"))

    async def _send(self, letter: Letter) -> str | None:
        try:
            await self._sender.send_letter(letter, now())
        except Undelivered as error:
            self._log.warning("a letter was not delivered", subject=letter.subject, reason=str(error))
            return str(error)
        return None
