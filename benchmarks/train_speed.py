"""Speed of LoRA fine-tuning at the exact shape of Voxtral-Mini-3B, with random weights, against a plain script.

    python benchmarks/train_speed.py --output benchmarks/results/train_speed.json

Needs one GPU with 80 GB (24 GB for `--only fits_24_gb`), torch, transformers, peft, accelerate and pydantic; no weights
and no tokenizer. Everything runs on the same clips of 30 s, each with 110 target tokens, and LoRA r=64 on the language
model and the projector, one after the other in one process:

    plain         what public scripts do: the processor's features, `model(**batch).loss` with logits everywhere, AdamW
    ours          `SpeechTrainer` as a recipe runs it, from int16 samples, at several batch sizes, compiled or not
    heard         ours in its third and fourth epoch over 128 clips, what the encoder made of them being read from disk
    curves        30 steps of both from the same weights on the same batches, without dropout and noise
    fits_24_gb    checkpointing, with the allocator held to 22 GB
    qlora         checkpointing on a base in 4 bits, loaded as recipes load it, the allocator held to 7.5 GB (with what
                  CUDA itself takes, 8); needs bitsandbytes, and 10 GB in the temporary folder

Steps are timed between device synchronisations, after warm-up (which includes compilation).
"""

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    TrainerCallback,
    TrainingArguments,
    VoxtralConfig,
    VoxtralForConditionalGeneration,
    WhisperFeatureExtractor,
)

from evoxtral.models.families.voxtral import FAMILY, VoxtralModel
from evoxtral.models.four_bit import keep_layout, loading_options
from evoxtral.training.adapters import add_adapter
from evoxtral.training.batches import IGNORED
from evoxtral.training.clips import SAMPLE_RATE_HZ, TrainingClip
from evoxtral.training.objectives import TokenCrossEntropy
from evoxtral.training.packing import WindowPlan
from evoxtral.training.quick_scores import quick_scores
from evoxtral.training.recipe import Lora, Packing
from evoxtral.training.trainee import Trainee
from evoxtral.training.trainer import SpeechTrainer, WallClock

CLIP_S = 30
TARGET_TOKENS = 110
PROMPT = [1, 3, 25, *[24] * 375, 4, 9909, 1058, 1262, 34]  # the transcription request for English
VOCABULARY = 131_072
WARMUP_STEPS, TIMED_STEPS = 5, 10


class Numbers:
    """A tokenizer of texts that are written as token ids: targets of an exact number of tokens need no other."""

    bos_token_id, eos_token_id, pad_token_id = 1, 2, 11

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [int(number) for number in text.split()]


def make_model(full: bool) -> Any:
    """A random model in bfloat16; `full` is the 3B's shape, else a toy of the same classes."""
    audio = {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20}
    text = {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 30, "num_attention_heads": 32}
    text |= {"num_key_value_heads": 8, "head_dim": 128, "vocab_size": VOCABULARY}
    if not full:
        audio = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        text |= {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
        text |= {"num_key_value_heads": 2, "head_dim": 16}
    config = VoxtralConfig(
        audio_config={
            "model_type": "voxtral_encoder",
            "intermediate_size": 4 * audio["hidden_size"],
            "num_mel_bins": 128,
            "max_source_positions": 1500,
            **audio,
        },
        text_config={
            "model_type": "llama",
            "max_position_embeddings": 131_072,
            "rope_theta": 1e8,
            "rms_norm_eps": 1e-5,
            "pad_token_id": 11,
            **text,
        },
        audio_token_id=24,
        projector_hidden_act="gelu",
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(DEVICE):
        model = VoxtralForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    return model


def in_four_bits(model: Any, result: dict[str, Any]) -> Any:
    """The same weights loaded anew, the language model's layers in 4 bits; those of `model` leave the device."""
    with tempfile.TemporaryDirectory() as folder:
        model.cpu().save_pretrained(folder)
        started = wait()
        with memory_measured(result):
            options = loading_options(FAMILY, dtype=torch.bfloat16, device=DEVICE)
            loaded = VoxtralForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16, **options)
        result["loading_s"] = round(wait() - started, 1)
    keep_layout(loaded)
    return loaded


def hold_memory(limit_gb: float) -> None:
    if DEVICE == "cuda":
        torch.cuda.set_per_process_memory_fraction(limit_gb * 1e9 / torch.cuda.get_device_properties(0).total_memory)


def make_clips(count: int) -> list[TrainingClip]:
    random = np.random.default_rng(0)
    clips = []
    for number in range(count):
        noise = random.standard_normal(CLIP_S * SAMPLE_RATE_HZ)
        tokens = random.integers(1000, VOCABULARY, TARGET_TOKENS)
        text = " ".join(str(token) for token in tokens)
        clips.append(TrainingClip(str(number), text, (noise * 3000).clip(-32768, 32767).astype(np.int16)))
    return clips


def wait() -> float:
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def memory_measured(result: dict[str, Any]) -> Iterator[None]:
    """Note the peak of allocated memory, and turn running out of it into a result."""
    gc.collect()
    if DEVICE == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        yield
    except torch.OutOfMemoryError:
        result["out_of_memory"] = True
    if DEVICE == "cuda":
        result["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)


def speed(result: dict[str, Any], batch: int, seconds: float, steps: int) -> None:
    result["step_s"] = round(seconds / steps, 4)
    result["audio_s_per_s"] = round(batch * CLIP_S * steps / seconds, 1)


def plain(
    model: Any, clips: list[TrainingClip], batch: int, *, checkpointing: bool, dropout: float, steps: int, warmup: int
) -> dict[str, Any]:
    """The plain script. Its features are made beforehand and not timed, which favours it."""
    result: dict[str, Any] = {"batch": batch, "checkpointing": checkpointing}
    extractor = WhisperFeatureExtractor(feature_size=128)
    batches = []
    for start in range(0, min(len(clips), batch * (steps + warmup)), batch):
        chosen = clips[start : start + batch]
        targets = [[*map(int, clip.text.split()), 2] for clip in chosen]
        audio = [clip.samples.astype(np.float32) / 32767 for clip in chosen]
        batches.append(
            {
                "input_ids": torch.tensor([PROMPT + target for target in targets]),
                "attention_mask": torch.ones(len(chosen), len(PROMPT) + len(targets[0]), dtype=torch.long),
                "labels": torch.tensor([[IGNORED] * len(PROMPT) + target for target in targets]),
                "input_features": extractor(audio, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_features,
            }
        )
    torch.manual_seed(1)
    adapted = get_peft_model(
        model, LoraConfig(r=64, lora_alpha=128, lora_dropout=dropout, target_modules=FAMILY.lora_targets)
    )
    if checkpointing:
        adapted.gradient_checkpointing_enable({"use_reentrant": False})
    adapted.train()
    optimizer = torch.optim.AdamW(
        [p for p in adapted.parameters() if p.requires_grad], lr=LEARNING_RATE, weight_decay=0
    )
    losses = []
    with memory_measured(result):
        for step in range(warmup + steps):
            if step == warmup:
                started = wait()
            inputs = {name: value.to(DEVICE) for name, value in batches[step % len(batches)].items()}
            with torch.autocast(DEVICE, dtype=torch.bfloat16):
                loss = adapted(**inputs).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(adapted.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        speed(result, batch, wait() - started, steps)
    result["losses"] = [round(loss.item(), 4) for loss in losses]
    optimizer.zero_grad()
    adapted.unload()
    model.gradient_checkpointing_disable()
    return result


class Timer(TrainerCallback):
    """Takes the time after the warm-up and after each later step, and the loss of every step."""

    def __init__(self, warmup: int) -> None:
        self.warmup = warmup
        self.started = self.ended = 0.0
        self.losses: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.warmup:
            self.started = wait()
        if state.global_step == state.max_steps:
            self.ended = wait()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(round(logs["loss"], 4))


def ours(
    model: Any,
    clips: list[TrainingClip],
    batch: int,
    *,
    compiled: bool,
    checkpointing: bool = False,
    dropout: float = 0.05,
    neftune: float = 5.0,
    steps: int = TIMED_STEPS,
    warmup: int = WARMUP_STEPS,
    every_loss: bool = False,
    keep_heard: bool = False,
) -> dict[str, Any]:
    """The library's own trainer, as a recipe sets it up."""
    result: dict[str, Any] = {"batch": batch, "compiled": compiled, "checkpointing": checkpointing}
    if keep_heard:
        result["kept"] = True
    processor = SimpleNamespace(
        tokenizer=Numbers(),
        feature_extractor=WhisperFeatureExtractor(feature_size=128),
        apply_transcription_request=lambda **request: {"input_ids": torch.tensor([PROMPT])},
    )
    trainee = Trainee(VoxtralModel("random", model=model, processor=processor))
    torch.manual_seed(1)
    adapted = add_adapter(trainee, Lora(dropout=dropout))
    if checkpointing:
        trainee.checkpoint_activations()
    if compiled:
        trainee.compile()
    plan = WindowPlan(clips, Packing(), seed=0, epochs=None, max_windows=batch * (warmup + steps))
    if every_loss:
        plan._members = [(index % len(clips),) for index in range(len(plan))]  # the plain script's order
    timer = Timer(warmup)
    with tempfile.TemporaryDirectory() as folder, memory_measured(result):
        if keep_heard:
            trainee.keep_heard(Path(folder) / "heard")
        trainer = SpeechTrainer(
            model=adapted,
            args=TrainingArguments(
                output_dir=folder,
                max_steps=warmup + steps,
                per_device_train_batch_size=batch,
                learning_rate=LEARNING_RATE,
                optim="adamw_torch_fused",
                neftune_noise_alpha=neftune or None,
                bf16=True,
                use_cpu=DEVICE == "cpu",
                dataloader_num_workers=4,
                save_strategy="no",
                logging_steps=1 if every_loss else warmup + steps,
                disable_tqdm=True,
                report_to="none",
                remove_unused_columns=False,
                logging_nan_inf_filter=False,
            ),
            trainee=trainee,
            items=plan,
            collate=trainee.collate,
            objective=TokenCrossEntropy(),
            validation=[],
            clock=WallClock(None),
            warmup=0.0,
            augmentation=None,
            scorer=quick_scores,
            max_new_tokens=1,
            callbacks=[timer],
        )
        if every_loss:
            trainer.create_scheduler = constant_rate(trainer)  # type: ignore[method-assign]
        trainer.train()
        speed(result, batch, timer.ended - timer.started, steps)
        result["losses"] = timer.losses
    adapted.zero_grad()
    adapted.unload()
    for module in model.modules():
        module._compiled_call_impl = None
    torch._dynamo.reset()
    model.gradient_checkpointing_disable()
    return result


def constant_rate(trainer: SpeechTrainer) -> Callable[..., Any]:
    def create(num_training_steps: int, optimizer: Any = None) -> Any:
        trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.optimizer, lambda step: 1.0)
        return trainer.lr_scheduler

    return create


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 24], help="batch sizes for ours")
    parser.add_argument("--toy", action="store_true", help="a tiny model, to try the script itself on a CPU")
    options = parser.parse_args()
    parts = options.only or PARTS
    torch.set_float32_matmul_precision("high")
    clips = make_clips(8 if options.toy else 128)
    model = make_model(full=not options.toy)
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu",
        "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    batches = [2] if options.toy else options.batches
    steps, warmup = (1, 1) if options.toy else (TIMED_STEPS, WARMUP_STEPS)

    def note(name: str, result: dict[str, Any]) -> None:
        results.setdefault(name, []).append(result)
        print(name, {key: value for key, value in result.items() if key != "losses"}, flush=True)
        if options.output is not None:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(results, indent=2) + "\n")

    if "plain" in parts:
        for batch, checkpointing in ((2, False),) if options.toy else ((8, False), (16, True)):
            note("plain", plain(model, clips, batch, checkpointing=checkpointing, dropout=0.05, steps=steps, warmup=2))
    if "ours" in parts:
        for batch in batches:
            for compiled in (False, True):
                note("ours", ours(model, clips, batch, compiled=compiled, steps=steps, warmup=warmup))
    if "heard" in parts:
        # The loaders' processes read ahead: in the second epoch they still miss what the first is about to keep.
        two_epochs = 2 * len(clips) // batches[0]
        for compiled in (False,) if options.toy else (False, True):
            for keep in (False, True):
                found = ours(
                    model, clips, batches[0], compiled=compiled, steps=two_epochs, warmup=two_epochs, keep_heard=keep
                )
                note("heard", found)
    if "curves" in parts:
        batch, count = (2, 3) if options.toy else (8, 30)
        few = clips[: 4 * batch]
        once = plain(model, few, batch, checkpointing=False, dropout=0.0, steps=count - 1, warmup=1)
        again = ours(
            model, few, batch, compiled=True, dropout=0.0, neftune=0.0, steps=count - 1, warmup=1, every_loss=True
        )
        gap = max(abs(a - b) / a for a, b in zip(once["losses"], again["losses"], strict=True))
        note("curves", {"plain": once["losses"], "ours": again["losses"], "largest_relative_gap": round(gap, 4)})
    if "fits_24_gb" in parts:
        hold_memory(22)
        for batch in (1, 2, 4):
            note(
                "fits_24_gb", ours(model, clips, batch, compiled=False, checkpointing=True, steps=steps, warmup=warmup)
            )
    if "qlora" in parts:
        loading: dict[str, Any] = {}
        model.cpu()
        hold_memory(7.5)
        model = in_four_bits(model, loading)
        note("qlora_loading", loading)
        for batch in (1, 2) if options.toy else (1, 2, 4, 8):
            note("qlora", ours(model, clips, batch, compiled=False, checkpointing=True, steps=steps, warmup=warmup))


PARTS = ["plain", "ours", "heard", "curves", "fits_24_gb", "qlora"]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LEARNING_RATE = 1e-4

if __name__ == "__main__":
    main()
