"""Letters: a mail to one person, about that person alone."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from app.base.ids import new_id


@dataclass(frozen=True, slots=True)
class Letter:
    """``recipient`` is one address."""

    recipient: str
    subject: str
    text: str


def render_letter(letter: Letter, sender: str, at: datetime) -> EmailMessage:
    """Raises ValueError for what is no address: it goes to one person, whatever stands there."""
    mail = EmailMessage()
    mail["From"] = sender
    try:
        mail["To"] = Address(addr_spec=letter.recipient)
    except (IndexError, ValueError) as error:  # the standard library's, for what it cannot parse
        raise ValueError(f'"{letter.recipient}" is no mail address') from error
    mail["Subject"] = " ".join(letter.subject.split())
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{new_id('mail')}@keyhouse.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text)
    return mail
