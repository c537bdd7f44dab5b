"""Wire formats: bytes to values and back, sans-IO; a protocol knows nothing of who hosts it."""
