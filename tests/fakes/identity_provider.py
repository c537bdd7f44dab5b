"""An identity provider on loopback: real HTTP, real keys, tokens as wrong as a test wants them, and pages that ask
whoever sits before a browser."""

import asyncio
import base64
import hashlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID = "keyhouse-at-the-issuer"
CLIENT_SECRET = "secret: with/signs"
Answer = tuple[int, Any]


class Page(str):
    """The body of an answer that a browser shows."""


class LedTo(str):
    """Where an answer leads the browser."""


@cache
def signing_key(name: str) -> rsa.RSAPrivateKey:
    """Made once for all tests."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(name: str) -> dict[str, Any]:
    jwk: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(signing_key(name).public_key(), as_dict=True)
    return {**jwk, "kid": name, "use": "sig"}


@dataclass
class IdentityProvider:
    """``claims`` are of whoever signs in; ``change_claims`` and ``sign`` make wrong tokens of right ones."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    keys: list[str] = field(default_factory=lambda: ["first"])
    change_claims: Callable[[dict[str, Any]], None] = lambda claims: None
    sign: Callable[[dict[str, Any], str], str] | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    signs_out: bool = True
    signed_out: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def reset(self) -> None:
        self.claims, self.userinfo, self.keys, self.sign, self.answers = {}, {}, ["first"], None, {}
        self.signs_out = True
        self.change_claims = lambda claims: None
        self.requests.clear()

    def authorize(self, address: str) -> str:
        """What the browser comes back with, after whoever sits before it has signed in there: path and query."""
        query = dict(parse_qsl(urlsplit(address).query))
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        code = f"code/{len(self._codes)}"
        self._codes[code] = query
        return f"{urlsplit(query['redirect_uri']).path}?code={code}&state={query['state']}"

    def _answer(self, target: str, headers: dict[str, str], body: str) -> Answer:
        path = urlsplit(target).path
        self.requests.append(path)
        if path in self.answers:
            return self.answers[path]
        match path:
            case "/.well-known/openid-configuration":
                return 200, {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize?tenant=one",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys",
                    "userinfo_endpoint": f"{self.url}/userinfo",
                    **({"end_session_endpoint": f"{self.url}/sign-out?tenant=one"} if self.signs_out else {}),
                }
            case "/keys":
                return 200, {"keys": [{"kty": "oct", "k": "c2VjcmV0"}, *map(public_jwk, self.keys)]}
            case "/userinfo":
                return (200, self.userinfo) if headers.get("authorization") == "Bearer access" else (401, {})
            case "/token":
                return self._redeem(headers, {name: values[0] for name, values in parse_qs(body).items()})
            case "/authorize":
                return self._ask_for_consent(target, body)
            case "/sign-out":
                return self._ask_for_the_end(target, body)
            case _:
                return 404, {}

    def _ask_for_consent(self, target: str, body: str) -> Answer:
        query = dict(parse_qsl(urlsplit(target).query))
        match body:
            case "":
                name = escape(self.claims["name"])
                return 200, _form(target, f"Sign in to Keyhouse as {name}?", {"yes": "Continue", "no": "Not now"})
            case "decision=yes":
                back = urlsplit(query["redirect_uri"])
                return 303, LedTo(f"{back.scheme}://{back.netloc}{self.authorize(target)}")
            case _:
                denied = f"?state={query['state']}&error=access_denied&error_description=You+said+no."
                return 303, LedTo(query["redirect_uri"] + denied)

    def _ask_for_the_end(self, target: str, body: str) -> Answer:
        query = dict(parse_qsl(urlsplit(target).query))
        signed = jwt.decode(
            query["id_token_hint"], signing_key(self.keys[0]).public_key(), algorithms=["RS256"], audience=CLIENT_ID
        )
        assert query["client_id"] == CLIENT_ID
        if body == "":
            return 200, _form(target, "Sign out of everything?", {"yes": "Sign out"})
        self.signed_out.append(signed["sub"])
        return 303, LedTo(f"{query['post_logout_redirect_uri']}?state={query['state']}")

    def _redeem(self, headers: dict[str, str], form: dict[str, str]) -> Answer:
        pair = base64.b64encode(b"keyhouse-at-the-issuer:secret%3A%20with%2Fsigns").decode()
        if headers.get("authorization") != f"Basic {pair}":
            return 401, {"error": "invalid_client"}
        begun = self._codes.pop(form["code"], None)
        if begun is None or begun["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant", "error_description": "The code was used before."}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        if challenge.rstrip("=") != begun["code_challenge"]:
            return 400, {"error": "invalid_grant", "error_description": "PKCE"}
        at = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": at, "exp": at + 300, "nonce": begun["nonce"]} | self.claims
        self.change_claims(claims)
        name = self.keys[0]
        sign = self.sign or (lambda given, kid: signed(given, kid))
        return 200, {"access_token": "access", "token_type": "Bearer", "id_token": sign(claims, name)}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            while line := await reader.readline():
                headers = {}
                while (header := (await reader.readline()).decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, answer = self._answer(line.decode().split()[1], headers, body.decode())
                writer.write(_rendered(status, answer))
                await writer.drain()
        writer.close()


def _rendered(status: int, answer: object) -> bytes:
    led_to = f"location: {answer}\r\n" if isinstance(answer, LedTo) else ""
    kind = "text/html; charset=utf-8" if isinstance(answer, Page) else "application/json"
    is_text = isinstance(answer, Page | LedTo)
    content = answer if isinstance(answer, bytes) else str(answer).encode() if is_text else json.dumps(answer).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{led_to}content-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _form(target: str, question: str, choices: dict[str, str]) -> Page:
    buttons = "".join(f'<button name="decision" value="{value}">{words}</button>' for value, words in choices.items())
    return Page(
        f'<!doctype html><html lang="en"><title>Example ID</title><link rel="icon" href="data:,"><h1>{question}</h1>'
        f'<form method="post" action="{escape(target)}">{buttons}</form></html>'
    )


def signed(claims: dict[str, Any], name: str, kid: str | None = None) -> str:
    return jwt.encode(claims, signing_key(name), algorithm="RS256", headers={"kid": kid or name})


@asynccontextmanager
async def identity_provider() -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.close()


@contextmanager
def identity_provider_beside() -> Iterator[IdentityProvider]:
    """In a thread of its own, for tests that wait for a browser."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = identity_provider()
    provider = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(timeout=10)
    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
