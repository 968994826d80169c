"""The page: every published run, and the engine that trains them again in a browser."""
