"""From trained weights to a folder that something else can load: vLLM, transformers, CTranslate2.

Finds what was named and which format it can take; the formats themselves are written elsewhere. Takes a merged model,
an adapter, or BASE+ADAPTER.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evoxtral.errors import ModelError
from evoxtral.models import HUB_CACHE, ModelStore, split_model_name
from evoxtral.models.checkpoints import base_of_adapter, fetch_checkpoint, find_configuration, load_checkpoint
from evoxtral.models.families.registry import family_in, find_family

FORMATS: Final = ("vllm", "hf", "ctranslate2", "gguf")
DEFAULT_QUANTIZATION: Final = "int8"


@dataclass(frozen=True, slots=True)
class Source:
    """Weights in Hugging Face format.

    Attributes:
        base: folder of the model, or of the base that the adapter belongs to.
        base_name: what it was called: a hub id or a path.
        adapter: folder of the adapter; None for a model that needs none.
    """

    base: Path
    base_name: str
    adapter: Path | None


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how it is used: lines for people."""

    folder: Path
    use: tuple[str, ...]


def export(
    name: str,
    output: Path,
    form: str,
    *,
    base: str | None = None,
    as_adapter: bool = False,
    quantization: str = DEFAULT_QUANTIZATION,
    store: ModelStore = HUB_CACHE,
) -> Exported:
    """Write a model in another format.

    Args:
        name: folder or hub id of a model or an adapter, or BASE+ADAPTER.
        output: folder that is written; it must not exist, or be empty.
        form: one of `FORMATS`.
        base: folder or hub id to use in the place of the base that an adapter names.
        as_adapter: for "vllm": keep the adapter by itself, for a server of many.
        quantization: for "ctranslate2": one of its compute types.

    Raises:
        ModelError: no such model, or this format cannot hold it.
    """
    if form == "gguf":
        raise ModelError(
            "there is no export to GGUF: llama.cpp averages each two frames of Voxtral's encoder and so hears "
            "something else (see docs/deploy.md)",
            "export --format vllm, or --format hf",
        )
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise ModelError(f"{output}: is there already", "name a new folder with -o")
    source = _find(name, base, store, form, as_adapter=as_adapter)
    if form == "vllm":
        return _export_vllm(source, output, as_adapter=as_adapter)
    if form == "hf":
        assert source.adapter is not None
        _merge(source, source.adapter, output)
        return Exported(output, (f"evoxtral transcribe recording.wav --model {output}",))
    return _export_ctranslate2(source, output, quantization)


def _find(name: str, base: str | None, store: ModelStore, form: str, *, as_adapter: bool) -> Source:
    model, adapter = split_model_name(name, store)
    if adapter is None and (named := base_of_adapter(find_configuration(model, store))) is not None:
        model, adapter = named, model
    if base is not None:
        if adapter is None:
            raise ModelError(f"{name}: is a whole model", "--base is for adapters")
        model = base
    if as_adapter and (form != "vllm" or adapter is None):
        raise ModelError(f"{name}: only an adapter for vLLM can stay one", "leave out --as-adapter")
    _check_form(model, form, store, is_whole=adapter is None)
    folder = fetch_checkpoint(model, store)
    if not (folder / "config.json").is_file() or (folder / "model.bin").is_file():
        raise ModelError(f"{model}: is not in Hugging Face format", "name the merged model or the adapter instead")
    return Source(folder, model, None if adapter is None else fetch_checkpoint(adapter, store))


def _check_form(model: str, form: str, store: ModelStore, *, is_whole: bool) -> None:
    """Refuse what the format cannot hold before its weights are fetched."""
    if form == "hf" and is_whole:
        raise ModelError(f"{model}: is a whole model in Hugging Face format already", "name an adapter to merge")
    family = family_in(find_configuration(model, store), name=model)
    if family is None:
        return
    if form == "vllm" and family.name != "voxtral":
        raise ModelError(f"{model}: is a {family.title} model", "vLLM's layout is written for Voxtral models")
    if form == "ctranslate2" and not family.to_ctranslate2:
        kind = family.model_types[0]
        raise ModelError(f"{model}: CTranslate2 knows no model of the kind {kind}", "export --format vllm or hf")


def _export_vllm(source: Source, output: Path, *, as_adapter: bool) -> Exported:
    from evoxtral.hub.export_vllm import export_adapter, export_merged

    flags = "--tokenizer-mode mistral --config-format mistral --load-format mistral"
    if not as_adapter:
        export_merged(source.base, output, adapter=source.adapter)
        return Exported(output, (f"vllm serve {output} {flags}",))
    assert source.adapter is not None
    found = export_adapter(source.adapter, source.base, output)
    served = source.base_name if found.base is None else found.base
    options = f"--enable-lora --max-lora-rank {found.rank} --lora-modules NAME={found.adapter}"
    lines = [f"vllm serve {served} {flags} {options}"]
    if found.base is not None:
        lines.append("the projector's deltas are in that base: the adapter is not whole with another")
    return Exported(output, tuple(lines))


def _merge(source: Source, adapter: Path, output: Path) -> None:
    try:
        import torch

        from evoxtral.training.adapters import merge_adapter
        from evoxtral.training.trainee import Trainee
    except ImportError as error:
        raise ModelError(f"{adapter}: merging needs PyTorch", "pip install 'evoxtral[train]'") from error
    # Summed in float32, and written in the precision that the base is published in.
    merge_adapter(Trainee(load_checkpoint(source.base, dtype=torch.float32)), adapter, output)


def _export_ctranslate2(source: Source, output: Path, quantization: str) -> Exported:
    from evoxtral.training.export import export_ctranslate2

    heads = find_family("whisper").alignment_heads.get(source.base_name.rpartition("/")[2])
    merged = source.base
    output.parent.mkdir(parents=True, exist_ok=True)
    # Beside the result: the system's temporary folder may be too small for weights.
    scratch = Path(tempfile.mkdtemp(prefix=".merged-", dir=output.parent))
    try:
        if source.adapter is not None:
            merged = scratch / "merged"
            _merge(source, source.adapter, merged)
        export_ctranslate2(merged, output, heads=heads, quantization=quantization)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Exported(output, (f"evoxtral transcribe recording.wav --model {output}",))
