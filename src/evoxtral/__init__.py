"""Evoxtral: speech to text that keeps the delivery.

The package's front door. The names below are imported on first use, so that `import evoxtral` stays light.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "load_engine": "evoxtral.inference",
    "parse": "evoxtral.tags",
    "render": "evoxtral.tags",
    "respeak": "evoxtral.respeaking",
    "speak": "evoxtral.tts",
    "transcribe": "evoxtral.inference",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'evoxtral' has no attribute '{name}'")
