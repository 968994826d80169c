from collections.abc import Iterator

import pytest

from tests.support import resampling


@pytest.fixture(scope="package", autouse=True)
def few_resamples() -> Iterator[None]:
    with resampling.few_resamples():
        yield
