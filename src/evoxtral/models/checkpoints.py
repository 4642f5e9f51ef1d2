"""From the name of a checkpoint to its weights in memory, for transcribing and for training alike.

A model's configuration is looked at before its weights are fetched: what no family can run is refused at once. Knows
folders, families and PEFT's adapters; nothing of what the weights are used for.
"""

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evoxtral.errors import ModelError
from evoxtral.models.families.protocol import SpeechModel
from evoxtral.models.families.registry import family_in
from evoxtral.models.four_bit import keep_layout, loading_options
from evoxtral.models.names import resolve_model
from evoxtral.models.store import HUB_CACHE, ModelStore


def find_configuration(name: str, store: ModelStore = HUB_CACHE) -> Path:
    """The folder of a model's or adapter's configuration; of the hub, only that is fetched.

    Raises:
        ModelError: nothing has this name, or it is not to be had.
    """
    where = resolve_model(name, store)
    return where if isinstance(where, Path) else store.fetch_descriptions(where)


def describe_checkpoint(name: str, store: ModelStore = HUB_CACHE) -> Path:
    """As `find_configuration`. Raises ModelError also for a model of a type that no family has."""
    folder = find_configuration(name, store)
    family_in(folder, name=name)
    return folder


def fetch_checkpoint(name: str, store: ModelStore = HUB_CACHE, *, with_torch: bool = True) -> Path:
    """The folder of a model or adapter with its weights; see `ModelStore.fetch`."""
    folder = describe_checkpoint(name, store)
    where = resolve_model(name, store)
    return folder if isinstance(where, Path) else store.fetch(where, with_torch=with_torch)


# PEFT imports it wherever it is installed, and it tells of a kernel that it would fetch from the hub.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def load_checkpoint(folder: Path, *, dtype: Any, four_bit_on: Any = None) -> SpeechModel:
    """Load the weights and the processor of a folder, on the processor.

    Args:
        dtype: a torch dtype.
        four_bit_on: a torch device, to load the weights onto it, those of large layers in 4 bits.

    Raises:
        ModelError: transformers is missing, the folder is damaged, or its model is of a type that no family has.
    """
    family = family_in(folder, name=str(folder))
    if family is None:
        raise ModelError(
            f"{folder}: cannot be loaded: its config.json names no model_type", "is it in Hugging Face format?"
        )
    try:
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise ModelError(f"{folder}: transformers is missing", "pip install 'evoxtral[train]'") from error
    if not sys.stderr.isatty():
        disable_progress_bar()
    with loading(folder):
        if four_bit_on is None:
            return family.load(str(folder), dtype=dtype)
        speech = family.load(str(folder), dtype=dtype, options=loading_options(family, dtype=dtype, device=four_bit_on))
        keep_layout(speech.model)
        return speech


def attach_adapter(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """A `PeftModel` around a model of transformers, with the saved weights of an adapter.

    Raises:
        ModelError: PEFT is missing, or the folder holds no adapter that fits the model.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ModelError(f"{folder}: adapters need PEFT", "pip install 'evoxtral[train]'") from error
    with loading(folder), warnings.catch_warnings():
        # PEFT leaves out an adapter of other modules with a warning only.
        warnings.filterwarnings("error", message="Found missing adapter keys")
        return PeftModel.from_pretrained(model, folder, is_trainable=trainable)


def base_of_adapter(folder: Path) -> str | None:
    """The base that a folder with an adapter names; None if it holds no adapter.

    Raises:
        ModelError: its configuration is damaged or names no base.
    """
    path = folder / "adapter_config.json"
    if not path.is_file():
        return None
    with loading(folder):
        name: str | None = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not name:
        raise ModelError(f"{folder}: its adapter names no base model", "write the model as BASE+ADAPTER")
    return name


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """Turn whatever loaders raise for damaged and wrong files into one line."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be there
            raise ModelError(
                f"{folder}: does not fit into the GPU's memory", "free some, or use a smaller model"
            ) from error
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"{folder}: cannot be loaded: {cause}", "check that it is whole, and of the kind meant"
        ) from error
