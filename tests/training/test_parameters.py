"""A vector holds each parameter once, zero padding otherwise; it starts as PyTorch's modules do."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig
from pwm.runs.engines import EngineName, make_trainer
from pwm.training.config import TrainConfig
from pwm.training.parameters import Layout


def padding(layout: Layout, num_columns: int) -> Tensor:
    """Mask of the columns that hold no parameter."""
    indices = layout.named(torch.arange(num_columns).view(1, -1))
    is_padding = torch.ones(num_columns, dtype=torch.bool)
    for part in indices.values():
        is_padding[part.flatten()] = False
    return is_padding


@pytest.mark.parametrize("hidden_size", [1, 8, 13, 24])
@pytest.mark.parametrize("separate", [False, True])
def test_every_column_is_one_parameter_or_zero_padding(hidden_size: int, separate: bool) -> None:
    config = AgentConfig(hidden_size=hidden_size, separate_trunks=separate)
    layout = Layout(config, num_stimuli=5)
    parameters = layout.initial_parameters([0])
    is_padding = padding(layout, parameters.shape[1])
    lstm, heads = nn.LSTM(5, hidden_size), nn.Linear(hidden_size, 4)
    in_torch = sum(part.numel() for module in (lstm, heads) for part in module.parameters())
    assert int((~is_padding).sum()) == config.num_trunks * in_torch
    assert torch.equal(parameters[0] == 0, is_padding)


@pytest.mark.parametrize("carry_state", [False, True])
def test_padding_stays_zero_during_training(carry_state: bool, engine: EngineName) -> None:
    agent_config = AgentConfig(hidden_size=5, carry_state=carry_state, separate_trunks=True)
    config = TrainConfig(task=TaskConfig(episode_length=12), agent=agent_config, num_episodes=30)
    trainer = make_trainer([config], engine)
    before = trainer.parameters.detach().clone()
    trainer.advance(30)
    is_padding = padding(Layout(agent_config, num_stimuli=5), before.shape[1])
    assert (trainer.parameters[:, is_padding] == 0).all()
    assert (trainer.parameters != before).any()


@pytest.mark.parametrize("hidden_size", [3, 24])
def test_initial_parameters_have_the_distribution_of_pytorch(hidden_size: int) -> None:
    num_stimuli, seeds = 5, range(60)
    layout = Layout(AgentConfig(hidden_size=hidden_size, separate_trunks=True), num_stimuli)
    named = layout.named(layout.initial_parameters(seeds))
    bound = hidden_size**-0.5
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lstms = [nn.LSTM(num_stimuli, hidden_size) for _ in seeds]
        heads = [nn.Linear(hidden_size, 4) for _ in seeds]
    in_torch: dict[str, list[Tensor]] = {
        "input_weight": [lstm.get_parameter("weight_ih_l0") for lstm in lstms],
        "recurrent_weight": [lstm.get_parameter("weight_hh_l0") for lstm in lstms],
        "input_bias": [lstm.get_parameter("bias_ih_l0") for lstm in lstms],
        "recurrent_bias": [lstm.get_parameter("bias_hh_l0") for lstm in lstms],
        "head_weight": [head.weight for head in heads],
        "head_bias": [head.bias for head in heads],
    }
    assert named.keys() == in_torch.keys()
    for name, parts in in_torch.items():
        expected = torch.stack(parts).detach().flatten()
        for trunk in named[name].unbind(dim=1):
            drawn = trunk.flatten()
            assert drawn.abs().max() <= bound
            assert stats.kstest(drawn, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
            assert stats.ks_2samp(drawn, expected).pvalue > 1e-3


def test_initial_parameters_depend_only_on_the_seed() -> None:
    layout = Layout(AgentConfig(), num_stimuli=5)
    together = layout.initial_parameters([7, 8, 7])
    assert torch.equal(together[0], together[2])
    assert not (together[0] == together[1])[together[0] != 0].any()
    assert torch.equal(layout.initial_parameters([8])[0], together[1])


def test_separate_trunks_start_from_different_parameters() -> None:
    layout = Layout(AgentConfig(separate_trunks=True), num_stimuli=5)
    for part in layout.named(layout.initial_parameters([0])).values():
        assert not (part[:, 0] == part[:, 1]).any()
