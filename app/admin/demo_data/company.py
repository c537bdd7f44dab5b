"""Who there is in demo data: a company of two houses, its teams, projects, people, keys and customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.domain.roles import Role

RECEIPTS = 50_000
"""About how many calls the company has made, where nobody says how many."""
ORGANIZATIONS = (("org_halden", "Halden Instruments"), ("org_halden_labs", "Halden Labs"))


@dataclass(frozen=True, slots=True)
class Team:
    name: str
    alias: str
    organization_id: str
    cost_center: str
    projects: tuple[str, ...]

    @property
    def team_id(self) -> str:
        return f"team_{self.name}"


TEAMS = (
    Team("platform", "Platform", "org_halden", "CC-4100", ("gateway-rollout", "build-farm")),
    Team("payments", "Payments", "org_halden", "CC-4210", ("checkout", "ledger-migration")),
    Team("mobile", "Mobile", "org_halden", "CC-4220", ("ios-app", "android-app")),
    Team("support", "Customer Support", "org_halden", "CC-5300", ("help-desk",)),
    Team("data", "Data & Search", "org_halden", "CC-4400", ("catalogue-search", "churn-model")),
    Team("research", "Research", "org_halden_labs", "CC-7010", ("arm-planner",)),
    Team("robotics", "Robotics", "org_halden_labs", "", ("gripper-firmware",)),
)


COST_CENTERS_OF_PROJECTS = {"arm-planner": "CC-9001 Programmes", "churn-model": "CC-5300"}
"""What is charged elsewhere than its team. That Robotics has none is for finance to find."""


@dataclass(frozen=True, slots=True)
class Human:
    """``team`` None is of nobody's team; ``leads`` makes an admin of the team."""

    first: str
    last: str
    role: Role
    team: str | None = None
    leads: bool = False

    @property
    def user_id(self) -> str:
        return f"user_{self.first.lower()}_{self.last.lower()}"

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def email(self) -> str:
        return f"{self.first}.{self.last}@halden.example".lower()


OWNER = Human("Ada", "Lindqvist", "proxy_admin", "platform")
PEOPLE = (
    OWNER,
    Human("Frida", "Berg", "proxy_admin_viewer"),
    Human("Otto", "Keller", "auditor"),
    Human("Ines", "Moreau", "org_admin", "research"),
    Human("Tom", "Adeyemi", "internal_user", "payments", leads=True),
    Human("Mei", "Tanaka", "internal_user", "platform", leads=True),
    Human("Jonas", "Weber", "internal_user", "payments"),
    Human("Sofia", "Rossi", "internal_user", "payments"),
    Human("Liam", "Byrne", "internal_user", "platform"),
    Human("Priya", "Nair", "internal_user", "platform"),
    Human("Noah", "Larsen", "internal_user", "mobile", leads=True),
    Human("Emma", "Dubois", "internal_user", "mobile"),
    Human("Hugo", "Silva", "internal_user", "mobile"),
    Human("Clara", "Novak", "internal_user", "support", leads=True),
    Human("Ben", "Okafor", "internal_user_viewer", "support"),
    Human("Yusuf", "Demir", "internal_user", "data", leads=True),
    Human("Lena", "Vogel", "internal_user", "data"),
    Human("Arjun", "Mehta", "internal_user", "research"),
    Human("Zoe", "Papadaki", "internal_user", "research"),
    Human("Karl", "Holm", "internal_user", "robotics", leads=True),
    Human("Nina", "Petrova", "internal_user", "robotics"),
)
PERSONAS = {
    "owner": PEOPLE[0],
    "finance": PEOPLE[1],
    "auditor": PEOPLE[2],
    "team lead": PEOPLE[4],
    "developer": PEOPLE[6],
}
"""Those whom a visitor signs in as, by what they are."""
_FIRST = (
    "Alma",
    "Bo",
    "Cem",
    "Dora",
    "Eli",
    "Fay",
    "Gil",
    "Hana",
    "Ivo",
    "Jana",
    "Kai",
    "Lou",
    "Mona",
    "Nils",
    "Olga",
    "Per",
)
_LAST = (
    "Arnold",
    "Bach",
    "Costa",
    "Dahl",
    "Engel",
    "Falk",
    "Gruber",
    "Haas",
    "Ito",
    "Jensen",
    "Kruse",
    "Lund",
    "Marek",
)
_RECEIPTS_A_PERSON = 25_000


def people_for(receipts: int) -> tuple[Human, ...]:
    """A larger company makes more calls: one more developer for every so many receipts."""
    more = min(receipts // _RECEIPTS_A_PERSON, len(_FIRST) * len(_LAST))
    return PEOPLE + tuple(
        Human(_FIRST[number % 16], _LAST[number // 16], "internal_user", TEAMS[number % len(TEAMS)].name)
        for number in range(more)
    )


KeyKind = Literal["coding", "service", "batch", "unused"]
BudgetState = Literal["comfortable", "near", "over", "soft"]


@dataclass(frozen=True, slots=True)
class DemoKey:
    """``state`` is of its budget; ``ends_in_days`` may lie behind us. ``weight``: how much of the calls of its kind."""

    alias: str
    team: str | None
    kind: KeyKind
    user_id: str | None = None
    project: str | None = None
    model: str = ""
    models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    customers: int = 0
    state: BudgetState | None = None
    blocked: bool = False
    ends_in_days: int | None = None
    weight: int = 10
    note: str = ""

    @property
    def key_id(self) -> str:
        return "key_" + self.alias.replace("-", "_")


SERVICES = (
    DemoKey("checkout-assistant", "payments", "service", project="checkout", model="gpt-5-mini", customers=9,
            tags=("production", "checkout"), state="near", weight=30),
    DemoKey("help-desk-bot", "support", "service", project="help-desk", model="claude-haiku-4-5", customers=14,
            tags=("production", "help-desk"), state="over", weight=34),
    DemoKey("catalogue-embeddings", "data", "service", project="catalogue-search", model="text-embedding-3-small",
            tags=("production", "search"), weight=26, state="comfortable"),
    DemoKey("ci-review", "platform", "service", project="build-farm", model="claude-sonnet-4-6", tags=("ci",),
            state="comfortable", weight=9),
    DemoKey("app-translations", "mobile", "service", project="ios-app", model="gemini-2.5-flash",
            tags=("production", "translation"), weight=14),
    DemoKey("churn-summaries", "data", "service", project="churn-model", model="gpt-5.2", tags=("internal",), weight=5,
            state="soft"),
    DemoKey("nightly-evals", "research", "batch", project="arm-planner", model="claude-sonnet-4-6", tags=("evals",),
            state="near"),
    DemoKey("firmware-log-triage", "robotics", "batch", project="gripper-firmware", model="gemini-2.5-flash",
            tags=("evals", "nightly"), weight=4),
    DemoKey("prototype-agent", "research", "unused", blocked=True, note="leaked in a notebook, blocked until replaced"),
    DemoKey("hackathon-2026", "mobile", "unused", ends_in_days=-12, models=("claude-haiku-4-5", "gpt-5-mini")),
    DemoKey("contractor-access", "payments", "service", model="claude-haiku-4-5", models=("claude-haiku-4-5",),
            ends_in_days=5, tags=("contractor",), weight=2, state="comfortable"),
    DemoKey("office-smart-screen", None, "unused"),
)  # fmt: skip
_STATES: tuple[BudgetState | None, ...] = ("comfortable", "comfortable", "near", "comfortable", None, "soft", "over")


def keys_for(people: Sequence[Human]) -> tuple[DemoKey, ...]:
    """Those of the services, and one of each developer for coding."""
    coders = [human for human in people if human.role in ("internal_user", "proxy_admin") and human.team is not None]
    teams = {team.name: team for team in TEAMS}
    return SERVICES + tuple(
        DemoKey(
            f"{human.first}-{human.last}-laptop".lower(),
            human.team,
            "coding",
            user_id=human.user_id,
            project=None if number % 3 else teams[human.team or ""].projects[0],
            state=_STATES[number % len(_STATES)],
            weight=(14, 9, 6, 11, 4)[number % 5],
        )
        for number, human in enumerate(coders)
    )


CUSTOMERS = (
    "Nordkap Logistics", "Brightwater Clinics", "Tessel Foods", "Pilar Energía", "Oakridge Schools", "Kumo Travel",
    "Saltwerk Studio", "Vela Marine", "Aster Bank", "Morrow & Finch", "Delta Rail", "Jupiter Optics", "Hearth Homes",
    "Quill Press",
)  # fmt: skip
TAGS = {
    "production": "Calls of released software",
    "ci": "Reviews and fixes in continuous integration",
    "evals": "Measuring models against our own cases",
    "contractor": None,
}
