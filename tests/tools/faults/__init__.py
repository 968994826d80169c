"""Fault injection: runs the commands under adverse conditions and checks what happens."""
