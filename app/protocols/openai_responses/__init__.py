"""The Responses API: OpenAI's own, and what Codex speaks."""
