"""Files, command lines and provenance."""
