"""Promises of the repository itself: its files keep their manners, and its documents do not drift from the code."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import click
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from app.base.errors import GatewayError
from app.base.metrics import Metrics
from app.cli import main
from app.domain.roles import ACTIONS
from app.settings import Settings
from app.settings.settings import NAMES

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "app").rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
LOCK_FILES = sorted(ROOT.glob("requirements*.txt"))
LONGEST_FILE = 500
NEAR_MONEY = ("domain", "gateway", "storage")
NO_AMOUNTS = {"_LEAST_LIKENESS"}  # how alike two names must be to be offered as a correction
NEVER_SENT = {"conflict", "gone", "upstream_error", "invalid_value"}
"""Codes of families, each of whose errors has one of its own; or answered in LiteLLM's shape alone, by the status."""
VARIABLE = re.compile(r"\bKEYHOUSE_[A-Z][A-Z_]*[A-Z]\b")
METRIC = re.compile(r"\bkeyhouse_[a-z_]*[a-z]\b")
LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([^)\s]+))?\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=_name(path))


def _documents_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)


def test_no_file_has_more_than_500_lines() -> None:
    long = [_name(path) for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE]

    assert long == [], "a room is hiding in each of these files"


def test_each_module_begins_with_a_sentence_that_says_what_it_owns() -> None:
    silent = [_name(path) for path in MODULES if path.read_bytes() and not _first_line(path).endswith((".", ":"))]

    assert silent == []


def _first_line(path: Path) -> str:
    return (ast.get_docstring(_tree(path)) or "").partition("\n")[0].rstrip()


def test_no_float_is_made_near_money() -> None:
    made = [
        f"{_name(path)}:{node.lineno}"
        for floor in NEAR_MONEY
        for path in (ROOT / "app" / floor).rglob("*.py")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and _is_float(node.func) and not _is_infinity(node)
    ]

    assert made == [], "money is an integer of nano-dollars"


def _is_float(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == "float"


def _is_infinity(call: ast.Call) -> bool:
    """``float("inf")``: an instant that never comes, and no amount."""
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == "inf"


def test_the_rules_of_money_hold_no_float_literal() -> None:
    literals = [
        f"{_name(path)}:{statement.lineno}"
        for path in (ROOT / "app" / "domain").rglob("*.py")
        for statement in _tree(path).body
        if not _names_no_amount(statement)
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]

    assert literals == []


def _names_no_amount(statement: ast.stmt) -> bool:
    names = [target.id for target in getattr(statement, "targets", []) if isinstance(target, ast.Name)]
    return isinstance(statement, ast.Assign) and NO_AMOUNTS.issuperset(names)


def test_each_setting_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    known = {variable for name in NAMES.values() for variable in name.all_variables}
    in_file = {name.name for name in NAMES.values() if name.in_file}

    assert set(VARIABLE.findall(text)) == {variable for variable in known if variable.startswith("KEYHOUSE_")}
    assert {variable for variable in known if f"`{variable}`" not in text} == set()
    assert {name for name in in_file if f"`{name}`" not in text} == set()


def test_each_documented_default_is_the_default() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    wrong = []
    for name in NAMES:
        default = next(field.default for field in fields(Settings) if field.name == name)
        if isinstance(default, str | int) and not isinstance(default, bool):
            row = next(
                line for line in text.splitlines() if line.startswith("|") and f"`KEYHOUSE_{name.upper()}`" in line
            )
            if f"| {default} |" not in row:
                wrong.append(f"{name}: {default}")

    assert wrong == []


def test_each_metric_in_the_documents_exists() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    declared = re.findall(r"^# TYPE (\S+) (\w+)$", generate_latest(registry).decode(), re.MULTILINE)
    known = {name for name, _ in declared}
    known |= {f"{name}{end}" for name, kind in declared if kind == "histogram" for end in ("_bucket", "_sum", "_count")}
    named = set(METRIC.findall(_documents_text()))

    assert named - known == set()
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    missing = [name for name, _ in declared if not name.endswith("_created") and name not in operations]
    assert not missing, "docs/operations.md lists every metric"


def test_each_code_of_an_error_is_documented() -> None:
    """Codes are for programs: whoever handles one looks it up."""
    raised = ("gateway", "protocols", "base", "api/llm", "api/sign_in", "domain")
    nodes = [node for part in raised for path in (ROOT / "app" / part).rglob("*.py") for node in ast.walk(_tree(path))]
    nodes += [node for path in (ROOT / "app" / "admin").glob("device_*.py") for node in ast.walk(_tree(path))]
    codes = {
        node.value.value
        for node in nodes
        if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
    }
    codes |= {error.code for error in _errors() if error.code not in NEVER_SENT}
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")

    assert len(codes) > 30
    assert {code for code in codes if f"`{code}`" not in text} == set()


def _errors() -> list[type[GatewayError]]:
    found = [GatewayError]
    for error in found:
        found += [below for below in error.__subclasses__() if below.__module__ == "app.base.errors"]
    return found


def test_the_page_of_roles_says_what_the_table_says() -> None:
    text = (ROOT / "docs" / "roles.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z]+\.[a-z]+)`[^|]*\|(.*)\|$", text, re.MULTILINE))
    said = {name: [cell.strip() or "nothing" for cell in cells.split("|")] for name, cells in rows.items()}

    assert said == {name: [reach[role] for role in list(reach)[1:]] for name, reach in ACTIONS.items()}


def test_the_page_of_the_command_line_names_every_command() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.+) \|$", text, re.MULTILINE))
    rows["organizations"] = rows["teams"]  # "the same as teams"
    context = click.Context(main)
    commands = {name: main.get_command(context, name) for name in main.list_commands(context)}
    groups = {name: command for name, command in commands.items() if isinstance(command, click.Group)}

    assert {name for name in commands.keys() - groups.keys() if f"`keyhouse {name}`" not in text} == set()
    assert {name: set(re.findall(r"`([a-z-]+)`", rows[name])) for name in groups} == {
        name: set(group.list_commands(context)) for name, group in groups.items()
    }


def test_the_list_of_decisions_is_complete_and_in_order() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    titles = [page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for page in pages]
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = text.partition("## Decisions\n\n")[2].strip().splitlines()

    assert listed == [f"- [{title}](decisions/{page.name})" for title, page in zip(titles, pages, strict=True)]


def test_each_file_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = [path.replace("<protocol>", "*") for path in re.findall(r"`((?:app|migrations|tests)/[^`]*)`", text)]
    alone = re.findall(r"`([a-z_]+\.(?:py|lua))`", text)

    assert len(named) > 100
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []
    assert [name for name in alone if not list((ROOT / "app").rglob(name))] == []


def test_links_between_the_documents_resolve() -> None:
    broken = [
        f"{_name(path)}: {target}#{anchor}" if anchor else f"{_name(path)}: {target}"
        for path in DOCUMENTS
        for target, anchor in LINK.findall(CODE_BLOCK.sub("", path.read_text(encoding="utf-8")))
        if "://" not in target and not _resolves(path, target, anchor)
    ]

    assert broken == []


def _resolves(source: Path, target: str, anchor: str) -> bool:
    path = (source.parent / target).resolve() if target else source
    if not path.exists():
        return False
    if not anchor:
        return True
    headings = HEADING.findall(CODE_BLOCK.sub("", path.read_text(encoding="utf-8")))
    return anchor in {_anchor(heading) for heading in headings}


def _anchor(heading: str) -> str:
    """As GitHub makes it: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_readme_leads_to_every_page() -> None:
    """The rest are notes for whoever goes on, and decisions, which the architecture lists."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [_name(path) for folder in ("docs", "docs/clients") for path in sorted((ROOT / folder).glob("*.md"))]
    pages.remove("docs/progress.md")

    assert len(pages) > 20
    assert [page for page in pages if f"]({page}" not in text] == []


@pytest.mark.parametrize("path", LOCK_FILES, ids=_name)
def test_a_lock_file_names_no_address_and_hashes_every_package(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host", text)
    hashed = re.findall(r"^[A-Za-z0-9][\w.-]*==.*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(hashed) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)) > 0


def test_each_direct_dependency_has_its_reason() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = project.partition("\ndependencies = [")[2].partition("\n]")[0]
    names = re.findall(r'^    "([\w-]+)', block, re.MULTILINE)
    reasons = (ROOT / "docs" / "decisions" / "0009-dependencies.md").read_text(encoding="utf-8")

    assert len(names) > 10
    assert [name for name in names if f"| {name} |" not in reasons] == []


def test_the_fleet_has_no_secret_of_its_own() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    environment = compose["services"]["gateway"]["environment"]

    for name in ("KEYHOUSE_MASTER_KEY", "KEYHOUSE_SECRET", "DATABASE_URL", "REDIS_URL"):
        assert ":?" in environment[name], f"{name} must be required, not defaulted"
    assert compose["services"]["gateway"]["deploy"]["replicas"] == 2
    assert {name: need["condition"] for name, need in compose["services"]["gateway"]["depends_on"].items()} == {
        "postgres": "service_healthy",
        "valkey": "service_healthy",
    }


def test_migrations_are_one_chain() -> None:
    """Two that were written at the same time are found before a database has met them."""
    revisions = sorted(path.name.partition("_")[0] for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    assert revisions == [f"{number:04d}" for number in range(1, len(revisions) + 1)]
