"""What all training tests share: one thread, and tiny models made once."""

from pathlib import Path

import pytest
import torch

from tiny_models import save_tiny_voxtral, save_tiny_whisper


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_whisper(tmp_path_factory.mktemp("tiny-whisper"))


@pytest.fixture(scope="session")
def tiny_voxtral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_voxtral(tmp_path_factory.mktemp("tiny-voxtral"))
