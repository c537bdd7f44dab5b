"""``keyhouse conformance``: what Claude Code needs of a gateway, tried on any gateway."""
