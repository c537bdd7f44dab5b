"""Sends one message once, over HTTP or by SMTP. Whoever calls it tries again."""

import asyncio
import contextlib
import smtplib
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.message import EmailMessage

from app.base.errors import UpstreamError, UpstreamTimeout
from app.domain.alerts import AlertEvent
from app.domain.catalog import Timeouts
from app.notify.addresses import Address, MailAddress, SlackAddress, Smtp, WebhookAddress
from app.notify.letters import Letter, render_letter
from app.notify.messages import Header, render_mail, render_slack, render_webhook
from app.providers.provider import Upstream, UpstreamReply, UpstreamRequest

SENT_WITHIN_S = 20.0
"""An attempt takes no longer, whatever the other side does."""
_HTTP = Timeouts(connect_s=5, first_byte_s=10, idle_s=5, total_s=15)
_SMTP_STEP_S = 8
_MAILS_AT_ONCE = 4
_SMTPS_PORT = 465
_MOST_SHOWN = 200
_GONE = 410
_LONGEST_PAUSE_S = 3_600


class Undelivered(Exception):
    """Why; ``final``: it makes no sense to try again. ``retry_after_s`` is what the other side asked for."""

    def __init__(self, reason: str, *, final: bool = False, retry_after_s: int = 0) -> None:
        super().__init__(reason)
        self.final = final
        self.retry_after_s = retry_after_s


class Sender:
    """``http`` makes the connections; of a guarded address only to hosts that may be reached."""

    def __init__(self, http: Upstream, smtp: Smtp | None) -> None:
        self._http = http
        self._smtp = smtp
        self._threads = ThreadPoolExecutor(_MAILS_AT_ONCE, thread_name_prefix="mail")

    async def send(self, address: Address, event: AlertEvent, at: datetime) -> None:
        """Raises Undelivered."""
        try:
            async with asyncio.timeout(SENT_WITHIN_S):
                match address:
                    case WebhookAddress(secret=secret):
                        await self._post(address, *render_webhook(event, secret, at))
                    case SlackAddress():
                        await self._post(address, *render_slack(event))
                    case MailAddress(recipients):
                        smtp = self._require_smtp()
                        await self._mail(smtp, render_mail(event, smtp.sender, recipients))
        except TimeoutError as error:
            raise Undelivered(f"no answer within {SENT_WITHIN_S:.0f} s") from error

    @property
    def takes_mail(self) -> bool:
        return self._smtp is not None

    async def send_letter(self, letter: Letter, at: datetime) -> None:
        """Raises Undelivered."""
        smtp = self._require_smtp()
        try:
            mail = render_letter(letter, smtp.sender, at)
        except ValueError as error:
            raise Undelivered(str(error), final=True) from error
        try:
            async with asyncio.timeout(SENT_WITHIN_S):
                await self._mail(smtp, mail)
        except TimeoutError as error:
            raise Undelivered(f"the mail server gave no answer within {SENT_WITHIN_S:.0f} s") from error

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _post(self, to: WebhookAddress | SlackAddress, headers: Sequence[Header], body: bytes) -> None:
        agent: Header = (b"user-agent", b"Keyhouse")
        url = to.url.reveal()
        request = UpstreamRequest("alerts", "POST", url, [*headers, agent], body, _HTTP, guarded=to.guarded)
        try:
            reply = await self._http.send(request)
        except UpstreamTimeout as error:
            raise Undelivered("no answer in time") from error
        except UpstreamError as error:
            raise Undelivered(f"no connection ({_cause(error)})") from error
        try:
            await _check(reply)
        finally:
            reply.close()

    def _require_smtp(self) -> Smtp:
        if self._smtp is None:
            raise Undelivered("SMTP_HOST is not set", final=True)
        return self._smtp

    async def _mail(self, smtp: Smtp, mail: EmailMessage) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, _send_mail, smtp, mail)
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error if isinstance(error.smtp_error, str) else error.smtp_error.decode(errors="replace")
            raise Undelivered(f"the mail server said {error.smtp_code} {said[:_MOST_SHOWN]}") from error
        except smtplib.SMTPRecipientsRefused as error:
            refused = ", ".join(f"{to}: {code}" for to, (code, _) in error.recipients.items())
            raise Undelivered(f"the mail server refuses the recipients ({refused})") from error
        except (OSError, smtplib.SMTPException) as error:
            raise Undelivered(f"the mail server cannot be used ({type(error).__name__}: {error})") from error


def _send_mail(smtp: Smtp, mail: EmailMessage) -> None:
    context = ssl.create_default_context()
    at_once = smtp.tls and smtp.port == _SMTPS_PORT
    connected = (
        smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=_SMTP_STEP_S, context=context)
        if at_once
        else smtplib.SMTP(smtp.host, smtp.port, timeout=_SMTP_STEP_S)
    )
    with connected as server:
        if smtp.tls and not at_once:
            server.starttls(context=context)
        if smtp.username is not None and smtp.password is not None:
            server.login(smtp.username, smtp.password.reveal())
        server.send_message(mail)


async def _check(reply: UpstreamReply) -> None:
    """Any 2xx is taken; a redirect is not followed."""
    if 200 <= reply.status < 300:
        return
    said = b""
    with contextlib.suppress(TimeoutError, UpstreamError):
        said = await reply.next_chunk(_HTTP.idle_s)
    shown = " ".join(said[:_MOST_SHOWN].decode(errors="replace").split())
    reason = f"it answered {reply.status}{f': {shown}' if shown else ''}"
    if 300 <= reply.status < 400:
        reason = f"it answered {reply.status}, and redirects are not followed"
    raise Undelivered(reason, final=reply.status == _GONE, retry_after_s=_retry_after(reply))


def _retry_after(reply: UpstreamReply) -> int:
    value = next((value for name, value in reply.headers if name.lower() == b"retry-after"), b"")
    return min(int(value), _LONGEST_PAUSE_S) if value.isdigit() and len(value) < 9 else 0


def _cause(error: UpstreamError) -> str:
    cause = error.__cause__
    return type(error).__name__ if cause is None else str(cause) or type(cause).__name__
