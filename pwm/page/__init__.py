"""The page: every published run, and an engine that trains it again in the browser."""
