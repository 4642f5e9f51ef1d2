"""A CTranslate2 Whisper, dequantised, as a folder of transformers' kind, so that it can be trained further.

    python whisper_from_ctranslate2.py --ct2 src/evoxtral/models/edge --output whisper-edge

Reads model.bin (format version 6: named arrays; int8 rows with a scale each), config.json, tokenizer.json and
preprocessor_config.json. Needs torch and transformers, not CTranslate2. The weights are exactly those that CTranslate2
multiplies with, up to the rounding of float32; what quantisation took from the first weights is not given back. The
heads that follow the words in time go into generation_config.json. Knows nothing of training.
"""

import argparse
import json
import shutil
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

_FORMAT_VERSION = 6
# CTranslate2's numbers of types; bfloat16 is not among them here.
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_COPIED = ("tokenizer.json", "preprocessor_config.json")
# In order of the rows of CTranslate2's joined matrices.
_SELF_ATTENTION = {"linear_0": ("q_proj", "k_proj", "v_proj"), "linear_1": ("out_proj",)}
_CROSS_ATTENTION = {"linear_0": ("q_proj",), "linear_1": ("k_proj", "v_proj"), "linear_2": ("out_proj",)}
_FEED_FORWARD = {"linear_0": ("fc1",), "linear_1": ("fc2",)}


def read_arrays(path: Path) -> dict[str, Array]:
    """All arrays of a model.bin by their names, as they are stored. Raises ValueError for another format."""

    def number(file: BinaryIO, code: str) -> int:
        return int(struct.unpack(f"<{code}", file.read(struct.calcsize(code)))[0])

    def name(file: BinaryIO) -> str:
        return file.read(number(file, "H"))[:-1].decode()  # ends with a zero

    arrays: dict[str, Array] = {}
    with path.open("rb") as file:
        version, kind = number(file, "I"), name(file)
        if version != _FORMAT_VERSION or kind != "WhisperSpec":
            raise ValueError(f"{path}: is a {kind} of format {version}, not a Whisper of format {_FORMAT_VERSION}")
        number(file, "I")  # revision of the model's kind
        for _ in range(number(file, "I")):
            key = name(file)
            shape = [number(file, "I") for _ in range(number(file, "B"))]
            type_number, size = number(file, "B"), number(file, "I")
            if type_number not in _TYPES:
                raise ValueError(f"{path}: {key} is of type {type_number}, which is not read here")
            arrays[key] = np.frombuffer(file.read(size), _TYPES[type_number]).reshape(shape)
        # Equal arrays are stored once.
        for _ in range(number(file, "I")):
            alias, stored = name(file), name(file)
            arrays[alias] = arrays[stored]
    return arrays


def dequantised(arrays: dict[str, Array], name: str) -> NDArray[np.float32]:
    """A weight as float32. CTranslate2 multiplies rows by their scales before it rounds them."""
    stored = arrays[name].astype(np.float32)
    scale = arrays.get(f"{name}_scale")
    if scale is None:
        return stored
    return np.asarray(stored / scale.astype(np.float32).reshape(-1, *[1] * (stored.ndim - 1)), np.float32)


def weights_of(arrays: dict[str, Array]) -> dict[str, NDArray[np.float32]]:
    """Transformers' names and float32 arrays; Whisper's keys have no bias, and get none."""
    made: dict[str, NDArray[np.float32]] = {
        "model.decoder.embed_tokens.weight": dequantised(arrays, "decoder/embeddings/weight")
    }

    def norm(source: str, target: str) -> None:
        made[f"{target}.weight"] = dequantised(arrays, f"{source}/gamma")
        made[f"{target}.bias"] = dequantised(arrays, f"{source}/beta")

    def linears(source: str, target: str, parts: dict[str, tuple[str, ...]]) -> None:
        for joined, names in parts.items():
            weights = np.split(dequantised(arrays, f"{source}/{joined}/weight"), len(names))
            biases = np.split(dequantised(arrays, f"{source}/{joined}/bias"), len(names))
            for name, weight, bias in zip(names, weights, biases, strict=True):
                made[f"{target}.{name}.weight"] = weight
                if name != "k_proj":
                    made[f"{target}.{name}.bias"] = bias

    for side in ("encoder", "decoder"):
        norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        made[f"model.{side}.embed_positions.weight"] = dequantised(arrays, f"{side}/position_encodings/encodings")
        for layer in range(layers_of(arrays, side)):
            source, target = f"{side}/layer_{layer}", f"model.{side}.layers.{layer}"
            norm(f"{source}/self_attention/layer_norm", f"{target}.self_attn_layer_norm")
            linears(f"{source}/self_attention", f"{target}.self_attn", _SELF_ATTENTION)
            if side == "decoder":
                norm(f"{source}/attention/layer_norm", f"{target}.encoder_attn_layer_norm")
                linears(f"{source}/attention", f"{target}.encoder_attn", _CROSS_ATTENTION)
            norm(f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")
            linears(f"{source}/ffn", target, _FEED_FORWARD)
    for name in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            made[f"model.encoder.{name}.{kind}"] = dequantised(arrays, f"encoder/{name}/{kind}")
    return made


def layers_of(arrays: dict[str, Array], side: str) -> int:
    return sum(f"{side}/layer_{number}/ffn/linear_0/weight" in arrays for number in range(len(arrays)))


def restore(folder: Path, output: Path) -> None:
    """Write OUTPUT, float32, from a CTranslate2 folder. Raises ValueError where a weight is missing or is too much."""
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration, WhisperTokenizerFast

    arrays = read_arrays(folder / "model.bin")
    specials = {
        token["content"]: token["id"]
        for token in json.loads((folder / "tokenizer.json").read_text("utf-8"))["added_tokens"]
    }
    end, start = specials["<|endoftext|>"], specials["<|startoftranscript|>"]
    vocabulary, width = arrays["decoder/embeddings/weight"].shape
    config = WhisperConfig(
        vocab_size=vocabulary,
        d_model=width,
        num_mel_bins=arrays["encoder/conv1/weight"].shape[1],
        encoder_layers=layers_of(arrays, "encoder"),
        decoder_layers=layers_of(arrays, "decoder"),
        encoder_attention_heads=int(arrays["encoder/num_heads"]),
        decoder_attention_heads=int(arrays["decoder/num_heads"]),
        encoder_ffn_dim=arrays["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        decoder_ffn_dim=arrays["decoder/layer_0/ffn/linear_0/weight"].shape[0],
        max_source_positions=arrays["encoder/position_encodings/encodings"].shape[0],
        max_target_positions=arrays["decoder/position_encodings/encodings"].shape[0],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    whisper = WhisperForConditionalGeneration(config)
    weights = {name: torch.from_numpy(value.copy()) for name, value in weights_of(arrays).items()}
    missing, unplaced = whisper.load_state_dict(weights, strict=False)
    if unplaced or set(missing) - {"proj_out.weight"}:  # which is the embeddings
        raise ValueError(f"{folder}: lacks {missing}, has no place for {unplaced}")
    whisper.tie_weights()
    languages = {name: number for name, number in specials.items() if start < number < specials["<|translate|>"]}
    whisper.generation_config = GenerationConfig(
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        is_multilingual=len(languages) > 1,
        lang_to_id=languages,
        alignment_heads=json.loads((folder / "config.json").read_text("utf-8"))["alignment_heads"],
    )
    whisper.save_pretrained(output)
    WhisperTokenizerFast.from_pretrained(folder).save_pretrained(output)
    for name in _COPIED:
        if (folder / name).is_file():
            shutil.copy(folder / name, output / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct2", type=Path, required=True, help="the CTranslate2 folder")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    restore(options.ct2, options.output)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
