"""The rules of keys, access, limits, budgets, prices and spend: pure functions on frozen records."""
