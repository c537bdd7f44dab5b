"""Structured logs: one JSON object a line on standard error, never a credential or a prompt."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

_QUIET = ("uvicorn.access", "asyncio", "aiohttp.access", "alembic")
_ENCODER = msgspec.json.Encoder(enc_hook=str)


def configure_logs(level: str, log_format: str) -> None:
    """``level`` is debug, info, warning or error; ``log_format`` is json or text (for reading at a terminal)."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = structlog.dev.ConsoleRenderer(colors=False) if log_format == "text" else _render_json
    shared: list[Any] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    handler.addFilter(_not_our_own_cut)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def _render_json(_logger: object, _name: str, event: MutableMapping[str, Any]) -> str:
    return _ENCODER.encode(event).decode()


def _not_our_own_cut(record: logging.LogRecord) -> bool:
    # A broken upstream stream is cut on purpose by not completing the answer; uvicorn takes that for a mistake.
    return record.getMessage() != "ASGI callable returned without completing response."
