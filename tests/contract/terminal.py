"""``keyhouse`` as a terminal has it, beside a running gateway: most commands in this process, which starts no other."""

import asyncio
import os
import sys
from collections.abc import Mapping
from unittest.mock import patch

from click.testing import CliRunner, Result

from app.cli import main
from tests.fakes.gateway_process import MASTER_KEY, GatewayProcess

OWN_PROCESS = frozenset({"serve", "migrate", "demo-data"})
"""Commands that import more as they run, or take over the process. Of the others ``keyhouse_process`` shows that they
start by themselves."""


async def keyhouse(gateway: GatewayProcess, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    if OWN_PROCESS & {*arguments[:1]}:
        return await keyhouse_process(gateway, *arguments, **environment)
    # In a thread: the providers that some commands ask live in the loop of this one.
    result = await asyncio.to_thread(_invoke, arguments, _environment(gateway, environment))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout_bytes.decode(), result.stderr_bytes.decode()


async def keyhouse_process(gateway: GatewayProcess, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """The same of a process, which costs a quarter of a second of CPU and more."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", *arguments,
        env=_environment(gateway, environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in errors, errors.decode()
    return process.returncode, output.decode(), errors.decode()


def _environment(gateway: GatewayProcess, further: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(gateway.home.parent),
        "KEYHOUSE_HOME": str(gateway.home),
        "KEYHOUSE_PORT": str(gateway.port),
        "KEYHOUSE_MASTER_KEY": MASTER_KEY,
        **further,
    }


def _invoke(arguments: tuple[str, ...], environment: Mapping[str, str]) -> Result:
    with patch.dict(os.environ, environment, clear=True):
        return CliRunner().invoke(main, arguments, prog_name="keyhouse")
