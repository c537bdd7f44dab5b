"""The ground floor: ids, money, time, errors, secrets, logs and metrics; it knows nothing of the house above."""
