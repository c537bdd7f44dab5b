"""How a developer's client is pointed at the gateway, and whether it then works."""
