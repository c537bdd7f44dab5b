"""Who is signed in at a page, and the forms that people send. This is what a page is written against:

A handler of ``/ui`` asks for ``pages: NamedDependency[Pages]`` and answers with what ``pages`` makes:

- ``person = await pages.signed_in_person(request)``: whoever is signed in, of any role. Raises ``SignInNeeded``, which
  leads to the sign-in page and from there back to this page.
- ``person = await pages.require_page(request, "key.read")``: the same, for one who may do this action of
  ``app.domain.roles.ACTIONS``. Raises Forbidden too, which is shown as a page.
- ``person.may("key.change")`` says whether to offer it, ``person.reach("key.read")`` is whose rows to show, if any;
  ``person.tenant("key.read")`` is whose rows a service may show, ``person.actor("key.change")`` who makes a change:
  both are what the admin API passes on for a key of the same person. ``person.user_id`` is the user's id.
- ``form = await pages.read_form(request)``: the fields of a POST, after their CSRF token was checked. Raises Forbidden
  without one. Every POST begins with it. ``form.text("name")`` is stripped, and empty where there is none.
- ``pages.show(request, "name.html", person, field=…)`` renders a template of ``templates/``. A template that extends
  ``layout.html`` has the sidebar for a person, and ``plain.html`` is a card in the middle for anybody. A form of a
  template holds ``{{ form_token() }}``.
- ``pages.show_form(request, "name.html", person, error, field=…)``: the same with the status of what was refused.
- ``pages.go("/ui/keys")`` leads on after a POST.

Errors (``app.base.errors``) may be raised anywhere and become pages; a form that is to be shown again with what was
typed catches CallerError itself.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlsplit

from litestar import Request, Response
from litestar.datastructures import Cookie

from app.admin.browser_sessions import LONGEST_SESSION, Visit
from app.admin.issuer_logout import IssuerLogout
from app.admin.password_reset import PasswordReset
from app.admin.people import People, Person
from app.admin.post import Post
from app.admin.single_sign_on import SingleSignOn
from app.api.ui.cookies import SESSION, VISIT, Cookies
from app.api.ui.rendering import Templates, page_response
from app.base.errors import Forbidden, GatewayError, InvalidRequest, TooLarge

HOME = "/ui"
SIGN_IN = "/ui/sign-in"
FORM_FIELD = "form_token"
_MOST_FORM_BYTES = 64 * 1024
_MOST_FIELDS = 500
_LONGEST_NEXT = 1_000
_KEPT_SIGNS = "/?#[]@!$&'()*+,;=:%-._~"
"""What an address is made of (RFC 3986); all else is written by its bytes."""
AnyRequest = Request[Any, Any, Any]


class StaleForm(Forbidden):
    """Of a session that has ended since the form was shown, or of nobody's."""


class SignInNeeded(GatewayError):
    """Leads to the sign-in page; no error that anybody sees."""

    status = 401


class Form:
    """The fields of a POST; a name may come more than once."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """As it was typed: for passwords."""
        return next((value for field, value in self._fields if field == name), "")

    def has(self, name: str) -> bool:
        """Whether the form has this field, empty or not."""
        return any(field == name for field, _ in self._fields)

    def raws(self, name: str) -> list[str]:
        return [value for field, value in self._fields if field == name]

    def texts(self, name: str) -> list[str]:
        return [value.strip() for field, value in self._fields if field == name and value.strip()]


class Refused(Protocol):
    """Why a form was not taken."""

    @property
    def status(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Outside:
    """What pages reach beyond this gateway, where it is set up; ``public_url`` is how people reach us."""

    single_sign_on: SingleSignOn | None = None
    issuer_logout: IssuerLogout | None = None
    post: Post | None = None
    password_reset: PasswordReset | None = None
    public_url: str | None = None


class Pages:
    """See the top of this file."""

    def __init__(self, people: People, templates: Templates, outside: Outside) -> None:
        self.people = people
        self.single_sign_on = outside.single_sign_on
        self.issuer_logout = outside.issuer_logout
        self.post = outside.post
        self.password_reset = outside.password_reset
        self.cookies = Cookies(outside.public_url)
        self._templates = templates
        self._public_url = outside.public_url

    async def signed_in_person(self, request: AnyRequest) -> Person:
        person = await self.find_person(request)
        if person is None:
            raise SignInNeeded("sign in first")
        return person

    async def require_page(self, request: AnyRequest, action: str) -> Person:
        person = await self.signed_in_person(request)
        person.actor(action)
        return person

    async def find_person(self, request: AnyRequest) -> Person | None:
        """None for who has not signed in."""
        token = self.cookies.read(request, SESSION)
        person = None if not token else await self.people.find_person(token, visit_of(request).address)
        request.state.signed_in = person  # a page of an error has the sidebar too
        return person

    async def read_form(
        self,
        request: AnyRequest,
        most_bytes: int = _MOST_FORM_BYTES,
        body: bytes | None = None,
        most_fields: int = _MOST_FIELDS,
    ) -> Form:
        """``body`` where it was read already. Raises Forbidden for a form of another site, InvalidRequest, TooLarge."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Forbidden("this form was sent by another site")
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise InvalidRequest("a form is sent as application/x-www-form-urlencoded")
        if body is None:
            body = await _read_body(request, most_bytes)
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=most_fields, errors="strict")
        except (ValueError, UnicodeDecodeError) as error:
            raise InvalidRequest("the form cannot be read") from error
        if any("\0" in value for _, value in fields):
            raise InvalidRequest("the form holds a character that cannot be kept: NUL")
        form = Form(fields)
        cookie = self._form_cookie(request)
        if cookie is None or not secrets.compare_digest(
            self.people.form_token(cookie).encode(), form.raw(FORM_FIELD).encode()
        ):
            raise StaleForm(
                "it is of a session that has ended. Nothing has changed: load its page again, and send it once more"
            )
        return form

    def show(
        self,
        request: AnyRequest,
        template: str,
        person: Person | None,
        *,
        status: int = 200,
        **values: Any,  # noqa: ANN401  whatever the template needs
    ) -> Response[bytes]:
        cookie = self._form_cookie(request)
        cookies: list[Cookie] = []
        if cookie is None:
            cookie = secrets.token_urlsafe(32)
            cookies.append(self.cookies.write(request, VISIT, cookie))
        path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
        values |= {"person": person, "token": self.people.form_token(cookie), "path": path}
        values |= {"here": f"{path}?{query}" if query else path}
        return page_response(self._templates.render(template, values), status=status, cookies=cookies)

    def show_form(
        self,
        request: AnyRequest,
        template: str,
        person: Person | None,
        refusal: Refused | None,
        **values: Any,  # noqa: ANN401  whatever the template needs
    ) -> Response[bytes]:
        """With the status of the refusal, where the form was sent and not taken."""
        return self.show(request, template, person, status=refusal.status if refusal else 200, **values)

    def address(self, request: AnyRequest, path: str) -> str:
        """Of a page, for who is elsewhere: below the public address, else below that by which we were called."""
        base = self._public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
        return base.rstrip("/") + path

    def go(self, path: str) -> Response[bytes]:
        return page_response(b"", status=303, headers={"location": path})

    def go_signed_in(self, request: AnyRequest, token: str, path: str) -> Response[bytes]:
        """With the cookie of a session that was just opened."""
        cookies = [
            self.cookies.write(request, SESSION, token, int(LONGEST_SESSION.total_seconds())),
            self.cookies.write(request, VISIT, "", 0),
        ]
        return page_response(b"", status=303, headers={"location": path}, cookies=cookies)

    def go_signed_out(self, request: AnyRequest, path: str = SIGN_IN) -> Response[bytes]:
        cookies = [self.cookies.write(request, SESSION, "", 0)]
        return page_response(b"", status=303, headers={"location": path}, cookies=cookies)

    def _form_cookie(self, request: AnyRequest) -> str | None:
        return self.cookies.read(request, SESSION) or self.cookies.read(request, VISIT)


def visit_of(request: AnyRequest) -> Visit:
    address = request.client.host if request.client is not None else ""
    return Visit(address, request.headers.get("user-agent"))


def sign_in_address(request: AnyRequest) -> str:
    """The sign-in page, which leads back to the page that was asked for."""
    if request.method != "GET":
        return f"{SIGN_IN}?next={quote(form_address(request), safe='')}&unsent=1"
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["raw_path"].decode("latin-1"), safe=_KEPT_SIGNS)  # a name in it may hold a slash
    wanted = path + (f"?{query}" if query else "")
    return SIGN_IN if wanted == HOME else f"{SIGN_IN}?next={quote(wanted, safe='')}"


def form_address(request: AnyRequest) -> str:
    """The page whose form was sent, as the browser says; the first page where it does not."""
    referer = urlsplit(request.headers.get("referer", ""))
    if referer.netloc != request.headers.get("host"):
        return HOME
    return safe_next(referer.path + (f"?{referer.query}" if referer.query else ""))


def safe_next(wanted: str) -> str:
    """Where to go after sign-in: a page of ours, whatever the address says, as it may stand in a header."""
    if len(wanted) > _LONGEST_NEXT or not wanted.isprintable() or "\\" in wanted:
        return HOME
    page = wanted.partition("?")[0].partition("#")[0]
    return quote(wanted, safe=_KEPT_SIGNS) if page == HOME or page.startswith(HOME + "/") else HOME


async def _read_body(request: AnyRequest, most_bytes: int) -> bytes:
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most_bytes:
            raise TooLarge(f"the form is larger than {most_bytes // 1024} KiB")
    return bytes(found)
