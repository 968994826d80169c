"""Libraries' losses and conversions of the critic weight, compared with gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.conventions import (
    CONVENTIONS,
    Convention,
    convert_weight,
    formula,
    ratio,
    read_conventions,
)
from pwm.core.errors import InputError
from pwm.core.leak import leak_temperature
from pwm.training.loss_config import LossConfig
from pwm.training.loss_options import episode_losses
from tests.libraries.batch import SPREADS, expected, make_batch, measured_factors
from tests.libraries.installed import FRAMEWORKS
from tests.libraries.page import PAGE, page, results

NAMES = st.sampled_from(sorted(CONVENTIONS))
WEIGHTS = st.floats(1e-3, 1e3)
STEPS = st.integers(1, 1000)


@pytest.mark.parametrize(
    ("weight", "steps", "source", "to", "converted"),
    [
        # The notes' best weights in libraries that reduce both losses in the same way.
        (5, 60, "notes", "stable-baselines3-a2c", 1 / 12),
        (5, 60, "notes", "cleanrl-ppo", 1 / 6),
        (5, 60, "notes", "rllib-a3c", 1 / 6),
        (5, 60, "notes", "tensorflow-tutorial", 1 / 6),
        (2, 15, "notes", "rllib-ppo", 2 / 15),
        (2, 15, "notes", "acme-ppo", 2 / 15),
        # Default weights in the notes' units.
        (0.5, 60, "stable-baselines3-a2c", "notes", 30),
        (0.5, 15, "cleanrl-ppo", "notes", 15 / 4),
        # Between libraries the number of steps cancels.
        (0.5, 1, "cleanrl-ppo", "stable-baselines3-ppo", 0.25),
        (0.5, 99, "cleanrl-ppo", "stable-baselines3-ppo", 0.25),
        (1, 32, "bsuite-jax-rnn", "bsuite-tf-rnn", 2),
    ],
)
def test_weights_converted_by_hand(
    weight: float, steps: int, source: str, to: str, converted: float
) -> None:
    assert convert_weight(weight, steps, source=source, to=to) == pytest.approx(converted)


@given(WEIGHTS, STEPS, NAMES, NAMES, NAMES)
def test_a_conversion_there_and_back_or_by_a_detour_changes_nothing(
    weight: float, steps: int, source: str, over: str, to: str
) -> None:
    there = convert_weight(weight, steps, source=source, to=over)
    assert convert_weight(there, steps, source=over, to=source) == pytest.approx(weight, rel=1e-12)
    direct = convert_weight(weight, steps, source=source, to=to)
    assert convert_weight(there, steps, source=over, to=to) == pytest.approx(direct, rel=1e-12)


def test_only_the_notes_need_the_length_of_an_episode() -> None:
    assert [name for name, row in CONVENTIONS.items() if row.needs_steps] == ["notes"]


REDUCE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"sum": torch.sum, "mean": torch.mean}


def loss_of(
    row: Convention, weight: float, log_probs: torch.Tensor, returns: torch.Tensor,
    values: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Loss that a convention describes, without normalisation or clipping."""
    errors = returns - values
    advantages = errors if row.attached else errors.detach()
    policy = REDUCE[row.policy](-advantages * log_probs)
    if row.error == "huber":
        value = torch.nn.functional.huber_loss(values, returns, reduction=row.value)
    else:
        value = row.factor * REDUCE[row.value](errors**2)
    return policy + weight * value


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_converted_weight_keeps_the_direction_of_the_gradient(name: str) -> None:
    steps, weight, row = 7, 3.0, CONVENTIONS[name]
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(3, 1, steps, generator=generator, dtype=torch.float64)
    log_probs, returns, values = draws[0].log(), draws[1], draws[2]
    log_probs.requires_grad_()
    values.requires_grad_()
    config = LossConfig(baseline="attached" if row.attached else "detached")
    advantages = returns - values
    losses = episode_losses(
        log_probs, torch.zeros(1, steps), advantages, advantages, weight, config
    )
    theirs = loss_of(row, convert_weight(weight, steps, to=name), log_probs, returns, values)
    gradients = [
        torch.cat(torch.autograd.grad(loss.sum(), [log_probs, values]))
        for loss in (losses.total, theirs)
    ]
    ours, other = (gradient / gradient.norm() for gradient in gradients)
    torch.testing.assert_close(other, ours)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_closed_form_that_libraries_are_compared_with(name: str) -> None:
    row, batch = CONVENTIONS[name], make_batch(SPREADS[0], ddof=0)
    logits = torch.tensor(batch.logits, requires_grad=True)
    values = torch.tensor(batch.values, requires_grad=True)
    returns = torch.tensor(batch.returns)
    log_probs = logits.log_softmax(-1)[range(len(batch.actions)), batch.actions]
    errors = returns - values
    advantages = errors if row.attached else errors.detach()
    if "advantages" in row.normalises:
        advantages = (advantages - advantages.mean()) / advantages.std(correction=0)
    policy = REDUCE[row.policy](-advantages * log_probs)
    value = loss_of(row, row.weight, torch.zeros_like(values), returns, values)
    found = torch.autograd.grad(policy + value, [logits, values])
    wanted = expected(row, batch, ddof=0)
    torch.testing.assert_close(found[0], torch.tensor(wanted.logits))
    torch.testing.assert_close(found[1], torch.tensor(wanted.values))


@pytest.mark.parametrize("name", ["notes", "stable-baselines3-a2c", "tensorflow-tutorial"])
def test_factors_are_found_from_gradients_alone(name: str) -> None:
    row, batch = CONVENTIONS[name], make_batch(SPREADS[1])
    steps = len(batch.actions)
    policy, value, leak = measured_factors(batch, expected(row, batch))
    assert value / policy == pytest.approx(ratio(row.weight, name, steps))
    assert leak / policy == pytest.approx(float(row.attached), abs=1e-9)


def test_the_leak_has_the_same_temperature_in_every_unit() -> None:
    alpha = leak_temperature(60, 5)
    for name in CONVENTIONS:
        share = ratio(convert_weight(5, 60, to=name), name, 60)
        assert 1 / (2 * share) == pytest.approx(alpha)


def test_the_formulas() -> None:
    assert formula(CONVENTIONS["notes"], 5) == "-Σ A log π + 5 · mean δ²"
    assert formula(CONVENTIONS["cleanrl-ppo"], 0.5) == "-mean A log π + 0.5 · ½ · mean clipped δ²"
    assert formula(CONVENTIONS["keras-example"], 1) == "-Σ A log π + 1 · Σ Huber(δ)"


def test_the_table_is_of_twenty_libraries_or_more() -> None:
    assert len({row.repository for row in CONVENTIONS.values()}) >= 20
    on_pypi = {name for name, row in CONVENTIONS.items() if row.package}
    assert on_pypi == {name for names in FRAMEWORKS.values() for name in names}


ROW = """[some]
repository = "some/where"
file = "a.py"
version = "1"
weight = 1.0
networks = "shared"
"""


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        (None, "weights = 1", "--some weights: expected one of attached, error"),
        (None, "factor = 2", "--factor 2: expected 0.5 or 1"),
        (None, 'policy = "total"', "--policy total: expected one of sum, mean"),
        (None, 'error = "cubed"', "--error cubed: expected one of squared, "),
        (None, 'normalises = ["rewards"]', "--normalises rewards: expected one of advantages, ret"),
        ("weight", "weight = 0", "--weight 0: expected a number above 0"),
        ("version", 'version = ""', "--version (none): expected where the loss was read"),
        ("weight", "", "--some without weight: expected all fields without a default"),
        ("version", "", "--some without version"),
        ("networks", "", "--some without networks"),
    ],
)
def test_a_wrong_row_is_refused(
    tmp_path: Path, removed: str | None, added: str, message: str
) -> None:
    path = tmp_path / "rows.toml"
    path.write_text(ROW)
    assert list(read_conventions(path)) == ["some"]
    kept = [line for line in ROW.splitlines() if line.partition(" = ")[0] != removed]
    path.write_text("\n".join([*kept, added]))
    with pytest.raises(InputError) as caught:
        read_conventions(path)
    assert str(caught.value).startswith(message)


def test_unknown_names_and_steps_are_refused() -> None:
    with pytest.raises(InputError, match="expected one of notes, stable-baselines3-a2c"):
        convert_weight(1, 60, to="nowhere")
    with pytest.raises(InputError, match="--steps 0"):
        convert_weight(1, 0)


def test_the_page_is_that_of_the_table_and_the_stored_results() -> None:
    stored = results()
    assert PAGE.read_text() == page(stored), "run python -m tests.libraries"
    for name, result in stored.items():
        assert result.version == CONVENTIONS[name].version
        assert result.difference < 1e-5
