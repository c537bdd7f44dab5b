"""Lines of the log: whole, in order, and written though the process ends."""

import subprocess
import sys

import msgspec

_PROGRAM = """
import asyncio
from app.base.logs import configure_logs, get_logger

configure_logs("info", "json")
get_logger().info("before the loop", number=1)

async def main() -> None:
    get_logger().info("in the loop", number=2)
    get_logger().info("in the loop", number=3)
    get_logger().warning("at once", number=4)
    get_logger().debug("not wanted", number=0)
    get_logger().info("at the end", number=5)

asyncio.run(main())
"""


def test_lines_stand_in_the_order_in_which_they_were_said_and_none_is_lost_at_the_end() -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True, timeout=60)
    lines = [msgspec.json.decode(line) for line in run.stderr.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["level"] for line in lines] == ["info", "info", "info", "warning", "info"]
