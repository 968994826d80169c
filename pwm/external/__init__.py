"""Trains other people's agents and loops at many critic weights: `python -m pwm.external`."""
