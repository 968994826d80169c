"""The update of `pwm.training`, compiled: many times faster, the same bits on every machine."""
