"""Ollama's own API: chat and generate, with lines of JSON for a stream."""
