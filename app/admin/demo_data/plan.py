"""When demo calls were made and what for: the runs of each day, with quiet weekends, office hours and busy nights."""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.admin.demo_data.company import TEAMS, DemoKey
from app.domain.activity import Activity
from app.providers.price_book import PriceBook
from app.storage.postgres.demo_receipts import Run

DAYS = 60
_OF_A_WEEK = (100, 108, 112, 105, 84, 22, 17)
_SHARES = {"coding": 58, "service": 36, "batch": 6}
MODELS = {
    "claude-opus-4-8": "anthropic", "claude-sonnet-4-6": "anthropic", "claude-haiku-4-5": "anthropic",
    "gpt-5.2": "openai", "gpt-5-mini": "openai", "gemini-2.5-flash": "gemini", "text-embedding-3-small": "openai",
}  # fmt: skip
"""What is called, and whose it is."""
_SERVICE_ROUTES = {
    "anthropic": ("/v1/messages", "anthropic_messages", "Anthropic/Python"),
    "openai": ("/v1/chat/completions", "openai_chat", "OpenAI/Python"),
    "gemini": ("/v1/chat/completions", "openai_chat", "OpenAI/JS"),
}
_SUBAGENTS = ("Explore", "general-purpose", "code-reviewer", "test-runner")
_SLOT_MIN = 30
_LATELY = timedelta(minutes=12)


@dataclass(frozen=True, slots=True)
class Work:
    """What was done in a session: for the report of productivity."""

    run: Run
    activity: Activity


class Plan:
    """The same for the same seed, day, size and company. ``until`` is the present: nothing begins after it."""

    def __init__(self, keys: Sequence[DemoKey], receipts: int, seed: int, until: datetime, book: PriceBook) -> None:
        self._random = random.Random(seed)  # noqa: S311  plausible, not secret
        self._until = until
        self._number = 0
        self._teams = {team.name: team for team in TEAMS}
        self._keys = {kind: [key for key in keys if key.kind == kind] for kind in _SHARES}
        self._prices = {model: book.price_of(provider, model) for model, provider in MODELS.items()}
        midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
        self.days = [midnight - timedelta(days=DAYS - 1 - ago) for ago in range(DAYS)]
        weights = [self._weight(day) for day in self.days]
        self._quotas = [max(1, round(receipts * weight / sum(weights))) for weight in weights]
        self.work: list[Work] = []

    def runs(self, day: datetime) -> Iterator[Run]:
        """Those that begin on a day of UTC."""
        for kind, share in _SHARES.items():
            left = self._quotas[self.days.index(day)] * share // 100
            if day == self.days[-1] and kind == "coding":  # somebody is at work now
                yield from self._session(self._keys[kind][0], day, left, self._until - _LATELY)
            while left > 0:
                [key] = self._random.choices(self._keys[kind], [key.weight for key in self._keys[kind]])
                for run in self._runs_of(key, day, left):
                    if run.started_at < self._until:
                        yield run
                    left -= run.calls

    def _weight(self, day: datetime) -> float:
        """A company that grows, and a day now and then on which more is going on."""
        passed = (day - self.days[0]).days / DAYS
        weight = _OF_A_WEEK[day.weekday()] * (0.65 + 0.6 * passed) * self._random.uniform(0.88, 1.12)
        weight *= 1.9 if self._random.random() < 0.03 else 1
        today = (self._until - day) / timedelta(days=1)
        return weight * min(1, today)

    def _runs_of(self, key: DemoKey, day: datetime, most: int) -> Iterator[Run]:
        if key.kind == "coding":
            yield from self._session(key, day, most)
        elif key.kind == "service":
            yield self._slot(key, day, most)
        else:
            minute = self._random.randrange(60, 300)
            calls = min(most, self._random.randrange(60, 300))
            yield self._call(key, day + timedelta(minutes=minute), calls, key.model, pause_ms=2_500)

    def _slot(self, key: DemoKey, day: datetime, most: int) -> Run:
        """Half an hour of a service, which somebody uses most in the afternoon."""
        hour = min(23, max(0, round(self._random.gauss(13.5, 4.6))))
        minute = self._random.choice((0, _SLOT_MIN))
        calls = min(most, self._random.randrange(12, 90), 5_000)
        at = day + timedelta(hours=hour, minutes=minute, seconds=self._random.randrange(60))
        return self._call(key, at, calls, key.model, pause_ms=_SLOT_MIN * 60_000 // calls)

    def _session(self, key: DemoKey, day: datetime, most: int, begun: datetime | None = None) -> Iterator[Run]:
        """One sitting of a developer with an agent, with what it hands to others and small things beside."""
        dice = self._random
        hour = dice.choice((8, 9, 9, 10, 10, 11, 13, 13, 14, 14, 15, 16, 17, 20))
        at = begun or day + timedelta(hours=hour - 1, seconds=dice.randrange(3_600))
        session_id = str(uuid.UUID(int=dice.getrandbits(128), version=4))
        [model] = dice.choices(("claude-sonnet-4-6", "claude-opus-4-8", "gpt-5.2"), (66, 20, 14))
        calls = min(max(most, 3), int(dice.lognormvariate(3.5, 0.7)) + 3)
        pause_ms = dice.randrange(12_000, 45_000)
        main = self._call(key, at, calls, model, pause_ms=pause_ms, session_id=session_id, request_class="main")
        yield main
        self._note_work(main)
        if model == "gpt-5.2":
            return
        few = dice.randrange(1, 4)
        yield self._call(
            key, at, few, "claude-haiku-4-5", pause_ms=pause_ms * 3, session_id=session_id, request_class="auxiliary"
        )
        for _ in range(dice.choice((0, 0, 0, 1, 1, 2))):
            later = at + timedelta(milliseconds=pause_ms * dice.randrange(1, calls + 1))
            agent = (f"agent-{dice.getrandbits(32):08x}", dice.choice(_SUBAGENTS))
            small = "claude-haiku-4-5" if agent[1] == "Explore" else "claude-sonnet-4-6"
            calls_of_agent = dice.randrange(4, 22)
            yield self._call(
                key, later, calls_of_agent, small, pause_ms=6_000, session_id=session_id, request_class="subagent",
                agent=agent,
            )  # fmt: skip

    def _call(  # noqa: PLR0913  what tells one run from another
        self,
        key: DemoKey,
        at: datetime,
        calls: int,
        model: str,
        *,
        pause_ms: int,
        session_id: str | None = None,
        request_class: str = "unknown",
        agent: tuple[str | None, str | None] = (None, None),
    ) -> Run:
        dice = self._random
        self._number += 1
        provider, price = MODELS[model], self._prices[model]
        route, protocol, client = _SERVICE_ROUTES[provider]
        if session_id is not None:
            client = "claude-cli/2.1.361" if provider == "anthropic" else "codex_cli_rs/0.114.0"
        if session_id is not None and provider == "openai":
            route, protocol = "/v1/responses", "openai_responses"
        is_embedding = price.rates.output == 0
        if is_embedding:
            route, protocol = "/v1/embeddings", "openai_chat"
        is_agent = session_id is not None and request_class != "auxiliary"
        team = self._teams.get(key.team or "")
        project = key.project or (team.projects[self._number % len(team.projects)] if team and session_id else None)
        return Run(
            number=self._number,
            started_at=at,
            calls=calls,
            pause_ms=pause_ms,
            organization_id=None if team is None else team.organization_id,
            team_id=None if team is None else team.team_id,
            user_id=key.user_id,
            key_id=key.key_id,
            project_id=None if key.project is None else f"project_{key.project.replace('-', '_')}",
            project=project,
            customer_id=f"customer_{dice.randrange(key.customers) + 1:02}" if key.customers else None,
            tags=list(key.tags),
            session_id=session_id,
            agent_id=agent[0],
            agent_type=agent[1],
            request_class=request_class,
            client=client,
            route=route,
            protocol=protocol,
            streamed=session_id is not None or (dice.random() < 0.4 and not is_embedding),
            model=model,
            provider=provider,
            deployment_id=f"dep_{provider}_{model.replace('-', '_').replace('.', '_')}",
            price_version=price.version,
            input_rate=price.rates.input,
            cache_read_rate=price.rates.cache_read,
            cache_write_rate=price.rates.cache_write_5m if provider == "anthropic" else 0,
            output_rate=price.rates.output,
            input_tokens=6 if is_agent else dice.randrange(1_500, 7_000),
            context_tokens=dice.randrange(14_000, 26_000) if is_agent else 0,
            growth_tokens=dice.randrange(300, 1_300) if is_agent else 0,
            output_tokens=dice.randrange(180, 520) if is_agent else dice.randrange(120, 500),
            stored_per_mille=0 if session_id is not None else dice.choice((0, 30, 120)),
            failed_per_mille=dice.choice((4, 6, 9, 9, 40)),
        )

    def _note_work(self, run: Run) -> None:
        dice = self._random
        commits = run.calls // dice.randrange(18, 60)
        added = sum(dice.randrange(8, 120) for _ in range(1 + commits))
        activity = Activity(
            sessions=1,
            commits=commits,
            pull_requests=1 if commits and dice.random() < 0.4 else 0,
            lines_added=added,
            lines_removed=added * dice.randrange(10, 70) // 100,
            active_ms=run.calls * run.pause_ms * 6 // 10,
            edits_accepted=run.calls // 4,
            edits_rejected=run.calls // 25,
        )
        if run.started_at < self._until:
            self.work.append(Work(run, activity))
