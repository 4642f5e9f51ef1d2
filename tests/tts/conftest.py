"""Fixtures of the speech tests."""

import pytest
from takes import VOICES, Take


@pytest.fixture(params=[(voice, seed) for voice in VOICES for seed in (1, 2)], ids=lambda p: f"{p[0][7:]}-{p[1]}")
def take(request):
    return Take(*request.param)
