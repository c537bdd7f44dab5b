"""The way of one call over several deployments: what was tried, what may be tried yet."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec import structs

from app.domain.access import Principal
from app.domain.catalog import Deployment, Model
from app.domain.failures import FailureKind
from app.domain.routing import Standing
from app.domain.spend import RateClaim, Receipt
from app.protocols.codec import Envelope


class SteppedDown(NamedTuple):
    """A second reservation of one call. ``counted`` are the limits among whose requests it is already. ``at`` says why
    a cheaper model serves it, None where it is the one asked for after all."""

    at: str | None
    counted: frozenset[str]
    asked_for: str = ""
    served: str = ""


class Asked(NamedTuple):
    """Whose call it is, and what it says: the same in each of its attempts. ``unpaid``: no budget is asked for it, as
    it is to be answered without a provider."""

    principal: Principal
    envelope: Envelope
    tags: tuple[str, ...]
    stepped: SteppedDown | None = None
    unpaid: bool = False


class Wishes(NamedTuple):
    """What a call says of how it is routed. ``fallbacks`` are models that serve instead, before those of the operator;
    ``retries`` None: nothing is said.
    """

    fallbacks: tuple[str, ...] = ()
    retries: int | None = None
    no_fallbacks: bool = False


NO_WISHES = Wishes()

OnSettled = Callable[["Route", Receipt], None]


class Group:
    """A model's deployments, and where each stands."""

    __slots__ = (
        "attempts_set", "budgeted", "deployments", "homes", "limited", "may_be_all_aside", "ordered", "plain",
        "retry_policy", "sized", "standings", "tagged",
    )  # fmt: skip

    def __init__(
        self, model: Model, standings: Sequence[Standing], attempts_set: int | None, fallbacks: Sequence[str]
    ) -> None:
        """``attempts_set`` is how often a failed call is tried again, where somebody has said it; ``fallbacks`` are the
        models that serve when this one fails."""
        self.deployments = model.deployments
        self.standings = standings
        self.attempts_set = attempts_set
        self.plain = len(standings) == 1 and not attempts_set and not fallbacks
        """Nothing to choose, and nothing else to try."""
        self.may_be_all_aside = bool(fallbacks)
        self.homes: dict[str, Standing] = {}
        """Where the calls of a session go while nothing keeps them from it, so that it need not be computed again."""
        self.retry_policy: Mapping[str, int] = {}
        """How often a call that failed in one of these ways is tried again."""
        self.tagged = self.sized = False
        """Not every call may go to every deployment: by its tags, by the length of its prompt."""
        self.limited = any(
            one.requests_per_minute or one.tokens_per_minute or one.most_running for one in model.deployments
        )
        self.budgeted = any(one.budgets for one in model.deployments)
        self.ordered = len({one.order for one in model.deployments}) > 1


class Route:
    """Of one call; changed by the router alone. ``on_settled`` is told of each receipt. ``standings`` are the
    deployments of the present model that are for this call, ``retried`` how often that model was tried again.
    ``probes``: it goes to what is put aside, to find out.
    """

    __slots__ = (
        "answered", "asked", "attempt", "began_s", "current", "group", "group_asked", "input_tokens", "left", "loaded",
        "model", "model_asked", "on_settled", "probes", "queue", "rates_counted", "retried", "retries_set", "session",
        "standings", "standings_asked", "tried", "visited", "waits", "wishes",
    )  # fmt: skip

    def __init__(self, asked: Asked, model: Model, group: Group, on_settled: OnSettled, wishes: Wishes) -> None:
        self.asked = asked
        self.wishes = wishes
        self.model_asked = self.model = model
        self.group_asked = self.group = group
        self.on_settled = on_settled
        self.session: str | None = None
        self.answered = self.probes = False
        self.attempt = 0
        self.began_s: float = 0
        self.waits = 0
        self.left = 0
        self.current: Standing | None = None
        self.tried: list[Standing] = []
        self.visited = {model.name}
        self.queue: deque[str] = deque()
        self.loaded: set[FailureKind | None] = set()
        self.standings: Sequence[Standing] = group.standings
        self.standings_asked: Sequence[Standing] = group.standings
        self.input_tokens = self.retried = 0
        self.retries_set: int | None = None
        self.rates_counted: frozenset[str] = frozenset()

    @property
    def deployment(self) -> Deployment:
        assert self.current is not None
        return self.current.deployment

    def counted_once(self, rates: tuple[RateClaim, ...]) -> tuple[RateClaim, ...]:
        """However many attempts it takes, it is one request of each limit."""
        counted = self.rates_counted
        self.rates_counted = counted | {rate.scope for rate in rates}
        return tuple(structs.replace(rate, counted=True) if rate.scope in counted else rate for rate in rates)

    def settled(self, receipt: Receipt) -> None:
        self.on_settled(self, receipt)
