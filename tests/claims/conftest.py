from collections.abc import Iterator

import pytest

from pwm.analysis import estimates


@pytest.fixture(scope="package", autouse=True)
def few_resamples() -> Iterator[None]:
    """Makes intervals quickly; whether a claim holds depends on its value alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "RESAMPLES", 20)
        estimates.resampled.cache_clear()
        yield
    estimates.resampled.cache_clear()
