"""Benchmarks of training speed: the engines, a plain PyTorch loop, and the same training in JAX."""
