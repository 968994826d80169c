"""Training in steps, each followed by a look at the clock and at signals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from tqdm import tqdm

from pwm.core.config import TrainConfig
from pwm.core.trainer import Trainer
from pwm.io.inherited import Forgiving

EPISODES_PER_STEP = 50
PRODUCTS_PER_STEP = 10**8  # pairs of hidden units times steps; they take about a second
SAVE_EVERY = 10.0  # seconds
SHOW_EVERY = 0.2  # seconds


def episodes_per_step(runs: Sequence[TrainConfig]) -> int:
    """Episodes to train for between checks for signals: about a second's, and at most 50."""
    products = runs[0].task.episode_length * runs[0].agent.hidden_size ** 2 * len(runs)
    return min(EPISODES_PER_STEP, max(1, PRODUCTS_PER_STEP // products))


def train_until(trainer: Trainer, save_now: Callable[[], None], caught: Sequence[int]) -> None:
    """Trains to the end or until a signal is caught, with a progress bar.

    Args:
        trainer: to train.
        save_now: saves the run; called from time to time.
        caught: signals caught so far.
    """
    saved = shown = time.monotonic()
    step = episodes_per_step(trainer.runs)
    with tqdm(
        total=trainer.num_episodes,
        initial=trainer.episodes_done,
        unit=" episodes",
        dynamic_ncols=True,
        file=Forgiving(sys.stderr),
    ) as bar:
        while trainer.episodes_done < trainer.num_episodes and not caught:
            trainer.advance(step)
            now = time.monotonic()
            if now - shown < SHOW_EVERY and trainer.episodes_done < trainer.num_episodes:
                continue
            shown = now
            reward = trainer.history().reward[:, -1].mean()
            bar.set_postfix_str(f"reward {reward:.2f}", refresh=False)
            bar.update(trainer.episodes_done - bar.n)
            if now - saved > SAVE_EVERY:
                save_now()
                saved = time.monotonic()
