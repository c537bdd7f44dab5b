"""The door of the model routes: who is calling, and how a refusal leaves in the words of the caller's protocol."""

from app.api.llm.connection import Scope, Send, send_whole
from app.api.security import find_credentials
from app.base import clock
from app.base.errors import GatewayError, MethodNotAllowed
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.gateway.authenticate import Authenticator
from app.gateway.call import Knock
from app.gateway.last_refusals import LastRefusals
from app.protocols.codec import Codec, Header


class Door:
    def __init__(self, authenticator: Authenticator, metrics: Metrics, refusals: LastRefusals) -> None:
        self._authenticator = authenticator
        self.refusals = refusals
        self.metrics = metrics
        self._log = get_logger()

    async def authenticate(self, scope: Scope) -> Principal:
        """Raises as Authenticator does."""
        client = scope.get("client")
        return await self._authenticator.authenticate(
            Knock(
                credentials=find_credentials(scope["headers"]),
                route=scope["path"],
                client_address=client[0] if client else "",
                at=clock.now(),
                headers=scope["headers"],
            )
        )

    async def refuse(self, codec: Codec, error: GatewayError, request_id: str, send: Send) -> None:
        """Answer with an error of ours, in the shape of the protocol that was called."""
        rendered = codec.render_error(error, request_id)
        self.note_refusal(error, request_id, rendered.status)
        await send_whole(rendered.status, [*rendered.headers, *error.headers], rendered.body, send)

    def note_refusal(self, error: GatewayError, request_id: str, status: int | None = None) -> None:
        """In the metrics and the log, and for the owner of the key."""
        self.metrics.child(self.metrics.refusals, error.code).inc()
        if error.key_id is not None:
            self.refusals.note(error.key_id, error, status or error.status, request_id, clock.now())
        self._log.info(
            "refused", request_id=request_id, status=status or error.status, code=error.code, reason=error.message[:500]
        )


def check_method(scope: Scope, takes: str) -> None:
    if scope["method"] == takes or (takes == "GET" and scope["method"] == "HEAD"):
        return
    error = MethodNotAllowed(f"{scope['path']} takes {takes}, not {scope['method']}")
    error.headers = [(b"allow", takes.encode())]  # RFC 9110 15.5.6: a 405 says what is allowed
    raise error


def json_headers(request_id: str) -> list[Header]:
    return [(b"content-type", b"application/json"), (b"request-id", request_id.encode())]
