"""What the parts of a Messages request share while it is written: betas asked for, extras claimed, losses."""

from collections.abc import Iterable

from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.anthropic_messages.models import Traits, traits_of
from app.protocols.conversation import Conversation
from app.protocols.losses import Losses
from app.protocols.output_limits import within_limits

TARGET = "the Messages API"

COMPUTER_2024 = "computer-use-2024-10-22"
COMPUTER_2025 = "computer-use-2025-01-24"
COMPUTER_LATEST = "computer-use-2025-11-24"
CONTEXT_MANAGEMENT = "context-management-2025-06-27"
CODE_EXECUTION = "code-execution-2025-08-25"
SKILLS = "skills-2025-10-02"
WEB_FETCH = "web-fetch-2025-09-10"
MCP_CLIENT = "mcp-client-2025-04-04"
MCP_TOOLSETS = "mcp-client-2025-11-20"
STRUCTURED_OUTPUTS = "structured-outputs-2025-11-13"
ADVANCED_TOOLS = "advanced-tool-use-2025-11-20"
EFFORT = "effort-2025-11-24"
FILES = "files-api-2025-04-14"


class Draft:
    """One request on its way out. Not shared."""

    __slots__ = ("_betas", "_unclaimed", "conversation", "dialect", "losses", "traits")

    def __init__(self, conversation: Conversation, dialect: MessagesDialect) -> None:
        self.losses = Losses()
        self.conversation = within_limits(conversation, self.losses)
        self.dialect = dialect
        self.traits: Traits = traits_of(conversation.model)
        self._betas = dict.fromkeys(dialect.betas)
        self._unclaimed = dict(conversation.extras)

    @property
    def betas(self) -> tuple[str, ...]:
        return tuple(self._betas)

    def ask_for(self, betas: Iterable[str]) -> None:
        self._betas.update(dict.fromkeys(betas))

    def claim(self, name: str) -> str | None:
        """The JSON text of an extra that is this protocol's own; null is none."""
        written = self._unclaimed.pop(name, None)
        return None if written == "null" else written

    def drop_unclaimed(self) -> None:
        for name in self._unclaimed:
            self.losses.drop(name)
