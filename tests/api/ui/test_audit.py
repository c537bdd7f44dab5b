"""The pages of the audit and of credentials: who reads them, what they show, and that no secret comes out."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

import app
from app.api.ui.audit_words import ACTIONS as AUDITED
from app.api.ui.differences import Difference, differences
from app.base.ids import new_id
from app.domain.alerts import ALERT_KINDS
from app.domain.price_list import TermKind
from app.domain.roles import ACTIONS, USER_ROLES
from tests.api.ui.support import Street

pytestmark = pytest.mark.services
HOSTILE = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>&{{7*7}}"""


def test_a_change_is_told_value_by_value_with_money_as_money() -> None:
    before = {"limit_nanousd": 5_000_000_000, "models": ["a"], "metadata": {"team": "x"}, "updated_at": "1"}
    after = {"limit_nanousd": 7_500_000_000, "models": ["a", "b"], "metadata": {"team": "x"}, "updated_at": "2"}
    assert differences(before, after) == [
        Difference("limit", "$5.00", "$7.50"),
        Difference("models", "a", "a, b"),
        Difference("metadata.team", "x", "x"),
    ]
    assert differences(None, {"blocked": False}) == [Difference("blocked", None, "false")]


@pytest.mark.parametrize("role", USER_ROLES)
async def test_the_audit_and_credentials_are_for_those_who_may_read_them(street: Street, role: str) -> None:
    async with street.signed_in(role) as (browser, _):
        for path, action in (("/ui/audit", "audit.read"), ("/ui/credentials", "settings.read")):
            reads = ACTIONS[action][role] != "nothing"  # type: ignore[index]  # a role of users
            assert (await browser.get(path)).status_code == (200 if reads else 403)
            assert (f'href="{path}"' in (await browser.get("/ui/account")).text) is reads
        if role != "proxy_admin":
            for what in ("edit", "delete"):
                refused = await browser.send(f"/ui/credentials/{what}", {"name": "x"}, of="/ui/account")
                assert refused.status_code == 403


def test_every_action_that_is_audited_has_words_on_the_page() -> None:
    kinds = {action.split(".")[0] for group in AUDITED.values() for action in group if "." in action}
    named = re.compile(rf"({'|'.join(sorted(kinds))})(\.[a-z_]+)+|close|rebuild|export|drop")
    said: set[str] = set()
    for file in sorted((Path(app.__file__).parent / "admin").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and named.fullmatch(node.value):
                said.add(node.value)
    said |= {f"price.{kind}" for kind in get_args(TermKind)}
    others = {*ACTIONS, *ALERT_KINDS, "model_info.id"}
    told = {action for group in AUDITED.values() for action in group}
    assert (told - said, said - told - others) == (set(), set())


async def test_an_auditor_begins_at_the_audit_and_finds_a_change_with_its_before_and_after(street: Street) -> None:
    budget_id = new_id("bud")
    for path, body in (("new", {"max_budget": 5}), ("update", {"max_budget": 8})):
        assert (await street.door.post(f"/budget/{path}", {"budget_id": budget_id, **body})).status == 200
    async with street.signed_in("auditor") as (browser, _):
        assert (await browser.get("/ui")).headers["location"] == "/ui/audit"
        listed = ""
        for narrowed in (f"q={budget_id}", f"q={budget_id}&kind=budget&who=default_user_id&from=2020-01-01"):
            listed = (await browser.get(f"/ui/audit?{narrowed}")).text
            assert "2 changes" in listed
        assert "1 change found" in (await browser.get(f"/ui/audit?q={budget_id}&action=budget.update")).text
        assert "Nothing found" in (await browser.get(f"/ui/audit?q={budget_id}&to=2020-01-01")).text
        for day in ("9999-12-31", "0001-01-01"):  # no day comes after the last one
            assert "2 changes" in (await browser.get(f"/ui/audit?q={budget_id}&from={day}&to={day}")).text
        assert "Nothing found" in (await browser.get(f"/ui/audit?q={budget_id}&who=nobody@example.com")).text
        assert 'title="budget.update">Shared budget changed</a>' in listed
        assert '<option value="budget.update">Shared budget changed</option>' in listed
        newest = re.findall(r'href="/ui/audit/(audit_\w+)"', listed)[0]
        page = (await browser.get(f"/ui/audit/{newest}")).text
        assert "<h1>Shared budget changed</h1>" in page
        assert '<span class="mono">budget.update</span>' in page
        assert "<del>$5.00</del>" in page
        assert "<ins>$8.00</ins>" in page
        assert "The chain is whole" in (await browser.get("/ui/audit?verify=1")).text
        assert (await browser.get("/ui/audit/audit_none")).status_code == 404


async def test_a_credential_is_kept_replaced_and_never_shown(street: Street) -> None:
    name = new_id("cred")
    edit = "/ui/credentials/edit"
    fields = {"name": name, "api_key": "sk-first-secret", "api_base": "https://api.example.com", "description": HOSTILE}
    async with street.signed_in("proxy_admin") as (browser, _):
        refused = await browser.send(edit, {"name": name})
        assert "the key is missing" in refused.text.lower()
        for wrong in ("sk-first-secret", "aws_secret_access_key = sk-first-secret\nno_such_value = 1"):
            refused = await browser.send(edit, fields | {"further": f"{wrong}\napi_version = v7"})
            assert (refused.status_code, "sk-first-secret" in refused.text) == (422, False)
            assert "api_version = v7" in refused.text
        assert (await browser.send(edit, fields)).status_code == 303
        of = f"{edit}?name={name}"
        pages = [(await browser.get(path)).text for path in ("/ui/credentials", of, f"/ui/audit?q={name}")]
        assert not [page for page in pages if "sk-first-secret" in page or "<script>alert" in page]
        elsewhere = {"name": name, "known": "1", "api_base": "https://elsewhere.example.com"}
        assert "give api_key anew" in (await browser.send(edit, elsewhere, of=of)).text
        replaced = elsewhere | {"api_key": "sk-second-secret"}
        assert (await browser.send(edit, replaced, of=of)).status_code == 303
        user, params = new_id("model"), {"model": "openai/x", "litellm_credential_name": name}
        made = await street.door.post("/model/new", {"model_name": user, "litellm_params": params})
        assert made.status == 200, made.text
        assert user in (await browser.get(of)).text
        assert "is in use by the models" in (await browser.send("/ui/credentials/delete", {"name": name}, of=of)).text
        await street.door.post("/model/delete", {"id": made.fields["model_id"]})
        assert (await browser.send("/ui/credentials/delete", {"name": name}, of=of)).status_code == 303
