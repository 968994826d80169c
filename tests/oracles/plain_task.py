"""The task by its definition, one trial and one step at a time, in pure Python.

The oracle for `pwm.core.task` and `pwm.core.rollout`; it shares no code with them.
"""

from __future__ import annotations

from collections.abc import Sequence

HOLD, LEFT, RIGHT = 0, 1, 2


class PlainTask:
    """The task during one episode.

    Args:
        num_stimuli: width of an observation; the first stimulus is A.
        trial_length: steps per trial.
        timeout: whether a violation blanks the next trial.
        hold_reward: reward for each hold before the last step of a trial.
    """

    def __init__(
        self, num_stimuli: int, trial_length: int, *, timeout: bool, hold_reward: float
    ) -> None:
        self.num_stimuli = num_stimuli
        self.trial_length = trial_length
        self.timeout = timeout
        self.hold_reward = hold_reward
        self.shown = ""  # the pair of this trial; empty in a blank one
        self._step = 0
        self._owes_timeout = False

    def begin_trial(self, pair: str) -> None:
        """Starts the next trial: it shows the pair, or nothing if it is a timeout."""
        self.shown = "" if self._owes_timeout else pair
        self._owes_timeout = False
        self._step = 0

    def observe(self) -> list[float]:
        """The observation of this step."""
        observation = [0.0] * self.num_stimuli
        if self.shown:
            if self._step == 0:
                observation["ABCDEFGH".index(self.shown[0])] = 1.0
            if self._step == self.trial_length - 1:
                observation["ABCDEFGH".index(self.shown[1])] = 1.0
        return observation

    def act(self, action: int) -> float:
        """Takes the action of this step and returns its reward."""
        last_step = self._step == self.trial_length - 1
        self._step += 1
        if not self.shown:
            return 0.0
        if last_step:
            return 1.0 if action == correct_action(self.shown) else 0.0
        if action == HOLD:
            return self.hold_reward
        if self.timeout:
            self._owes_timeout = True
        return 0.0


def correct_action(pair: str) -> int:
    """The correct action at the last step: right if the second stimulus is the larger."""
    return RIGHT if pair[0] < pair[1] else LEFT


def decision_reward(pair: str, action: int) -> float:
    """Reward for an action at the last step of a trial with the given pair, after holding."""
    task = PlainTask(8, trial_length=3, timeout=False, hold_reward=0.0)
    task.begin_trial(pair)
    return [task.act(taken) for taken in (HOLD, HOLD, action)][-1]


def num_stimuli(pairs: Sequence[str]) -> int:
    """Number of stimuli from A to the largest one in the pairs."""
    return "ABCDEFGH".index(max("".join(pairs))) + 1
