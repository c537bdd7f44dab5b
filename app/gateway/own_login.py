"""A developer's own login of Anthropic, relayed: what tells it, what may be asked with it, and how it goes out."""

from collections.abc import Sequence

from msgspec.structs import replace

from app.base.errors import InvalidRequest, ModelNotAllowed
from app.domain.catalog import Deployment
from app.domain.keys import OWN_LOGIN_PREFIX
from app.domain.pricing import NO_COST
from app.domain.spend import Receipt
from app.gateway.call import Call
from app.protocols.codec import Header

_BEARER = b"bearer"
_PREFIX = OWN_LOGIN_PREFIX.encode()
# Where our key comes in: Authorization is the login's, and x-api-key the provider's own.
_BESIDE = frozenset({b"x-keyhouse-key", b"x-litellm-api-key"})
# What an admin adds to a deployment's calls must not take the login's place, nor the betas that go with it.
_NOT_REPLACED = frozenset({b"authorization", b"x-api-key", b"anthropic-beta"})
_OPERATIONS = frozenset({"generate", "count_tokens", "opaque"})
_WHERE = "/v1/messages, /v1/messages/count_tokens and /anthropic/… (but for batches and files)"


def brings_own_login(headers: Sequence[Header]) -> bool:
    """Whether a login stands in ``Authorization``, and a key of ours in a header beside it."""
    return any(name in _BESIDE for name, _ in headers) and _find_login(headers) is not None


def check_call(call: Call) -> None:
    """Raises InvalidRequest for what is no call of Anthropic's Messages API that can be relayed."""
    if call.codec.name != "anthropic_messages" or call.operation not in _OPERATIONS:
        raise InvalidRequest(
            f"{call.route} takes no login of your own: one that stands in Authorization (sk-ant-oat…) is relayed on "
            f"{_WHERE}; send the Keyhouse key alone to call {call.route} on the gateway's account"
        )


def nowhere_to_relay(asked: str) -> ModelNotAllowed:
    return ModelNotAllowed(
        f'model "{asked}" is not served at a place to which your own login may be sent: that is Anthropic\'s own host, '
        "or a deployment with allow_relay: true in its litellm_params; choose a model of Anthropic, or send the "
        "Keyhouse key alone, without the login in Authorization",
        param="model",
    )


def relayed(receipt: Receipt) -> Receipt:
    """The same, paid by the developer's own plan: it costs nothing here, and says what it would have cost."""
    return replace(receipt, cost=NO_COST, notional_nanousd=receipt.cost.total)


def with_own_login(headers: Sequence[Header], call: Call, deployment: Deployment) -> list[Header]:
    """``headers`` are those that are ours: without our credentials, and with the caller's login as it came.

    Raises ModelNotAllowed for a place that the login may not be sent to, whatever has led there.
    """
    login = _find_login(call.headers)
    if login is None or not deployment.relays_logins:
        raise nowhere_to_relay(deployment.upstream_model)
    return [*(header for header in headers if header[0] not in _NOT_REPLACED), (b"authorization", login)]


def _find_login(headers: Sequence[Header]) -> bytes | None:
    """The whole value of the header."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() == _BEARER and token.strip().startswith(_PREFIX):
                return value
    return None
