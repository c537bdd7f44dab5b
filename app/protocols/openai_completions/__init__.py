"""The legacy text completions API."""
