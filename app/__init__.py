"""Keyhouse: the LLM gateway that hands out keys and keeps the books."""
