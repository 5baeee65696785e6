"""One small results folder for all files here."""

import pytest

from support import small_results
from support.small_results import SmallResults


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> SmallResults:
    return small_results.make(tmp_path_factory.mktemp("small results"))
