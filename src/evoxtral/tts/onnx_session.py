"""How a neural voice's network is run. Knows ONNX Runtime; nothing of voices."""

from pathlib import Path
from typing import Any


def open_session(path: Path) -> Any:
    """An `onnxruntime.InferenceSession` on the processor.

    One thread: corpora are spoken by one process a core, and short phrases gain little from more.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
