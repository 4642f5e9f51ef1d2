"""The round trip: texts are spoken again and compared with the recording that they were heard in.

Each clip is spoken in up to four conditions: the hypothesis with its tags, the same words without tags and emphasis
(what tags add is the difference), and two that show what the measures can tell: the reference (the ceiling) and the
reference with wrong tags at random places. Knows speech engines by their protocol, and `resemblance`, which measures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from evoxtral.bench.bootstrap import Difference, Estimate, difference, estimate, resampled
from evoxtral.bench.counts import Counts, Floats, Totals, count_matrix
from evoxtral.bench.formulas import rate
from evoxtral.bench.metrics.metric import Figure
from evoxtral.bench.resemblance import MEASURES, Recording, listen, measure
from evoxtral.bench.testset import TestSet
from evoxtral.data.files import file_stem
from evoxtral.data.journal import Journal
from evoxtral.tags import TAG_TYPES, insert_tags, parse, plain_text, strip_tags
from evoxtral.tts.speech_engine import SpeechEngine

Progress = Callable[[int, int], None]
_RESULTS = "roundtrip.jsonl"


class Condition(StrEnum):
    """What is spoken."""

    TAGGED = "tagged"
    UNTAGGED = "untagged"
    REFERENCE = "reference"
    SHUFFLED = "shuffled"


class SpokenClip(BaseModel):
    """One clip in one condition.

    Attributes:
        id, unit: of the reference (`Reference.unit`).
        text: what was spoken; `engine`, `voice` and `seed` how.
        same_voice: whether the recording has that voice too.
        audio: path of the speech, relative to the file that holds the line; None where it was not kept.
        measures: by name; None where a measure could not be taken.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    unit: str
    condition: Condition
    text: str
    engine: str
    voice: str
    same_voice: bool
    seed: int
    audio: str | None
    measures: dict[str, float | None]


@dataclass(frozen=True)
class RoundTrip:
    """All clips of a round trip with what the measures say about its conditions."""

    clips: tuple[SpokenClip, ...]
    resamples: int = 1000
    seed: int = 0

    @cached_property
    def conditions(self) -> list[Condition]:
        return [condition for condition in Condition if any(clip.condition is condition for clip in self.clips)]

    @cached_property
    def means(self) -> dict[Condition, dict[str, Estimate]]:
        """The mean of each measure over the clips of each condition, with its interval."""
        return {
            condition: {
                name: estimate(_mean(name), self._totals(condition), self._samples(condition))
                for name in self._measures
            }
            for condition in self.conditions
        }

    def gains(self, condition: Condition, baseline: Condition) -> dict[str, Difference]:
        """How much higher the mean of each measure is in one condition than in another, paired by script."""
        samples = self._samples(condition), self._samples(baseline)
        paired = None if samples[0] is None or samples[1] is None else (samples[0], samples[1])
        totals = self._totals(condition), self._totals(baseline)
        return {name: difference(_mean(name), totals, paired) for name in self._measures}

    def to_json(self) -> dict[str, Any]:
        """Plain objects: means by condition, and differences from the untagged speech."""
        others = [condition for condition in self.conditions if condition is not Condition.UNTAGGED]
        has_untagged = Condition.UNTAGGED in self.conditions
        return {
            "clips": len({clip.id for clip in self.clips}),
            "engines": sorted({clip.engine for clip in self.clips}),
            "voices": sorted({clip.voice for clip in self.clips}),
            "same_voice": float(np.mean([clip.same_voice for clip in self.clips])),
            "means": {
                condition: {name: asdict(value) for name, value in means.items()}
                for condition, means in self.means.items()
            },
            "gain_over_untagged": {
                condition: {name: asdict(value) for name, value in self.gains(condition, Condition.UNTAGGED).items()}
                for condition in (others if has_untagged else [])
            },
        }

    @cached_property
    def _measures(self) -> list[str]:
        return [name for name in MEASURES if any(name in clip.measures for clip in self.clips)]

    @cached_property
    def _units(self) -> list[str]:
        return list(dict.fromkeys(clip.unit for clip in self.clips))

    def _counted(self, condition: Condition) -> tuple[dict[str, int], Floats]:
        # Every unit has a row in every condition, so that the draws pair up.
        counts: list[Counts] = [{} for _ in self._units]
        units = list(self._units)
        for clip in self.clips:
            if clip.condition is condition:
                known = {name: value for name, value in clip.measures.items() if value is not None}
                counts.append(
                    {f"sum/{name}": value for name, value in known.items()} | {f"n/{name}": 1 for name in known}
                )
                units.append(clip.unit)
        return count_matrix(counts, units)

    def _totals(self, condition: Condition) -> Totals:
        columns, matrix = self._counted(condition)
        return Totals(columns, matrix.sum(axis=0))

    def _samples(self, condition: Condition) -> Totals | None:
        columns, matrix = self._counted(condition)
        if len(matrix) < 2:
            return None
        return Totals(columns, resampled(matrix, resamples=self.resamples, seed=self.seed))


def _mean(name: str) -> Figure:
    return partial(_mean_of, name=name)


def _mean_of(totals: Totals, name: str) -> Floats:
    return rate(totals[f"sum/{name}"], totals[f"n/{name}"])


def round_trip(
    testset: TestSet,
    hypotheses: Mapping[str, str],
    engine: SpeechEngine,
    folder: Path,
    *,
    voice: str | None = None,
    conditions: Sequence[Condition] = tuple(Condition),
    seed: int = 1,
    on_progress: Progress | None = None,
) -> RoundTrip:
    """Speak the hypotheses of a benchmark set again and compare the speech with the recordings.

    Results are appended to `roundtrip.jsonl` in the folder as they are made and used again, the speech beside them.

    Args:
        hypotheses: tagged texts by id; references without one are left out.
        folder: for the results.
        voice: of the engine; by default each recording's own voice where the engine has it, else the engine's default.
        seed: of the speech; another than the recordings', so that equal texts do not give equal samples.
        on_progress: told how many speeches are done, and how many there are.

    Raises:
        VoiceError: the engine cannot speak; AudioError, ScoreError: a clip cannot be used.
    """
    from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, resample, write_audio

    journal = Journal(folder / _RESULTS, SpokenClip)
    known = {(clip.id, clip.condition): clip for clip in read_round_trip(folder).clips}
    voices = {one.name for one in engine.voices()}
    wrong_tags = _wrong_tags({reference.id: reference.text for reference in testset.references}, seed)
    wanted = [
        (reference, condition)
        for reference in testset.references
        if reference.id in hypotheses
        for condition in conditions
    ]
    clips = []
    original: tuple[str, Recording] | None = None
    for done, (reference, condition) in enumerate(wanted):
        if on_progress is not None:
            on_progress(done, len(wanted))
        text = _text(condition, reference.text, hypotheses[reference.id], wrong_tags[reference.id])
        own = reference.voice if reference.voice in voices else None
        clip = known.get((reference.id, condition))
        if clip is None or not _is_still_right(clip, text, seed, engine.name, voice or own):
            if original is None or original[0] != reference.id:
                original = reference.id, listen(load_audio(testset.audio_path(reference)))
            samples = np.zeros(0, np.float32)
            engine_name, voice_name = engine.name, voice or own or ""
            if parse(text).words or parse(text).tags:
                speech = engine.speak(text, voice=voice or own, seed=seed)
                samples = resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
                engine_name, voice_name = speech.engine, speech.voice
            audio = f"speech/{file_stem(reference.id)}.{condition}.opus" if len(samples) else None
            if audio is not None:
                (folder / "speech").mkdir(parents=True, exist_ok=True)
                write_audio(folder / audio, samples, SAMPLE_RATE_HZ)
            clip = SpokenClip(
                id=reference.id,
                unit=reference.unit,
                condition=condition,
                text=text,
                engine=engine_name,
                voice=voice_name,
                same_voice=voice_name == reference.voice,
                seed=seed,
                audio=audio,
                measures=measure(original[1], samples),
            )
            journal.append([clip])
        clips.append(clip)
    if on_progress is not None:
        on_progress(len(wanted), len(wanted))
    return RoundTrip(tuple(clips))


def read_round_trip(folder: Path) -> RoundTrip:
    """The results that `round_trip` kept in a folder; of a clip and condition the last."""
    clips = Journal(folder / _RESULTS, SpokenClip).read()
    return RoundTrip(tuple({(clip.id, clip.condition): clip for clip in clips}.values()))


def _is_still_right(clip: SpokenClip, text: str, seed: int, engine: str, voice: str | None) -> bool:
    is_same_voice = voice is None or clip.voice == voice
    return (clip.text, clip.seed, clip.engine.partition("/")[0]) == (text, seed, engine) and is_same_voice


def _text(condition: Condition, reference: str, hypothesis: str, wrong_tags: Sequence[tuple[int, str]]) -> str:
    match condition:
        case Condition.TAGGED:
            return hypothesis
        case Condition.UNTAGGED:
            return plain_text(hypothesis)
        case Condition.REFERENCE:
            return reference
        case Condition.SHUFFLED:
            return insert_tags(strip_tags(reference), wrong_tags)


def _wrong_tags(references: Mapping[str, str], seed: int) -> dict[str, list[tuple[int, str]]]:
    """For each text as many tags as it has, each of another semantic group than the one it replaces, anywhere."""
    wrong = {}
    for id, reference in references.items():
        parsed = parse(reference)
        random = Random(f"{seed}:{id}")
        wrong[id] = [
            (
                random.randint(0, len(parsed.words)),
                random.choice([other.name for other in TAG_TYPES if other.group != tag.group]),
            )
            for tag in parsed.tags
        ]
    return wrong
