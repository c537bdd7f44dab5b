"""A promise of the queries: whoever reads keys, teams or receipts says first for which tenant."""

import ast
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "app" / "storage" / "postgres"
TENANT_DATA = {
    "keys", "projects", "teams", "receipts", "SPEND", "SPEND_BY_TAG", "SPEND_BY_SESSION", "days_that_tell",
    "session_days_that_tell", "session_activity",
}  # fmt: skip
"""The tables, as modules import them."""
EXEMPT = {
    "activity.add_readings": "writes, for the key that calls",
    "alert_sources.active_hours": "the watch for alerts looks at everybody; who hears of it is decided after",
    "alert_sources.expiring_keys": "likewise",
    "alert_sources.list_spenders": "likewise",
    "alert_sources.list_watched": "likewise",
    "alert_sources.name_owners": "likewise",
    "alert_sources.spend_by_weekday": "likewise",
    "alert_sources.spend_since": "likewise",
    "alert_sources.unpriced_uses": "likewise",
    "aggregates.compare_day": "keeps the sums of all, and shows no rows",
    "aggregates.rebuild_day": "keeps the sums of all, and shows no rows",
    "aggregates.sum_up": "keeps the sums of all, and shows no rows",
    **{
        f"retention.{name}": "of all receipts of a month, for those who reach everything"
        for name in (
            "oldest_receipt",
            "contents_of",
            "is_counted_after",
            "stream_receipts",
            "drop_receipts",
        )
    },
    "repricing.list_priced": "of all receipts, for those who reach everything",
    "repricing.adjusted_so_far": "of receipts that were found before",
    "teams.hold_team": "holds a team that was found before",
    "users.change_organization": "writes; the user was found before",
    "closing.booked_later": "sums of months, of all",
    "closing.sums_of": "sums of a month, of all",
    "closing.digest_of": "a digest of a month, of all",
    "closing.keep_names": "writes the names of a month, of all",
    "allow_lists.list_allow_lists": "the page of a model is for those who reach everything",
    "allow_lists.count_keys_naming": "likewise",
    "budgets.budgets_of_key": "of a key that was found before",
    "budgets.count_owners": "a number for a shared budget, which belongs to no tenant",
    "budgets.forget_by_deleted_keys": "writes; the budget was found before",
    "key_owners.forget_owner": "writes; the owner was found before",
    "key_owners.lock_keys_of": "of an owner that was found before, and goes",
    "keys.digest_is_taken": "a key may be given once, whosesoever it was",
    "keys.find_key_for_routes": "of the person who asks",
    "keys.retire_digest": "writes, for a key that was found before",
    "keys.update_key": "writes, for a key that was found before",
    "keys.insert_key": "writes",
    "owner_spend.rough_spend": "sums for owners that were found before",
    "owner_spend.spend_of_days": "sums for owners that were found before",
    "owner_spend.spend_of_owners": "sums for owners that were found before",
    "owner_spend.spend_of_scope": "the sum of a counter, which names the budget that it belongs to",
    "owner_spend.spend_of_scopes": "likewise",
    "owner_spend.spend_of_keys": "sums for keys that were found before",
    "principal_rows.find_digest": "of a key that was found before",
    "principal_rows.find_principal": "who is calling is asked before there is a tenant",
    "projects.count_keys_of_project": "a number for a project that was found before",
    "projects.delete_project": "writes, for a project that was found before",
    "projects.find_project_id_by_alias": "a name may be given once in a team",
    "projects.insert_project": "writes",
    "projects.lock_projects_of_team": "of a team that was found before, and goes",
    "projects.update_project": "writes, for a project that was found before",
    "projects.hold_project": "holds a project that keys are to belong to; who may is asked after",
    "receipts.find_key_ids": "for a condition on receipts, which stands beside the tenant's own",
    "receipts.spend_of_team": "a sum for a team that was found before",
    "reports.find_extent": "two dates, and no rows",
    "report_names.find_living_keys": "of ids in cells that were found before",
    "report_names.find_names": "names for ids in cells that were found before",
    "sign_ins.list_sign_ins": "of the person who asks",
    "taking_over.insert_rows": "writes",
    "taking_over.keys_with_receipts": "a take-over reaches everything, and shows no rows",
    "taking_over.present_digests": "a take-over reaches everything, and shows no rows",
    "taking_over.present_ids": "a take-over reaches everything, and shows no rows",
    "taking_over.present_names": "a take-over reaches everything, and shows no rows",
    "taking_over.present_pairs": "a take-over reaches everything, and shows no rows",
    "teams.count_belongings": "numbers for teams that were found before",
    "teams.delete_team": "writes, for a team that was found before",
    "teams.find_team_id_by_alias": "a name may be given once in an organization",
    "teams.insert_team": "writes",
    "teams.move_keys": "writes, for a team that was found before",
    "teams.update_team": "writes, for a team that was found before",
    "teams.teams_of_organizations": "of organizations that were found before",
    "tenant_spend.spend_of": "sums for owners that were found before",
    "tenants.find_standing": "makes the tenant",
    "users.count_keys": "numbers for users that were found before",
}


def functions() -> dict[str, ast.AsyncFunctionDef]:
    """The public queries of the folder, by module and name."""
    return {
        f"{path.stem}.{node.name}": node
        for path in sorted(FOLDER.glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_")
    }


@lru_cache
def parts_of(module: str) -> dict[str, ast.AST]:
    """The functions and constants of a module, of which its queries are made."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
    return found


def tables_read(module: str, node: ast.AST, seen: frozenset[str] = frozenset()) -> set[str]:
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    found = names & TENANT_DATA
    for name in (names & parts_of(module).keys()) - seen:
        found |= tables_read(module, parts_of(module)[name], seen | {name})
    return found


def takes_the_tenant_first(node: ast.AsyncFunctionDef) -> bool:
    first = node.args.args[1:2]
    return bool(first) and first[0].annotation is not None and ast.unparse(first[0].annotation) == "Tenant"


def uses_the_tenant(node: ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(part, ast.Name) and part.id == "tenant" for statement in node.body for part in ast.walk(statement)
    )


def reads_tenant_data(name: str, node: ast.AsyncFunctionDef) -> bool:
    return bool(tables_read(name.partition(".")[0], node))


def test_each_query_on_tenant_data_takes_the_tenant_first() -> None:
    loose = [
        name
        for name, node in functions().items()
        if name not in EXEMPT and reads_tenant_data(name, node) and not takes_the_tenant_first(node)
    ]

    assert loose == [], "take a Tenant after the connection, or say in EXEMPT why not"


def test_a_tenant_that_is_taken_is_used() -> None:
    unused = [name for name, node in functions().items() if takes_the_tenant_first(node) and not uses_the_tenant(node)]

    assert unused == []


def test_the_check_sees_the_queries_there_are() -> None:
    seen = {name for name, node in functions().items() if reads_tenant_data(name, node)}

    assert {
        "keys.find_key",
        "keys.list_keys",
        "teams.find_team",
        "receipts.list_receipts",
        "reports.list_cells",
    } <= seen
    assert {name for name, node in functions().items() if takes_the_tenant_first(node)} >= {
        "keys.find_key", "keys.find_key_by_alias", "keys.find_key_by_digest", "keys.list_aliases", "keys.list_keys",
        "projects.find_project", "projects.list_projects",
        "receipts.list_receipts", "reports.list_cells", "teams.find_team", "teams.list_teams", "tenants.belong_to",
    }  # fmt: skip
