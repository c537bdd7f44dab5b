"""Tests of the embedded Postgres and Valkey."""
