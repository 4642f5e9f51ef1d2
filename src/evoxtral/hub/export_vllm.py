"""A Voxtral for vLLM: merged in Mistral's layout, or as that base and an adapter whose keys vLLM binds.

What vLLM asks for was found by running 0.26 on a GPU: it loads Voxtral in Mistral's layout only; an adapter with PEFT's
own keys is taken without a word and changes nothing; one with weights for the projector is refused. So keys are
renamed, and the projector's deltas go into the base. Weights pass through memory one at a time.
"""

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evoxtral.data.files import written_whole
from evoxtral.errors import ModelError
from evoxtral.hub.mistral_layout import POSITIONS, in_mistral_order, mistral_name, mistral_params, sinusoids
from evoxtral.hub.tensor_files import TensorPlace, find_tensors, read_tensor, write_tensors
from evoxtral.models.checkpoints import loading

if TYPE_CHECKING:
    from torch import Tensor

# Positions are kept in float32; ones that went through bfloat16, whose steps near 1 are 2^-8, pass too.
_POSITION_TOLERANCE: Final = 2**-7
_KEY: Final = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
# The text decoder, as PEFT's keys name it, as vLLM's do, and as checkpoints do.
_PEFT_DECODER: Final = "model.language_model.layers."
_VLLM_DECODER: Final = "language_model.model.layers."
_PEFT_PROJECTOR: Final = "model.multi_modal_projector."
# Settings of PEFT that change what a delta is, or how vLLM would have to read it.
_PLAIN: Final[Mapping[str, Any]] = {
    "use_dora": False,
    "lora_bias": False,
    "bias": "none",
    "fan_in_fan_out": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": None,
    "trainable_token_indices": None,
    "target_parameters": None,
    "use_qalora": False,
    "use_bdlora": None,
    "layer_replication": None,
}
WEIGHTS_FILE: Final = "consolidated.safetensors"


@dataclass(frozen=True, slots=True)
class AdapterExport:
    """Folders that were written.

    Attributes:
        adapter: for `--lora-modules`.
        base: what to serve it with; None: the published model in Mistral's layout, of which nothing was changed.
        rank: what `--max-lora-rank` must be at least.
    """

    adapter: Path
    base: Path | None
    rank: int


class LoraAdapter:
    """A plain LoRA adapter of a Voxtral, by the names of the base's checkpoint.

    Raises:
        ModelError: it is damaged, or no plain LoRA of text decoder and projector.
    """

    def __init__(self, folder: Path) -> None:
        with loading(folder):
            self.config: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        self.folder = folder
        if self.config.get("peft_type") != "LORA":
            raise ModelError(f"{folder}: is no LoRA adapter", "merge it first: evoxtral hub export --format hf")
        for setting, plain in _PLAIN.items():
            if (found := self.config.get(setting, plain)) and found != plain:
                raise ModelError(
                    f"{folder}: its {setting} is {found!r}, which vLLM's layout cannot say",
                    "merge it first: evoxtral hub export --format hf, then export the merged folder",
                )
        self.places = find_tensors(folder, stem="adapter_model")
        self._keys: dict[str, dict[str, str]] = {}
        for key in self.places:
            found = _KEY.fullmatch(key)
            if found is None or not found["module"].startswith((_PEFT_DECODER, _PEFT_PROJECTOR)):
                raise ModelError(
                    f"{folder}: {key} is no LoRA weight of Voxtral's text decoder or projector",
                    "merge it first: evoxtral hub export --format hf",
                )
            self._keys.setdefault(_checkpoint_name(found["module"]), {})[found["side"]] = key

    @property
    def rank(self) -> int:
        return int(self.config["r"])

    @property
    def targets(self) -> set[str]:
        """Names of tensors in the base's checkpoint that the adapter changes."""
        return set(self._keys)

    @property
    def projector_targets(self) -> set[str]:
        return {name for name in self._keys if name.startswith("multi_modal_projector.")}

    def add_to(self, name: str, weights: "Tensor") -> "Tensor":
        """The base's tensor with its delta, `alpha / rank * B A` (arXiv 2106.09685), summed in float32."""
        sides = self._keys[name]
        a, b = (read_tensor(sides[side], self.places[sides[side]]).float() for side in "AB")
        if (b.shape[0], a.shape[1]) != tuple(weights.shape):
            raise ModelError(f"{self.folder}: does not fit {name} of the base", "is it this base's adapter?")
        rank = math.sqrt(self.rank) if self.config.get("use_rslora") else self.rank
        summed: Tensor = weights.float() + self.config["lora_alpha"] / rank * (b @ a)
        return summed.to(weights.dtype)


def export_merged(base: Path, output: Path, *, adapter: Path | None = None) -> None:
    """Write a Voxtral in Mistral's layout.

    Args:
        base: folder in Hugging Face format, with tekken.json.
        adapter: folder of a LoRA adapter, merged on the way.

    Raises:
        ModelError: they cannot be said in that layout.
    """
    lora = None if adapter is None else LoraAdapter(adapter)
    _write_model(base, output, lora, set() if lora is None else lora.targets)


def export_adapter(adapter: Path, base: Path, output: Path) -> AdapterExport:
    """Write `output/adapter` for vLLM and, where the adapter changes the projector, `output/base` to serve it with.

    Raises:
        ModelError: as `export_merged`; or the adapter changes nothing but the projector.
    """
    lora = LoraAdapter(adapter)
    folded = lora.projector_targets
    if lora.targets == folded:
        raise ModelError(f"{adapter}: changes the projector only, which vLLM takes no adapter for", "export it merged")
    if folded:
        _write_model(base, output / "base", lora, folded)
    with written_whole(output / "adapter") as unfinished:
        kept = {
            key.replace(_PEFT_DECODER, _VLLM_DECODER): key
            for key in lora.places
            if not key.startswith(f"base_model.model.{_PEFT_PROJECTOR}")
        }
        write_tensors(
            unfinished / "adapter_model.safetensors",
            {name: lora.places[key] for name, key in kept.items()},
            lambda name: read_tensor(kept[name], lora.places[kept[name]]),
            names=sorted(kept),
        )
        modules = {name.removesuffix(".weight").rpartition(".")[2] for name in lora.targets - folded}
        config = lora.config | {"target_modules": sorted(modules)}
        (unfinished / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return AdapterExport(output / "adapter", output / "base" if folded else None, lora.rank)


def _write_model(base: Path, output: Path, lora: LoraAdapter | None, changed: set[str]) -> None:
    """Write the base with the deltas of those tensors added."""
    with loading(base):
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") != "voxtral":
        raise ModelError(
            f"{base}: is no Voxtral but {config.get('model_type')!r}",
            "vLLM loads a Whisper in Hugging Face format: export --format hf",
        )
    tokenizer = base / "tekken.json"
    if not tokenizer.is_file():
        raise ModelError(f"{base}: has no tekken.json", "copy it there from the model that it was made from")
    with loading(base):
        params = mistral_params(config, json.loads(tokenizer.read_text(encoding="utf-8"))["audio"])
    found = find_tensors(base)
    if missing := changed - found.keys():
        raise ModelError(f"{base}: has no {min(missing)}, which the adapter changes", "is it this adapter's base?")
    _check_positions(base, found)
    names = {mistral_name(name): name for name in found if name != POSITIONS}

    def load(written: str) -> "Tensor":
        name = names[written]
        weights = read_tensor(name, found[name])
        if lora is not None and name in changed:
            weights = lora.add_to(name, weights)
        return in_mistral_order(written, weights, params)

    with written_whole(output) as unfinished:
        write_tensors(
            unfinished / WEIGHTS_FILE,
            {written: found[name] for written, name in names.items()},
            load,
            names=sorted(names),
        )
        (unfinished / "params.json").write_text(json.dumps(params, indent=2) + "\n", encoding="utf-8")
        shutil.copyfile(tokenizer, unfinished / tokenizer.name)


def _check_positions(base: Path, found: Mapping[str, TensorPlace]) -> None:
    """vLLM makes the encoder's positions itself: another model's would be lost, and it would hear nothing right."""
    place = found.get(POSITIONS)
    if place is None:
        return
    positions, width = place.shape
    if (read_tensor(POSITIONS, place).float() - sinusoids(positions, width)).abs().max() > _POSITION_TOLERANCE:
        raise ModelError(
            f"{base}: its encoder's positions are not Whisper's sinusoids, and Mistral's layout holds no others",
            "only models made from a published Voxtral can be exported",
        )


def _checkpoint_name(module: str) -> str:
    """The base's tensor that an adapted module, named as PEFT does, holds."""
    return module.replace(_PEFT_DECODER, _VLLM_DECODER).removeprefix("model.") + ".weight"
