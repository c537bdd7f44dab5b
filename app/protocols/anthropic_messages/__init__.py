"""The Messages API: Anthropic's own, and what Bedrock, Vertex and others offer in its form."""
