"""How hosts of the Messages API differ from Anthropic's own."""

from dataclasses import dataclass

from app.protocols.codec import Dialect


@dataclass(frozen=True, slots=True)
class MessagesDialect(Dialect):
    """``version_in_body``: the value of the field ``anthropic_version`` where the host wants the version and the betas
    in the body (``anthropic_version``, ``anthropic_beta``) and the model and ``stream`` in the path.
    ``betas`` are always asked for. ``system_head`` is a first system block of its own that the host insists on.
    ``takes_system_turns``: system text may stand between the turns.
    """

    issuer: str = "anthropic"
    version_in_body: str | None = None
    betas: tuple[str, ...] = ()
    system_head: str | None = None
    takes_system_turns: bool = True
