"""The preference stage: the model's own samples, paired by a reward, teach it which of them are better.

Samples are drawn from the supervised adapter for clips, best such that it did not learn from, and kept in
`preference/candidates-*.jsonl`, so that a killed run samples no clip twice. Pairs (`preference/pairs.jsonl`) are the
best and worst sample of a clip, where their rewards differ enough. Then one quick pass with ORPO or SimPO over the
pairs, or with plain fine-tuning on the better halves (RAFT, arXiv 2304.06767), anchored to the base as the supervised
stage is. Knows no metric: the reward is given.
"""

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from pydantic import BaseModel, ConfigDict
from transformers import set_seed

from evoxtral.data.files import write_atomically
from evoxtral.data.journal import Journal
from evoxtral.errors import RecipeError
from evoxtral.training.adapters import load_adapter, save_adapter, set_alpha
from evoxtral.training.batches import Batch
from evoxtral.training.clips import TrainingClip, load_clips
from evoxtral.training.fitting import Material, fit
from evoxtral.training.losses import orpo, simpo
from evoxtral.training.objectives import Objective, PairPreference, TokenCrossEntropy
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Optimisation, Preference
from evoxtral.training.run_context import Reward, Run, is_first_process
from evoxtral.training.trainee import Trainee, load_trainee


class Candidates(BaseModel):
    """What the model wrote for one clip at a temperature, and how good each text is; a line of the journal."""

    model_config = ConfigDict(frozen=True)

    clip: str
    temperature: float
    texts: tuple[str, ...]
    rewards: tuple[float, ...]


class Pair(BaseModel):
    """Two texts for one clip, the first better by `margin`; a line of `pairs.jsonl`."""

    model_config = ConfigDict(frozen=True)

    clip: str
    chosen: str
    rejected: str
    margin: float


def make_pairs(candidates: Sequence[Candidates], *, most: int, margin: float, seed: int) -> list[Pair]:
    """The best against the worst text of each clip whose rewards differ by `margin` or more; at most `most`, drawn."""
    pairs = []
    for clip in candidates:
        best, worst = int(np.argmax(clip.rewards)), int(np.argmin(clip.rewards))
        difference = clip.rewards[best] - clip.rewards[worst]
        if difference >= margin and clip.texts[best] != clip.texts[worst]:
            chosen, rejected = clip.texts[best], clip.texts[worst]
            pairs.append(Pair(clip=clip.clip, chosen=chosen, rejected=rejected, margin=difference))
    if len(pairs) > most:
        kept = np.random.default_rng(seed).choice(len(pairs), most, replace=False)
        pairs = [pairs[index] for index in sorted(kept)]
    return pairs


def sample(run: Run, trainee: Trainee, model: Any, clips: Sequence[TrainingClip], reward: Reward, folder: Path) -> None:
    """Draw texts for each clip, in batches; clips that a journal in the folder has are not drawn again.

    Each process of a distributed run has its own clips and its own journal.
    """
    choice = _choice(run)
    known = _drawn(folder, choice)
    journal = Journal(folder / f"candidates-{os.environ.get('RANK', '0')}.jsonl", Candidates)
    device = next(model.parameters()).device
    size = run.recipe.evaluation.batch_size
    precision = torch.bfloat16 if run.recipe.optimisation.precision == "bf16" else torch.float32
    for start in range(0, len(clips), size):
        batch = [clip for clip in clips[start : start + size] if clip.id not in known]
        if not batch:
            continue
        # What a clip gets depends on its place, not on when the run was killed.
        torch.manual_seed(run.recipe.seed + start)
        inputs = trainee.collate([Window(clip.samples, clip.text) for clip in batch])
        on_device = {name: value.to(device) if torch.is_tensor(value) else value for name, value in inputs.items()}
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            on_device = trainee.heard_once(on_device)
        texts: list[list[str]] = [[] for _ in batch]
        for _ in range(choice.candidates):
            with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
                written = trainee.transcribe(
                    model, on_device, run.recipe.evaluation.max_new_tokens, temperature=choice.temperature
                )
            for row, text in zip(texts, written, strict=True):
                row.append(text)
        journal.append(
            Candidates(
                clip=clip.id,
                temperature=choice.temperature,
                texts=tuple(row),
                rewards=tuple(reward(clip.text, text) for text in row),
            )
            for clip, row in zip(batch, texts, strict=True)
        )
        run.report(f"preference: sampled {min(start + size, len(clips))} of {len(clips)} clips")


def read_candidates(folder: Path, choice: Preference, clips: Sequence[TrainingClip]) -> list[Candidates]:
    """What was drawn for the clips as the recipe wants it, in their order."""
    drawn = _drawn(folder, choice)
    return [drawn[clip.id] for clip in clips]


def train_preference(run: Run) -> dict[str, Any]:
    """The stage. Skipped, with the reason in its metrics, where the supervised model's tag F1 is good enough."""
    recipe, choice = run.recipe, _choice(run)
    if choice.if_tag_f1_below is not None:
        validation_f1 = run.metrics("sft").get("validation", {}).get("tag_f1")
        tag_f1 = run.metrics("bench").get("tags.f1", validation_f1)
        if tag_f1 is None:
            raise RecipeError(
                "the preference stage depends on a tag F1 that was not measured",
                "name data.validation or bench, or set preference.if_tag_f1_below to null to run it in any case",
            )
        if tag_f1 >= choice.if_tag_f1_below:
            run.report(f"preference: not needed, tag F1 is {tag_f1:.3f}")
            return {"steps": 0, "skipped": f"tag F1 {tag_f1:.3f} is not below {choice.if_tag_f1_below:g}"}
    if run.reward is None:
        raise RecipeError("the preference stage needs a reward", "run it through `evoxtral train`")
    folder = recipe.output / "preference"
    folder.mkdir(parents=True, exist_ok=True)
    trainee = load_trainee(recipe)
    clips, _ = load_clips(choice.sources or recipe.data.train, max_clip_s=trainee.max_window_s)
    random = np.random.default_rng(recipe.seed)
    if len(clips) > choice.clips:
        clips = [clips[index] for index in sorted(random.choice(len(clips), choice.clips, replace=False))]
    by_id = {clip.id: clip for clip in clips}
    if recipe.optimisation.checkpointing:
        trainee.checkpoint_activations()
    set_seed(recipe.seed)
    model = load_adapter(trainee, run.sft_adapter, trainable=True)
    # What is sampled from and trained is the model as it would be released, and nothing scales it afterwards.
    set_alpha(model, recipe.lora.released_alpha)
    _without_dropout(model)
    state = PartialState(cpu=not torch.cuda.is_available())
    model.to(state.device).eval()
    sample(run, trainee, model.get_base_model(), clips[state.process_index :: state.num_processes], run.reward, folder)
    state.wait_for_everyone()
    candidates = read_candidates(folder, choice, clips)
    pairs = make_pairs(candidates, most=choice.pairs, margin=choice.margin, seed=recipe.seed)
    if not pairs:
        raise RecipeError("no clip has two samples that differ enough", "lower preference.margin or raise temperature")
    written = "".join(pair.model_dump_json() + "\n" for pair in pairs).encode()
    if is_first_process():
        write_atomically(folder / "pairs.jsonl", written)
    run.report(f"preference: {len(pairs)} pairs of {len(clips)} clips, {choice.method}")
    items, collate, objective = _task(choice, trainee, pairs, by_id, recipe.optimisation.anchor)
    order = [index for _ in range(choice.epochs) for index in random.permutation(len(items))]
    validation: list[Window] = []
    if recipe.data.validation:
        heard, _ = load_clips(recipe.data.validation, max_clip_s=trainee.max_window_s)
        validation = [Window(clip.samples, clip.text) for clip in heard]
    material = Material([items[index] for index in order], collate, validation)
    # A pass over other pairs or with other settings is another pass, and is not continued from this one's checkpoints.
    digest = hashlib.sha256(choice.model_dump_json().encode() + written).hexdigest()[:8]
    metrics = fit(run, trainee, model, material, objective, _optimisation(run), folder / f"checkpoints-{digest}")
    metrics.pop("predictions", None)
    metrics |= {"pairs": len(pairs), "mean_margin": float(np.mean([pair.margin for pair in pairs]))}
    if is_first_process():
        save_adapter(model, recipe.base, run.preference_adapter)
    return metrics


def _choice(run: Run) -> Preference:
    assert run.recipe.preference is not None
    return run.recipe.preference


def _optimisation(run: Run) -> Optimisation:
    choice = _choice(run)
    return run.recipe.optimisation.model_copy(
        update={
            "learning_rate": choice.learning_rate,
            "batch_size": choice.batch_size,
            "accumulation": choice.accumulation,
            "max_minutes": None,
            "neftune_alpha": 0.0,
        }
    )


def _task(
    choice: Preference, trainee: Trainee, pairs: Sequence[Pair], clips: dict[str, TrainingClip], anchor: float
) -> tuple[list[Any], Any, Objective]:
    if choice.method == "raft":
        better = [Window(clips[pair.clip].samples, pair.chosen) for pair in pairs]
        return better, trainee.collate, TokenCrossEntropy(anchor)
    windows = [
        (Window(clips[pair.clip].samples, pair.chosen), Window(clips[pair.clip].samples, pair.rejected))
        for pair in pairs
    ]
    if choice.method == "orpo":
        loss = partial(orpo, weight=choice.weight)
    else:
        loss = partial(simpo, beta=choice.beta, margin=choice.gamma, sft_weight=choice.sft_weight)
    return windows, partial(_collate_pairs, trainee), PairPreference(loss)


def _collate_pairs(trainee: Trainee, pairs: Sequence[tuple[Window, Window]]) -> Batch:
    """One batch whose first half of rows is chosen and whose second half is rejected, in the same order."""
    return trainee.collate([pair[0] for pair in pairs] + [pair[1] for pair in pairs], repeats=2)


def _without_dropout(model: Any) -> None:
    """The two texts of a pair differ in few tokens: different units dropped for each would drown the difference."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def _drawn(folder: Path, choice: Preference) -> dict[str, Candidates]:
    """What all journals hold that was drawn as the recipe wants it, by clip."""
    journals = [Journal(path, Candidates) for path in sorted(folder.glob("candidates-*.jsonl"))]
    return {
        found.clip: found
        for journal in journals
        for found in journal.read()
        if found.temperature == choice.temperature and len(found.texts) == choice.candidates
    }
