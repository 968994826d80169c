"""The page: every published run, and an engine that trains most of them again in the browser."""
