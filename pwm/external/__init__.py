"""Other people's training, over its weight of the critic: `python -m pwm.external`."""
