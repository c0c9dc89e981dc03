"""A running installation for all tests of one file."""

from collections.abc import Iterator

import pytest

from tests.support.installations import Installation, running_up


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with running_up(tmp_path_factory.mktemp("up")) as up:
        yield up
