"""One clip on disk: written whole with its record inside, and found again by a run that starts anew.

Knows audio files and clip records; nothing of which clips are wanted, or who speaks.
"""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from pydantic import ValidationError

from evoxtral.audio import SAMPLE_RATE_HZ, resample, write_audio
from evoxtral.corpus.synthesis.casting import Take
from evoxtral.data.files import whole_file
from evoxtral.data.records import Clip
from evoxtral.errors import AudioError
from evoxtral.tts.speech_engine import Speech

_SUFFIXES = (".flac", ".opus")


def finish_clip(folder: Path, take: Take, speech: Speech, **details: Any) -> Clip:
    """Write what an engine spoke to the take's audio file, whole or not at all, with its record inside.

    Args:
        folder: the corpus folder.
        details: the clip's `details`; the places of words and tags that the engine told are added to them
            (`words`, `tags`, `turns`: lists of [index, start_s, end_s]).

    Raises:
        AudioError: the engine returned no sound, or numbers that are none.
        OSError: the file cannot be written.
    """
    samples = speech.samples
    if not len(samples) or not np.isfinite(samples).all():
        raise AudioError(f"{speech.engine} gave {'samples that are not numbers' if len(samples) else 'no sound'}")
    samples = resample(samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
    for name, places in (("words", speech.words), ("tags", speech.tags), ("turns", speech.turns)):
        if places:
            details[name] = [[place.index, round(place.start_s, 3), round(place.end_s, 3)] for place in places]
    clip = Clip(
        id=take.clip_id,
        script_id=take.script.id,
        tagged_text=take.script.tagged_text,
        turns=take.turns,
        told=take.script.told,
        audio=take.audio,
        duration_s=round(len(samples) / SAMPLE_RATE_HZ, 4),
        voice=take.voice if take.turns else speech.voice,
        engine=speech.engine,
        seed=take.seed,
        slice_type=take.script.slice_type,
        domain=take.script.domain,
        details=details,
    )
    path = folder / take.audio
    with whole_file(path) as file:
        write_audio(file, samples, SAMPLE_RATE_HZ, suffix=path.suffix, comment=clip.model_dump_json())
    return clip


def find_finished(folder: Path, take: Take) -> Clip | None:
    """The clip that a killed run finished for `take` without recording it, or None.

    A file was synced before it came to its name, so it is whole, and its record alone decides.
    """
    for suffix in _SUFFIXES:
        path = (folder / take.audio).with_suffix(suffix)
        if not path.exists():
            continue
        try:
            with soundfile.SoundFile(path) as audio:
                clip = Clip.model_validate_json(audio.comment)
        except (soundfile.LibsndfileError, ValidationError):
            continue  # not from here, or damaged: it is made anew
        if clip.id == take.clip_id and clip.tagged_text == take.script.tagged_text:
            return clip
    return None
