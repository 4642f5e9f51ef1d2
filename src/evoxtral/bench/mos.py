"""Predicted mean opinion scores by DNSMOS, whose weights the package `speechmos` ships.

Knows the model's inputs and outputs only. The network is run here and not through the package, whose code needs a
large library for a second score that is not used.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ

# The network hears windows of this length, one a second.
_WINDOW_S = 9.01
_HOP_S = 1
# From raw outputs to the scale of ITU-T P.835: Reddy et al. 2022, "DNSMOS P.835", as published with the weights;
# coefficients of the second, first and zeroth power.
_CALIBRATION = {
    "mos_signal": (-0.08397278, 1.22083953, 0.0052439),
    "mos_background": (-0.13166888, 1.60915514, -0.39604546),
    "mos_overall": (-0.06766283, 1.11546468, 0.04602535),
}


def is_installed() -> bool:
    return find_spec("speechmos") is not None


def predicted_mos(samples: NDArray[np.float32]) -> dict[str, float]:
    """DNSMOS P.835 of mono 16 kHz samples: quality of the speech, of the background and overall, each from 1 to 5.

    A sound shorter than a window is repeated until it fills one; nan of an empty one.

    Raises:
        ImportError: `speechmos` is not installed.
    """
    if not len(samples):
        return dict.fromkeys(_CALIBRATION, float("nan"))
    window = int(_WINDOW_S * SAMPLE_RATE_HZ)
    while len(samples) < window:
        samples = np.concatenate([samples, samples])
    starts = range(0, len(samples) - window + 1, _HOP_S * SAMPLE_RATE_HZ)
    windows = [np.clip(samples[start : start + window], -1, 1).astype(np.float32)[None] for start in starts]
    raw = np.array([_session().run(None, {"input_1": heard})[0][0] for heard in windows])
    return {
        name: float(np.polyval(coefficients, raw[:, column]).mean())
        for column, (name, coefficients) in enumerate(_CALIBRATION.items())
    }


@cache
def _session() -> Any:
    import onnxruntime

    spec = find_spec("speechmos")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("predicted MOS needs speechmos")
    weights = Path(spec.submodule_search_locations[0]) / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
