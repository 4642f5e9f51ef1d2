"""Take the weights of Resemblyzer's speaker encoder out of its package, for `evoxtral.audio.speaker_encoder`.

    pip download --no-deps resemblyzer==0.1.4 && unzip -o Resemblyzer-0.1.4-*.whl resemblyzer/pretrained.pt
    python tools/convert_speaker_encoder.py resemblyzer/pretrained.pt src/evoxtral/audio/speaker_encoder.npz

Needs torch. Weights are kept in half precision: the embeddings stay the same to three digits.
"""

import sys
from pathlib import Path

import numpy as np
import torch


def main(source: Path, target: Path) -> None:
    weights = torch.load(source, map_location="cpu", weights_only=False)["model_state"]
    kept = {name: value for name, value in weights.items() if name.startswith(("lstm.", "linear."))}
    np.savez(target, **{name.replace(".", "_"): value.numpy().astype(np.float16) for name, value in kept.items()})
    print(f"{target}: {sum(value.numel() for value in kept.values()):,} weights")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
