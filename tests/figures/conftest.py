from collections.abc import Iterator

import pytest

from pwm.analysis.evidence import Evidence
from pwm.analysis.published import Published
from pwm.experiments import chosen
from pwm.runs.storage import Store
from tests.figures.made_up import smoke_store
from tests.support import resampling
from tests.support.outcomes import published_from


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of every experiment in the smoke size; tests must not change it."""
    return smoke_store(tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="module")
def evidence(smoke: Store) -> Evidence:
    """All runs in the store `smoke`."""
    return Evidence(smoke, "smoke")


@pytest.fixture(scope="session")
def smoke_outcomes(smoke: Store, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Published outcomes of the store `smoke`."""
    path = tmp_path_factory.mktemp("published") / "outcomes.npz"
    return published_from(chosen((), "smoke"), smoke, path)


@pytest.fixture
def few_resamples() -> Iterator[None]:
    """Lets intervals have few resamples, for tests that do not check the intervals."""
    with resampling.few_resamples():
        yield
