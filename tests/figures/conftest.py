from collections.abc import Iterator

import pytest

from pwm.analysis import estimates
from pwm.runs.storage import Store
from tests.figures.made_up import smoke_store


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of every experiment in the smoke size; not to be changed."""
    return smoke_store(tmp_path_factory.mktemp("smoke"))


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes intervals from a few resamples, for tests that do not look at them."""
    monkeypatch.setattr(estimates, "RESAMPLES", 20)
    estimates.resampled.cache_clear()
    yield
    estimates.resampled.cache_clear()
