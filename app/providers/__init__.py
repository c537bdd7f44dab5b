"""Hosts of models: where they are, how they are spoken to; the only floor that sends model traffic."""
