from collections.abc import Iterator

import pytest

from pwm.analysis import estimates


@pytest.fixture(scope="package", autouse=True)
def few_resamples() -> Iterator[None]:
    """Computes intervals from few resamples, to save time; claims hold or fail by their values."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "RESAMPLES", 20)
        estimates.resampled.cache_clear()
        yield
    estimates.resampled.cache_clear()
