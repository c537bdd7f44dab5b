"""The table of providers in the documents says what the table of hosts says."""

from pathlib import Path

from app.providers.host_table import HOSTS
from app.providers.hosts import Host
from app.settings import litellm_names
from app.settings.loading import _GENERAL_NAMES, _LITELLM_NAMES
from app.settings.model_list import _INFO_NAMES, _OPTION_ALIASES, _OPTION_NAMES, _PARAM_NAMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
SPOKEN = {
    "anthropic_messages": "Messages",
    "openai_chat": "chat completions",
    "openai_responses": "Responses",
    "openai_completions": "completions",
    "gemini": "Gemini",
    "ollama": "Ollama",
}
PROVIDERS = "| provider | | speaks | key | address |"
PARAMETERS = "| provider | parameter | variables | without one |"


def table_below(heading: str) -> list[str]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    below = lines[lines.index(heading) + 2 :]
    return below[: next(number for number, line in enumerate(below) if not line.startswith("|"))]


def provider_row(host: Host) -> str:
    address = host.default_base or "must be given"
    variables = code(*host.base_variables)
    cells = (
        code(host.name),
        host.display_name,
        ", ".join(SPOKEN[protocol] for protocol in host.protocols),
        code(*host.key_variables) or "none",
        f"{variables}; {address}" if variables else address,
    )
    return f"| {' | '.join(cells)} |"


def parameter_rows(host: Host) -> list[str]:
    rows = []
    for name, variables in host.options.items():
        default = host.option_defaults.get(name)
        absent = code(default) if default else "needed" if name in host.needed_options else ""
        rows.append(f"| {code(host.name)} | {code(name)} | {code(*variables)} | {absent} |")
    rows += [
        f"| {code(host.name)} | header {code(header)} | {code(variable)} |  |"
        for variable, header in host.header_variables.items()
    ]
    return rows


def code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def test_every_provider_stands_in_the_table_as_it_is() -> None:
    assert table_below(PROVIDERS) == [provider_row(host) for host in HOSTS.values()]


def test_every_parameter_of_a_provider_stands_in_the_table_as_it_is() -> None:
    assert table_below(PARAMETERS) == [row for host in HOSTS.values() for row in parameter_rows(host)]


def test_nothing_that_is_honoured_is_called_not_honoured() -> None:
    assert not (_PARAM_NAMES | _OPTION_NAMES | _OPTION_ALIASES.keys()) & litellm_names.LITELLM_PARAMS
    assert not _INFO_NAMES & litellm_names.MODEL_INFO
    assert not _GENERAL_NAMES & litellm_names.GENERAL_SETTINGS
    assert not _LITELLM_NAMES & litellm_names.LITELLM_SETTINGS
