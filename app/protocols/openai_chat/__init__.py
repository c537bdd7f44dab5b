"""Chat completions: OpenAI's own, and what most other hosts offer in its form."""
