"""How hosts of the Messages API differ from Anthropic's own."""

from dataclasses import dataclass

from app.protocols.codec import Dialect


@dataclass(frozen=True, slots=True)
class MessagesDialect(Dialect):
    """``version_in_body``: the value of the field ``anthropic_version`` where the host wants the version there, and the
    model in the path. ``betas_in_body``: the field ``anthropic_beta`` takes the header's place. ``stream_in_body``:
    the body says ``stream`` though the path says it too.
    ``betas`` are always asked for. ``system_head`` is a first system block of its own that the host insists on.
    ``takes_system_turns``: system text may stand between the turns.
    """

    issuer: str = "anthropic"
    version_in_body: str | None = None
    betas_in_body: bool = False
    stream_in_body: bool = True
    betas: tuple[str, ...] = ()
    system_head: str | None = None
    takes_system_turns: bool = True

    @property
    def searches(self) -> bool:
        """Whether the host offers the web search: Bedrock does not."""
        return not (self.version_in_body or "").startswith("bedrock")
