"""A recording whose every word is known."""

import pytest

from known_speech import SENTENCES, Recording, record


@pytest.fixture(scope="session")
def recording() -> Recording:
    """About forty seconds of tagged speech with pauses between sentences."""
    return record(SENTENCES, [0.3, 0.5, 0.8, 0.4, 1.2, 0.6, 0.5, 0.9])
