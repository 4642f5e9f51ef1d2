"""Evoxtral-Bench: how well a system writes down what was said and how.

Scores texts against texts, runs models over benchmark sets, speaks transcripts again and compares the sound, and
writes reports. The names below are imported on first use. Knows corpora, inference and speech by their front doors.
"""

import importlib
from typing import Any

_EXPORTS = {
    "Comparison": "comparing",
    "Report": "scoring",
    "Section": "report",
    "RoundTrip": "roundtrip",
    "TestSet": "testset",
    "compare": "comparing",
    "describe_system": "summary",
    "export_testset": "testset",
    "load_testset": "testset",
    "log_to_wandb": "wandb_log",
    "markdown_summary": "summary",
    "reward": "rewards",
    "round_trip": "roundtrip",
    "run_model": "predicting",
    "score": "scoring",
    "write_html": "report",
    "write_report": "report",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
