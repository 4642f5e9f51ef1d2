"""The training recipe: one YAML file that describes a whole run, checked before anything is loaded.

Knows fields, defaults and limits; imports no torch and knows nothing of how a run is carried out. Paths in a recipe
are relative to the directory that the command is run in.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evoxtral.data.yaml_files import read_yaml
from evoxtral.errors import ModelError, RecipeError
from evoxtral.models import without_credentials
from evoxtral.models.families.registry import find_family

Probability = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Section):
    """Where clips come from.

    Attributes:
        path: a corpus folder (with `clips.jsonl`), a dataset folder written by `datasets`, or a dataset's hub id.
        split: the clips' split to take; "all" takes every clip.
        dataset: hub id under which its recordings are published, for the model card.
        repeat: how often an epoch visits each clip; a fraction visits that share of them, drawn anew each epoch.
        limit: take at most so many clips, evenly spread over the source.
    """

    path: str
    split: str = "train"
    dataset: str | None = None
    repeat: float = Field(default=1.0, gt=0)
    limit: int | None = Field(default=None, ge=1)


class Data(_Section):
    """Clips to learn from and clips to watch the learning by.

    Attributes:
        made_by: the command that makes the folders named here, shown where one is missing. With it, a folder that is
            not there is not taken for a dataset's hub id.
    """

    made_by: str | None = None
    train: tuple[Source, ...] = Field(min_length=1)
    validation: tuple[Source, ...] = ()


class Lora(_Section):
    """Low-rank adapters (arXiv 2106.09685).

    Attributes:
        four_bit_base: keep the large layers of the frozen base in 4 bits (QLoRA, arXiv 2305.14314), where the family
            allows it (Voxtral). The adapter is then merged into the base in full precision.
        adapt_encoder: also adapt the audio encoder, where the family allows it (Whisper).
        merged_at: share of the adapter's delta that is kept once the supervised stage is over: saved adapters, the
            last scores on the validation clips, the bench, the preference stage and merged weights all have it. Below 1
            the weights lie between the base's and the adapted ones, which gives back some of what the base could do
            and costs some of what was learned (arXiv 2109.01903).
    """

    rank: int = Field(default=64, ge=1)
    alpha: float = Field(default=128, gt=0)
    dropout: Probability = 0.05
    four_bit_base: bool = False
    adapt_encoder: bool = False
    merged_at: float = Field(default=1.0, gt=0, le=1)

    @property
    def released_alpha(self) -> float:
        """The alpha that comes to the same as `merged_at` of the deltas."""
        return self.alpha * self.merged_at


class Optimisation(_Section):
    """How the weights move. The shortest of `epochs`, `max_steps` and `max_minutes` ends the run.

    Attributes:
        batch_size: windows in one forward pass of one device.
        accumulation: forward passes in one step.
        max_minutes: wall-clock budget of the stage; the cosine schedule ends with it.
        warmup: share of the run in which the learning rate rises.
        neftune_alpha: noise on token embeddings (arXiv 2310.05914); 0 for none.
        anchor: weight of the divergence from the base model's predictions on windows without tags, which keeps plain
            speech what it was (arXiv 1606.09282); 0 for none.
        precision: "bf16" is autocast over float32 weights (Whisper), and bf16 weights of the frozen base (Voxtral).
        checkpointing: recompute activations in the backward pass, to save memory.
        workers: data loader processes on each device; None takes what the machine has, up to 8.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    batch_size: int = Field(default=8, ge=1)
    accumulation: int = Field(default=1, ge=1)
    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    warmup: Probability = 0.05
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    neftune_alpha: float = Field(default=5.0, ge=0)
    anchor: float = Field(default=0.0, ge=0)
    precision: Literal["bf16", "float32"] = "bf16"
    checkpointing: bool = False
    compile: bool = False
    workers: int | None = Field(default=None, ge=0)


class Packing(_Section):
    """How clips become training windows.

    Attributes:
        probability: share of windows that hold several clips, up to the family's window length.
        empty: share of extra windows that hold silence or noise only, with the empty text.
    """

    probability: Probability = 0.0
    empty: Probability = 0.0


class Augmentation(_Section):
    """Probabilities with which a window (or, for `speed`, a clip) is changed; ranges are in `augment.py`."""

    gain: Probability = 0.0
    noise: Probability = 0.0
    band_limit: Probability = 0.0
    reverb: Probability = 0.0
    speed: Probability = 0.0


class Evaluation(_Section):
    """Transcription of the validation clips during the run; also at its end."""

    every_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=32, ge=1)
    max_new_tokens: int = Field(default=200, ge=1)
    samples: int = Field(default=8, ge=0)


class Checkpoints(_Section):
    every_steps: int = Field(default=500, ge=1)
    keep: int = Field(default=2, ge=1)


class Bench(_Section):
    """Evoxtral-Bench after each stage that trains. `testset` is a benchmark set's folder; None: the one that ships."""

    testset: Path | None = None


class Preference(_Section):
    """A quick pass on the model's own samples, after the supervised stage.

    Attributes:
        method: "orpo" (arXiv 2403.07691), "simpo" (arXiv 2405.14734) or "raft" (arXiv 2304.06767).
        if_tag_f1_below: run only where the supervised model's tag F1 is lower, in the bench if the recipe has one, else
            on the validation clips; None: always.
        sources: where its clips come from; () is all that the supervised stage learned from. Clips that were held back
            from it teach more: of others a good model knows the texts by heart.
        clips: at most so many of them are drawn to sample for; `candidates` samples of each, at `temperature`. At 0.7
            the edge model's samples differ in their tags and hardly in their words; at 1.0 in both.
        pairs: at most so many, each of two samples of one clip whose rewards differ by `margin` or more.
        weight: lambda of ORPO; `beta` and `gamma` are SimPO's. Speech leaves little doubt: the texts of the edge
            model's pairs differ by 0.1 nats a token, which is what `gamma / beta` asks for.
        sft_weight: of the better text's negative log-likelihood beside SimPO.
        batch_size: pairs in one forward pass.
    """

    method: Literal["orpo", "simpo", "raft"] = "orpo"
    if_tag_f1_below: Probability | None = 0.6
    sources: tuple[Source, ...] = ()
    clips: int = Field(default=800, ge=1)
    candidates: int = Field(default=6, ge=2)
    temperature: float = Field(default=0.7, gt=0)
    pairs: int = Field(default=400, ge=1)
    margin: float = Field(default=0.1, gt=0)
    weight: float = Field(default=0.1, gt=0)
    beta: float = Field(default=10.0, gt=0)
    gamma: float = Field(default=1.0, ge=0)
    sft_weight: float = Field(default=0.0, ge=0)
    learning_rate: float = Field(default=5e-6, gt=0)
    batch_size: int = Field(default=4, ge=1)
    accumulation: int = Field(default=1, ge=1)
    epochs: int = Field(default=1, ge=1)


class Export(_Section):
    """What is made of the merged weights: a CTranslate2 model, where it has a converter for the family (Whisper)."""

    quantization: Literal["int8", "int8_float16", "float16", "float32"] = "int8"


class Recipe(_Section):
    """A whole run.

    Attributes:
        family: name of a module in `evoxtral.models.families`, such as "voxtral" or "whisper".
        base: hub id of the pretrained model; recorded in the adapter.
        base_folder: a local copy of it to load instead of the hub's.
        license: of the weights that come out, as the hub names licences; for the model card.
        output: folder of everything that the run writes.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    family: str
    base: str
    base_folder: Path | None = None
    language: str | None = "en"
    license: str | None = None
    output: Path
    seed: int = 0
    data: Data
    lora: Lora = Lora()
    optimisation: Optimisation = Optimisation()
    packing: Packing = Packing()
    augmentation: Augmentation = Augmentation()
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()
    bench: Bench | None = None
    preference: Preference | None = None
    export: Export | None = None
    tracker: Literal["none", "tensorboard", "wandb"] = "none"

    @model_validator(mode="after")
    def _fits_family(self) -> "Recipe":
        try:
            family = find_family(self.family)
        except ModelError as error:
            raise ValueError(str(error)) from error
        if self.preference is not None and family.writes_frames:
            raise ValueError(f"preference: samples of {family.title} models have no times; leave the section out")
        if self.lora.adapt_encoder and family.encoder_lora_targets is None:
            raise ValueError(f"lora.adapt_encoder: the audio encoder of {family.title} stays frozen")
        if self.lora.four_bit_base and family.kept_whole is None:
            raise ValueError(f"lora.four_bit_base: the base of {family.title} stays whole")
        if self.export is not None and not family.to_ctranslate2:
            raise ValueError(
                f"export: CTranslate2 knows no {family.title}; leave the section out, and use `evoxtral hub export`"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _holds_no_password(cls, content: Any) -> Any:
        """What a recipe says is recorded beside its weights and shown in their cards."""
        for field, value in _texts(content):
            if without_credentials(value) != value:
                raise ValueError(f"{field} holds a user name or password: recipes are published; leave it out")
        return content

    @property
    def base_source(self) -> str:
        """What `from_pretrained` is given."""
        return self.base if self.base_folder is None else str(self.base_folder)


def _texts(content: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a recipe, each with the dotted name of its field."""
    if isinstance(content, str):
        yield field, content
    elif isinstance(content, dict | list | tuple):
        for name, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _texts(value, f"{field}.{name}" if field else str(name))


def load_recipe(path: str | Path, changes: dict[str, Any] | None = None) -> Recipe:
    """Read and check a recipe.

    Args:
        path: the YAML file.
        changes: values to replace, by dotted name, such as {"optimisation.max_steps": 10}.

    Raises:
        RecipeError: the file is missing, is no YAML mapping, or breaks a rule; the message names the first field.
    """
    path = Path(path)
    if not path.exists():
        raise RecipeError(f"{path}: no such recipe", "recipes/ in the repository holds examples")
    content = read_yaml(path, RecipeError)
    for name, value in (changes or {}).items():
        section = content
        *parents, last = name.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise RecipeError(f"{name}: {parent} has no fields in {path}")
        section[last] = value
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise RecipeError(f"{path}: {field}: {first['msg']}") from error
