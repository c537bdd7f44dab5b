"""OTLP: what clients tell of themselves by OpenTelemetry, as far as it is read here."""
