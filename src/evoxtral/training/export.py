"""Merged weights to a CTranslate2 folder, complete for faster-whisper and for `evoxtral transcribe`.

Knows the converter and its file formats; nothing of training.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evoxtral.data.files import written_whole
from evoxtral.errors import ModelError
from evoxtral.models.families.whisper import language_tokens

_COPIED = ("tokenizer.json", "preprocessor_config.json")


def export_ctranslate2(
    merged: Path, folder: Path, *, heads: Sequence[tuple[int, int]] | None, quantization: str
) -> None:
    """Convert a merged checkpoint.

    No token is suppressed in the result: Whisper's own list forbids brackets, without which no tag can be written,
    and its list for the first token forbids the empty text that silence must get.

    Args:
        merged: folder in Hugging Face format, with tokenizer.json and preprocessor_config.json.
        heads: cross-attention heads, as (layer, head), whose attention follows the words in time; None, or heads that
            the checkpoint's decoder does not have: the converter's default, the upper half of the layers.
        quantization: a CTranslate2 compute type, such as "int8".

    Raises:
        ModelError: the converter is not installed, or refuses the checkpoint.
    """
    try:
        from ctranslate2.converters import TransformersConverter
    except ImportError:
        raise ModelError("the export needs CTranslate2", "pip install ctranslate2") from None
    with written_whole(folder) as unfinished:
        converter = TransformersConverter(str(merged), copy_files=list(_COPIED))
        try:
            converter.convert(str(unfinished), quantization=quantization, force=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"{merged}: cannot be converted: {' '.join(str(error).split())}") from error
        path = unfinished / "config.json"
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        config["suppress_ids"] = []
        config["suppress_ids_begin"] = []
        config["lang_ids"] = _languages(unfinished / "tokenizer.json")
        if heads is not None and _has_heads(merged, heads):
            config["alignment_heads"] = [list(head) for head in heads]
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _has_heads(merged: Path, heads: Sequence[tuple[int, int]]) -> bool:
    """Whether the decoder has all of these heads: CTranslate2 reads beyond its memory where one is missing."""
    shape: dict[str, Any] = json.loads((merged / "config.json").read_text("utf-8"))
    layers, of_layer = shape["decoder_layers"], shape["decoder_attention_heads"]
    return all(layer < layers and head < of_layer for layer, head in heads)


def _languages(tokenizer: Path) -> list[int]:
    tokens = {token["content"]: token["id"] for token in json.loads(tokenizer.read_text("utf-8"))["added_tokens"]}
    return sorted(language_tokens(tokens).values())
