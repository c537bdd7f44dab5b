"""Counts as people say them: ``1 day``, ``2 days``."""


def counted(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"
