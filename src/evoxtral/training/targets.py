"""Names of the modules that adapters are put on, as regular expressions that whole names match."""

from typing import Final

from evoxtral.training.recipe import Lora

_WHISPER_DECODER: Final = r"model\.decoder\.layers\.\d+\.((self|encoder)_attn\.(q|k|v|out)_proj|fc[12])"
_WHISPER_ENCODER: Final = r"model\.encoder\.layers\.\d+\.(self_attn\.(q|k|v|out)_proj|fc[12])"
# Without "language_model" the attention projections of the audio tower, which have the same names, would match too.
_VOXTRAL: Final = (
    r".*language_model\.(model\.)?layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
    r"|.*multi_modal_projector\.linear_[12]"
)


def lora_targets(family: str, lora: Lora) -> str:
    """The linear layers of the language model and the projector; for Whisper, of the decoder and maybe the encoder."""
    if family == "voxtral":
        return _VOXTRAL
    return f"{_WHISPER_DECODER}|{_WHISPER_ENCODER}" if lora.adapt_encoder else _WHISPER_DECODER
