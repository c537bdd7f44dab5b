"""The embedded Postgres and Valkey, for a Keyhouse that is given no database of its own."""

from app.embedded.errors import EmbeddedServerError
from app.embedded.supervisor import EmbeddedServers, Server

__all__ = ["EmbeddedServerError", "EmbeddedServers", "Server"]
