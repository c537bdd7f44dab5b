"""Options that take a day: one that is none is refused by the option's own name, before a gateway is asked."""

from datetime import date

import click


class _Day(click.ParamType[str]):
    name = "day"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            self.fail(f'"{value}" is no day; write it as YYYY-MM-DD', param, ctx)


DAY = _Day()
