"""The error tree of the house.

GatewayError
├─ CallerError             the caller can mend it
│  ├─ InvalidRequest 400 · Unprocessable 422
│  ├─ Unauthenticated 401 · Forbidden 403 · ModelNotAllowed 403
│  ├─ NotFound 404 · ModelNotFound 404 · MethodNotAllowed 405
│  ├─ Conflict 409 (ask again) · Gone 410
│  ├─ RequestTimeout 408 · TooLarge 413 · UnsupportedMediaType 415
│  ├─ GrantRefused 400 401 (signing a program in)
│  └─ RateLimited 429 (try again soon) · BudgetExhausted 402 (do not try again)
├─ UpstreamError           the provider said no, or nothing
│  └─ UpstreamUnreachable 502 · UpstreamTimeout 504 · UpstreamRejected 4xx 5xx · UpstreamUnreadable 502
│     · UpstreamBroken 502
├─ StorageUnavailable 503
└─ Overloaded 503

Raised low, rendered once at the door of the audience that called: a protocol's ``render_error`` for the
model routes (which may change the status to what its clients understand), LiteLLM's shape for the admin.
"""

from datetime import datetime

from app.base.money import NanoUSD


class GatewayError(Exception):
    """``code`` is stable and meant for programs; ``message`` names the thing, the value and the next step.

    ``headers`` go out with the answer beside those of the protocol: where the limits stand, say. ``key_id`` is whose
    call was refused, where a key was known.
    """

    status = 500
    code = "internal_error"
    key_id: str | None = None

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.headers: list[tuple[bytes, bytes]] = []
        if code is not None:
            self.code = code


class CallerError(GatewayError):
    status = 400
    code = "invalid_request"


class InvalidRequest(CallerError):
    """The request cannot be read or makes no sense."""


class Unprocessable(CallerError):
    """One field of a request has a value that cannot be; ``param`` names the field of an admin request."""

    status = 422
    code = "invalid_value"


class Unauthenticated(CallerError):
    """``code`` is one of missing_api_key, invalid_api_key, expired_api_key, blocked_api_key."""

    status = 401
    code = "invalid_api_key"


class Forbidden(CallerError):
    status = 403
    code = "permission_denied"


class ModelNotAllowed(Forbidden):
    code = "model_not_allowed"


class NotFound(CallerError):
    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class PreviousResponseNotFound(NotFound):
    """By OpenAI's own code, at which some clients begin anew."""

    code = "previous_response_not_found"


class MethodNotAllowed(CallerError):
    status = 405
    code = "method_not_allowed"


class Conflict(CallerError):
    """The same is being done at this moment; ask again after ``retry_after_s``."""

    status = 409
    code = "conflict"


class Gone(CallerError):
    """It was there, and will not be again."""

    status = 410
    code = "gone"


class RequestTimeout(CallerError):
    """The caller's body did not arrive in time."""

    status = 408
    code = "request_timeout"


class TooLarge(CallerError):
    status = 413
    code = "request_too_large"


class GrantRefused(CallerError):
    """``code`` is one of OAuth's words: authorization_pending, slow_down, access_denied, expired_token, invalid_grant,
    invalid_request, unsupported_grant_type."""

    code = "invalid_grant"

    def __init__(self, message: str, *, code: str, status: int = 400) -> None:
        super().__init__(message, code=code)
        self.status = status


class UnsupportedMediaType(CallerError):
    status = 415
    code = "unsupported_media_type"


class RateLimited(CallerError):
    """Try again after ``retry_after_s`` whole seconds."""

    status = 429
    code = "rate_limit_exceeded"


class BudgetExhausted(CallerError):
    """Trying again before ``resets_at`` is useless.

    ``period`` is daily, weekly, monthly or the budget's own duration; None for a budget without end.
    """

    status = 402
    code = "budget_exceeded"

    def __init__(
        self,
        message: str,
        *,
        limit_nanousd: NanoUSD,
        spent_nanousd: NanoUSD,
        period: str | None,
        resets_at: datetime | None,
        retry_after_s: int | None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.limit_nanousd = limit_nanousd
        self.spent_nanousd = spent_nanousd
        self.period = period
        self.resets_at = resets_at


class DeploymentSpent(BudgetExhausted):
    """The budget is of the deployment alone: another one of the model may serve."""


class UpstreamError(GatewayError):
    """The provider failed before the first byte of an answer; ``provider`` is its name, never its credential."""

    status = 502
    code = "upstream_error"

    def __init__(self, message: str, *, provider: str, retry_after_s: int | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.provider = provider


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class UpstreamRejected(UpstreamError):
    """The provider refused, in another protocol than the caller's. ``status`` is what the caller should see.

    ``code`` is the provider's own where it gave one. A provider that refuses our credential (401, 403) is a 502: the
    caller's is fine.
    """

    code = "upstream_rejected"

    def __init__(
        self, message: str, *, provider: str, status: int, code: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message, provider=provider, retry_after_s=retry_after_s)
        self.status = status
        if code is not None:
            self.code = code


class UpstreamUnreadable(UpstreamError):
    """What the provider answered is no answer of its protocol."""

    code = "upstream_unreadable"


class UpstreamBroken(UpstreamError):
    """The connection broke while the answer was under way."""

    code = "upstream_broken"


class StorageUnavailable(GatewayError):
    """Postgres or Redis does not answer; nothing was done."""

    status = 503
    code = "storage_unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 2) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class Overloaded(GatewayError):
    """More is asked of this process than it takes on; nothing was done. Try again after ``retry_after_s``."""

    status = 503
    code = "overloaded"
