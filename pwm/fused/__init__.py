"""The update of `pwm.training`, compiled: many times faster, the same bits on every machine.

Reading order: layout, buffers, engine, kernel, forward, advantages, backward, balance, optimiser;
then products, elementary, vectors and compilation.
"""
