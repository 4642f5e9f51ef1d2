"""Frozen weights in 4 bits, as QLoRA has them (arXiv 2305.14314): NF4 in blocks of 64, their scales in 8 bits.

Knows bitsandbytes through transformers; nothing of adapters and training.
"""

from typing import Any, Final

from evoxtral.errors import ModelError
from evoxtral.findings import is_importable
from evoxtral.models.families.protocol import Family

# Four bits, a scale of 8 bits for each 64 weights, and one of 32 bits for each 256 of those.
BYTES_A_WEIGHT: Final = 0.5 + 1 / 64 + 4 / (64 * 256)


def in_four_bits(family: Family, module: str) -> bool:
    """Whether a linear layer of this name has its weights in 4 bits where a model of the family is loaded so."""
    kept = family.kept_whole
    return kept is not None and not any(module == name or module.startswith(f"{name}.") for name in kept)


def check_four_bit(family: Family) -> None:
    """Whether a model of the family can be loaded so here.

    Raises:
        ModelError: bitsandbytes is missing, or the family is not loaded so.
    """
    if family.kept_whole is None:
        raise ModelError(f"{family.title} models are not loaded in 4 bits")
    if not is_importable("bitsandbytes"):
        raise ModelError("weights in 4 bits need bitsandbytes", "pip install 'evoxtral[train]'")


def loading_options(family: Family, *, dtype: Any, device: Any) -> dict[str, Any]:
    """What `from_pretrained` is told, so that weights are quantised as they are loaded, straight onto a device.

    Args:
        dtype: of the arithmetic, and of the weights that stay whole.

    Raises:
        ModelError: see `check_four_bit`.
    """
    check_four_bit(family)
    assert family.kept_whole is not None
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(family.kept_whole),  # of 4 bits too, whatever its name says
    )
    return {"quantization_config": config, "device_map": {"": device}}


def keep_layout(model: Any) -> None:
    """Keep 4-bit weights as they are on processors with AVX-512 BF16.

    To generate there, bitsandbytes packs them anew, with rounded scales, and in a layout that cannot be trained on.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
