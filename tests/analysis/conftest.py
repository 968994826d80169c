from collections.abc import Iterator

import pytest

from tests.support import resampling


@pytest.fixture
def few_resamples() -> Iterator[None]:
    with resampling.few_resamples(10):
        yield
