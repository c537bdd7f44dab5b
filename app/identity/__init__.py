"""What an identity provider outside says of people: OpenID Connect, as its client."""
