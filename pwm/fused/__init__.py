"""The compiled engine: the core's update, many times faster, bit-identical on every machine."""
