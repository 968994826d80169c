"""The speed of training: the engines, a plain loop in PyTorch, and the same training in JAX."""
