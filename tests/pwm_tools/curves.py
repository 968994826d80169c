"""`python -m tests.pwm_tools.curves`: verdicts of `check_logs` on stored runs, for `docs/check.md`.

The table covers one run of each of 300 settings, with raw returns and an attached or a detached
baseline. The thresholds in `pwm/tools/logs.py` were chosen on another random sample of this kind.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from pwm.analysis.outcomes import Outcomes
from pwm.tools import check_logs
from pwm.tools.logs import FEWEST
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig

SETTINGS = 300
VERDICTS = ("leak", "no leak", "cannot tell")


def usual(config: TrainConfig) -> bool:
    """Whether a run has a critic, enough points, and a default loss (any baseline or reduction)."""
    loss = config.loss
    plain = LossConfig(baseline=loss.baseline, policy_reduction=loss.policy_reduction)
    enough = config.num_episodes // config.log_every >= FEWEST
    return loss == plain and enough and config.critic_weight > 0


def main() -> None:
    """Prints the table of verdicts."""
    runs = Outcomes.stored()
    configs = runs.configs
    settings: dict[object, list[int]] = {}
    for number, config in enumerate(configs):
        if usual(config) and config.loss.baseline in ("attached", "detached"):
            key = (config.task, config.agent, config.loss, config.critic_weight,
                   config.learning_rate, config.num_episodes, config.critic_start)  # fmt: skip
            settings.setdefault(key, []).append(number)
    random = np.random.default_rng(1)
    found: Counter[tuple[str, bool, str]] = Counter()
    chosen = random.permutation(len(settings))[:SETTINGS]
    for numbers in (list(settings.values())[place] for place in chosen):
        number = int(random.choice(numbers))
        config, history = configs[number], runs.at(run=number).history
        for logged in (True, False):
            report = check_logs(
                policy_loss=history.policy_loss.ravel().tolist(),
                value_loss=history.value_loss.ravel().tolist(),
                entropy=history.entropy.ravel().tolist(),
                bias=history.critic_bias.ravel().tolist() if logged else None,
                weight=config.critic_weight,
                steps=config.task.episode_length,
                policy_reduction=config.loss.policy_reduction,
            )
            found[config.loss.baseline, logged, report.verdict] += 1
    print("| runs | bias logged | " + " | ".join(VERDICTS) + " |")
    print("|---|---|---|---|---|")
    for logged in (True, False):
        for baseline in ("attached", "detached"):
            counts = [str(found[baseline, logged, verdict]) for verdict in VERDICTS]
            print(f"| {baseline} | {'yes' if logged else 'no'} | {' | '.join(counts)} |")


if __name__ == "__main__":
    main()
