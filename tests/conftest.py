from collections.abc import Sequence

import pytest
import torch
from hypothesis import settings

from pwm.core.agent import Agent
from pwm.engines import ENGINES, EngineName

# The same examples every time: a failure here is a failure everywhere.
settings.register_profile("pwm", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("pwm")

torch.set_num_threads(1)


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineName:
    """Each engine in turn: what is asked of training is asked of both."""
    chosen: EngineName = request.param
    return chosen


@pytest.fixture
def double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains in double precision; training follows the parameters."""
    initial_parameters = Agent.initial_parameters

    def in_double(agent: Agent, seeds: Sequence[int]) -> torch.Tensor:
        return initial_parameters(agent, seeds).double()

    monkeypatch.setattr(Agent, "initial_parameters", in_double)
