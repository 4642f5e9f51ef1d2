"""The `torch` engine: models of any family in transformers, with LoRA adapters, on a GPU or the processor.

    torch_engine     windows, as memory allows    writers         from windows to texts, fast or step by step
    greedy_decoder   which text has which place   kv_cache        the places
    llama_layers     the layers that it runs      decode_kernels  the same for a GPU, in Triton
    rounded_weights  their matrices in eight bits
    frame_decoder    a token for each frame of sound, of whole recordings
    frame_streams    the same of sound that still comes    sliding_cache  what was read last

This file is its row in the registry, and imports no torch.
"""

from pathlib import Path

from evoxtral.errors import ModelError
from evoxtral.findings import Finding
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.inference.engines.registry import EngineRequest, EngineRow, missing_packages

_PACKAGES = ("torch", "transformers", "peft", "mistral_common")


def _claims(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _load(request: EngineRequest) -> TranscriptionEngine:
    try:
        from evoxtral.inference.engines.torch.torch_engine import TorchEngine
    except ImportError as error:
        raise ModelError(
            f"{request.model}: needs PyTorch", "pip install 'evoxtral[train]', or use the model edge"
        ) from error
    assert request.weights is not None
    return TorchEngine(request.weights, model=request.model, compiled=request.compiled, delay_ms=request.delay_ms)


def _probe() -> Finding:
    if missing := missing_packages(*_PACKAGES):
        return Finding("torch", False, f"missing: {', '.join(missing)}", "pip install 'evoxtral[train]'")
    try:
        import torch

        gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    except Exception as error:  # a library of another version raises anything
        cause = " ".join(str(error).split())[:200]
        return Finding("torch", False, f"PyTorch does not start: {cause}", "pip install --force-reinstall torch")
    if gpu is not None:
        return Finding("torch", True, f"Voxtral and Whisper on {gpu}")
    return Finding("torch", True, "Whisper, and slowly Voxtral, on the processor: PyTorch finds no GPU here")


ENGINE = EngineRow(
    name="torch",
    named_by="a folder or hub id of a Voxtral, a Voxtral Realtime, a Whisper or an adapter of one, or BASE+ADAPTER",
    extra="train",
    probe=_probe,
    load=_load,
    claims_folder=_claims,
    takes_adapters=True,
    takes_delay=True,
    order=20,
)
