"""The one configuration object of a corpus: what `corpus.yaml` holds.

Holds what users choose; the composition that every corpus must reach is fixed (`evoxtral.corpus.composition`).
Knows nothing of the steps that read it. Relative paths only, so that a corpus folder can be moved.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_VOICE_SHARE = 0.20  # no voice speaks more of a corpus (SPEC section 2)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScriptsConfig(_Section):
    """Who writes how many scripts.

    Attributes:
        writer: "grammar" (offline), "openai" (any OpenAI-compatible endpoint) or "anthropic".
        model, base_url: the language model and its endpoint; unused by the grammar.
        api_key_variable: environment variable that holds the endpoint's key; by default OPENAI_API_KEY or
            ANTHROPIC_API_KEY, and none where `base_url` is set.
        max_requests, max_tokens: budget of an LLM run (tokens in and out); it stops, resumable, where the next
            request would, by the mean so far, exceed it.
        concurrency: LLM requests in flight at once.
    """

    count: int = Field(default=1_000, ge=1)
    seed: int = 0
    writer: Literal["grammar", "openai", "anthropic"] = "grammar"
    model: str | None = None
    base_url: str | None = None
    api_key_variable: str | None = None
    max_requests: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=4, ge=1)


class SynthesisConfig(_Section):
    """Who speaks the scripts.

    Attributes:
        engine: a name of the registry of speech engines, which is asked when it is loaded.
        engine_options: keyword arguments of the engine, in every process that loads it.
        voices: names of the voices, used in turn; empty takes all that the engine offers.
        max_voice_share: fewer voices than keep each to this share of the clips are an error.
        takes: how many clips, with different voices, are made of each script.
        seed: with a script's id, decides its voice and what is random about its speech.
        audio_format: "flac" (exact), or "opus" (a fraction of the size).
        workers: processes of the local engine; None takes all cores.
        max_characters: budget of a paid engine for the whole corpus; the run stops, resumable, before it is exceeded.
    """

    engine: str = "local"
    engine_options: dict[str, Any] = Field(default_factory=dict)
    voices: tuple[str, ...] = ()
    max_voice_share: float = Field(default=MAX_VOICE_SHARE, gt=0, le=1)
    takes: int = Field(default=1, ge=1)
    seed: int = 0
    audio_format: Literal["flac", "opus"] = "flac"
    workers: int | None = Field(default=None, ge=1)
    max_characters: int | None = Field(default=None, ge=1)


class ValidationConfig(_Section):
    """When a clip is set aside.

    Attributes:
        listener: model that transcribes each clip back; "none" checks the signal only.
        max_wer: highest word error rate (normalised text) of the listener's transcript.
        workers: threads that read and measure clips beside the listener; None chooses by the cores.
    """

    listener: str = "edge"
    max_wer: float = Field(default=0.5, gt=0)
    workers: int | None = Field(default=None, ge=1)


class DatasetConfig(_Section):
    """How the dataset is divided.

    Attributes:
        validation, test: shares of the scripts, drawn within each slice.
        holdout_voices: voices heard only in the test split; all other voices are then kept out of it.
    """

    validation: float = Field(default=0.1, ge=0, lt=1)
    test: float = Field(default=0.1, ge=0, lt=1)
    seed: int = 0
    holdout_voices: tuple[str, ...] = ()


class CorpusConfig(_Section):
    """Everything a user chooses about a corpus."""

    name: str = "evoxtral-corpus"
    scripts: ScriptsConfig = ScriptsConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    validation: ValidationConfig = ValidationConfig()
    dataset: DatasetConfig = DatasetConfig()
