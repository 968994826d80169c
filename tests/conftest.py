import signal
from collections.abc import Sequence

import pytest
import torch
from hypothesis import settings

from pwm.runs.engines import ENGINES, EngineName
from pwm.training.parameters import Layout

# The same examples every time: a failure here is a failure everywhere.
settings.register_profile("pwm", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("pwm")

torch.set_num_threads(1)

# In the background of a shell or under nohup, some are ignored, and children would inherit that.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineName:
    """Each engine in turn."""
    chosen: EngineName = request.param
    return chosen


@pytest.fixture
def double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains in double precision, by starting from double-precision parameters."""
    initial_parameters = Layout.initial_parameters

    def in_double(layout: Layout, seeds: Sequence[int]) -> torch.Tensor:
        return initial_parameters(layout, seeds).double()

    monkeypatch.setattr(Layout, "initial_parameters", in_double)
