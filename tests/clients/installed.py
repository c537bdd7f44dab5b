"""The clients under test: exact versions from npm, installed once beside the other tools of the tests."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_INSTALL_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a client; ``program`` is what it puts on the path."""

    name: str
    version: str
    program: str

    @property
    def folder(self) -> Path:
        return Path(sys.prefix) / "clients" / f"{self.program}-{self.version}"

    @property
    def path(self) -> Path:
        return self.folder / "node_modules" / ".bin" / self.program


CLAUDE_CODE = Package("@anthropic-ai/claude-code", "2.1.329", "claude")
OLDER_CLAUDE_CODE = Package("@anthropic-ai/claude-code", "2.1.197", "claude")
"""Of the time when only names that begin with ``claude`` or ``anthropic`` came into the picker."""
CODEX = Package("@openai/codex", "0.169.0", "codex")
GEMINI_CLI = Package("@google/gemini-cli", "0.61.0", "gemini")
OPENCODE = Package("opencode-ai", "1.18.33", "opencode")
PACKAGES = (CLAUDE_CODE, OLDER_CLAUDE_CODE, CODEX, GEMINI_CLI, OPENCODE)


def has_npm() -> bool:
    return shutil.which("npm") is not None and shutil.which("node") is not None


def install(package: Package) -> None:
    """Nothing where it is there already. Raises CalledProcessError with npm's words on stderr."""
    if package.path.exists():
        return
    package.folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
    subprocess.run(
        [*command, "--prefix", str(package.folder), f"{package.name}@{package.version}"],
        check=True,
        timeout=_INSTALL_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
