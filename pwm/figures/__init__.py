"""The figures, and the tables of what they plot."""
