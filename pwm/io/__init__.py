"""Files, command lines, provenance, and the repository's folders."""
