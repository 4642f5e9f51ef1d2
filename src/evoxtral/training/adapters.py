"""Low-rank adapters: put on a pretrained model, saved with the base's hub id, merged into plain weights.

Knows `peft` and folders; nothing of data or optimisation.
"""

from pathlib import Path
from typing import Any

from evoxtral.data.files import written_whole
from evoxtral.models.checkpoints import attach_adapter
from evoxtral.training.recipe import Lora
from evoxtral.training.trainee import Trainee


def add_adapter(trainee: Trainee, lora: Lora) -> Any:
    """A `PeftModel` around the trainee's model, in which only the adapter's weights (float32) can be trained."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=trainee.speech.family.targets(adapt_encoder=lora.adapt_encoder),
    )
    model = get_peft_model(trainee.model, config)
    _leave_casting_to_autocast(model)
    return model


def save_adapter(model: Any, base: str, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`, the latter naming `base` as what it belongs to."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    with written_whole(folder) as unfinished:
        # Embeddings are never adapted; told so, peft need not ask the hub whether they have grown.
        model.save_pretrained(unfinished, save_embedding_layers=False)
        (unfinished / "README.md").unlink()  # a form to fill in; the card stage writes the real one


def load_adapter(trainee: Trainee, folder: Path, *, trainable: bool = False) -> Any:
    """A `PeftModel` around the trainee's model with saved weights.

    Raises:
        ModelError: the folder holds no adapter, or one that does not fit the model.
    """
    model = attach_adapter(trainee.model, folder, trainable=trainable)
    for config in model.peft_config.values():
        # What really lies under it. The hub id comes back when the adapter is saved for good; until then checkpoints
        # would look for it on the network.
        config.base_model_name_or_path = trainee.model.name_or_path
    _leave_casting_to_autocast(model)
    return model


def set_alpha(model: Any, alpha: float) -> bool:
    """Scale the deltas of a `PeftModel` to `alpha / rank`, also in what is saved of it.

    Returns:
        Whether that is another strength than it had.
    """
    from peft.tuners.lora import LoraLayer

    changed = any(config.lora_alpha != alpha for config in model.peft_config.values())
    for config in model.peft_config.values():
        config.lora_alpha = alpha
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for name, rank in module.r.items():
                module.scaling[name] = alpha / rank
    return changed


def merge_adapter(trainee: Trainee, adapter: Path, folder: Path, *, alpha: float | None = None) -> None:
    """Write the base with the adapter's deltas added, with its processor, in the precision the base is published in.

    Args:
        alpha: strength of the deltas; None: as the adapter was saved.
    """
    from transformers import AutoConfig

    published = AutoConfig.from_pretrained(trainee.model.name_or_path).dtype
    adapted = load_adapter(trainee, adapter)
    if alpha is not None:
        set_alpha(adapted, alpha)
    merged = adapted.merge_and_unload()
    if published is not None:
        merged = merged.to(published)
    with written_whole(folder) as unfinished:
        merged.save_pretrained(unfinished)
        trainee.save_processor(unfinished)


def _leave_casting_to_autocast(model: Any) -> None:
    """Autocast brings inputs and adapter weights together where it is on; casting every input to the adapter's float32
    before that would keep each activation once more, at twice its size.
    """
    for module in model.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False
