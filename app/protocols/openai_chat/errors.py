"""Errors born in the gateway, as clients of the chat completions API understand them."""

from app.base.errors import GatewayError
from app.protocols.openai_errors import render_body, render_error

__all__ = ["render_error", "render_stream_error"]


def render_stream_error(error: GatewayError) -> bytes:
    """The event that tells a client in the middle of a stream."""
    return b"data: %b\n\n" % render_body(error, error.status)
