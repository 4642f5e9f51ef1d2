"""Fixtures of the speech tests."""

import pytest
from takes import VOICES, Take


@pytest.fixture(params=[(VOICES[seed % len(VOICES)], seed) for seed in range(4)], ids=lambda p: f"{p[0][7:]}-{p[1]}")
def take(request):
    return Take(*request.param)
