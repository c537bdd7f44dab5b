"""Claude Code in front of models of other makers, by each protocol: tool loops are completed."""

import pytest

from tests.clients.conftest import MakeClaude
from tests.clients.installed import CLAUDE_CODE, OLDER_CLAUDE_CODE, Package
from tests.clients.pictures import small_png
from tests.clients.running import asking
from tests.fakes.gateway_process import Admin
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = pytest.mark.clients

HOSTS = {
    "gpt-5": "/chat/completions",
    "gpt-5-responses": "/responses",
    "gemini-2.5-pro": ":streamGenerateContent",
    "deepseek-reasoner": "/chat/completions",
    "llama": "/api/chat",
}
"""Models, and the end of the path at which their hosts are asked."""
PROMPT = 'FAKE: thinking call=Bash input={"command":"echo\\u0020$((41000+271))"}'
CALLS = [(CLAUDE_CODE, model) for model in HOSTS] + [(OLDER_CLAUDE_CODE, "gpt-5"), (OLDER_CLAUDE_CODE, "llama")]


@pytest.mark.parametrize(("package", "model"), CALLS, ids=[f"{one.version}-{model}" for one, model in CALLS])
async def test_a_tool_loop_is_completed_on_a_model_of_another_maker(
    make_claude: MakeClaude, upstream: RecordingUpstream, admin: Admin, key: str, package: Package, model: str
) -> None:
    upstream.default = Script(text=("It is ", "done."))
    options = ("--model", f"anthropic-gateway/{model}", "--allowedTools", "Bash")
    run = await make_claude(package).run(*asking(PROMPT, *options))
    assert run.status == 0, run.said
    result = next(event for event in run.events if event["type"] == "result")
    assert (result["result"], result["num_turns"]) == ("It is done.", 2)
    asked = [request for request in upstream.requests if request.path.endswith(HOSTS[model])]
    assert len(asked) >= 2
    last = asked[-1].body.decode()
    assert "41271" in last, "what the tool has said reaches the model"
    assert "x-anthropic-billing-header" not in last
    assert "safeguards" not in last
    rows = await admin.receipts(key, len(asked))
    assert {row["model_group"] for row in rows} == {model}


async def test_a_picture_of_a_tool_reaches_a_model_of_another_maker(
    make_claude: MakeClaude, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("It is red.",))
    claude = make_claude()
    small_png(claude.work / "red.png")
    prompt = f'FAKE: call=Read input={{"file_path":"{claude.work}/red.png"}}'
    run = await claude.run(*asking(prompt, "--model", "anthropic-gateway/gpt-5", "--allowedTools", "Read"))
    assert run.status == 0, run.said
    pictures = [
        part["image_url"]["url"]
        for message in upstream.requests[-1].json()["messages"]
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if part["type"] == "image_url"
    ]
    assert len(pictures) == 1
    assert pictures[0].startswith("data:image/")


async def test_a_conversation_that_is_too_long_is_shortened_and_goes_on(
    make_claude: MakeClaude, upstream: RecordingUpstream
) -> None:
    """The host says so in its own words; Claude Code acts on Anthropic's."""
    upstream.default = Script(text=("Good ", "day"))
    claude = make_claude()
    options = ("--model", "anthropic-gateway/gpt-5")
    first = await claude.run(*asking("Hello", *options))
    session = next(event for event in first.events if event["type"] == "result")["session_id"]
    again = await claude.run(*asking("Hello again", *options, "--resume", session))
    assert again.status == 0, again.said
    upstream.script(
        Script(
            error=400,
            message="This model's maximum context length is 400000 tokens. However, your messages resulted in 400010 "
            "tokens. Please reduce the length of the messages.",
        )
    )
    last = await claude.run(*asking("And once more", *options, "--resume", session))
    assert last.status == 0, last.said
    assert next(event for event in last.events if event["type"] == "result")["result"] == "Good day"
    kinds = [event.get("subtype") for event in last.events if event["type"] == "system"]
    assert "compact_boundary" in kinds, kinds
