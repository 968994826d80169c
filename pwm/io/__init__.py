"""Files, command lines and provenance, for the packages that have commands."""
