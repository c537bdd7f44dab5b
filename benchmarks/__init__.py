"""How much the gateway costs in processor time, latency and memory; run by hand with `make bench`."""
