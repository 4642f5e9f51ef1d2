"""From a recording of any length to its transcript: each channel is opened, heard window by window, and joined.

Works in constant memory: a window's sound is gone when its text is known. Knows engines by their protocol only.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, Hole, Recording, open_audio
from evoxtral.errors import AudioError
from evoxtral.inference.channels import channel_label
from evoxtral.inference.chunking import Window
from evoxtral.inference.diarization import Diarizer, EmbeddedDiarizer, load_diarizer, name_known
from evoxtral.inference.engines.protocol import KeywordListener, TranscriptionEngine
from evoxtral.inference.heard_window import HeardWindow
from evoxtral.inference.hearing import hear_windows
from evoxtral.inference.joining import join_windows, split_by_pauses
from evoxtral.inference.language_guard import LanguageGuard, note_doubts
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.progress import ProgressMeter, ProgressReport, progress_of_channel
from evoxtral.inference.second_ear import find_aligner
from evoxtral.inference.transcript import Transcript
from evoxtral.models import HUB_CACHE, ModelStore

# How much of given samples is taken at a time; also how often progress is told while nobody speaks.
_BLOCK_S = 10.0
# Channels that are heard one by one, each as long as the recording; no more voices have a microphone each.
MOST_CHANNELS_APART = 16
_DEFAULTS = TranscribeOptions()

# Opens a recording as `open_audio` does.
OpenRecording = Callable[..., AbstractContextManager[Recording]]


def transcribe(
    source: str | Path | BinaryIO | NDArray[np.float32],
    *,
    engine: TranscriptionEngine | None = None,
    model: str = "edge",
    adapter: str | None = None,
    name: str | None = None,
    options: TranscribeOptions = _DEFAULTS,
    store: ModelStore = HUB_CACHE,
    max_duration_s: float | None = None,
    diarizer: Diarizer | None = None,
    on_progress: ProgressReport | None = None,
    on_text: Callable[[HeardWindow], None] | None = None,
    decode: OpenRecording = open_audio,
    **changes: Any,
) -> Transcript:
    """Transcribe one recording, as in `transcribe("talk.mp3", language="fr", diarize=True)`.

    Args:
        source: path or binary stream of anything that FFmpeg decodes, or mono float32 samples at 16 kHz, shape (n,).
        engine: what transcribes; by default the engine of `model` and `adapter` (see `load_engine`).
        name: how messages and the transcript call the recording; by default its path.
        options: language, times, speakers, sound track.
        store: where models are looked up and fetched to.
        max_duration_s: a longer recording is refused, as soon as that is known.
        diarizer: tells speakers apart, in the place of the one that `options.diarize` loads.
        on_progress: told how far it is now and then.
        on_text: given each window in which something was said, as soon as it is known.
        decode: opens the recording; by default it is decoded in this process.
        changes: fields of `TranscribeOptions` by name, in the place of those of `options`.

    Returns:
        the transcript; an empty one if nobody speaks.

    Raises:
        AudioError: the recording cannot be used; TooLongError: it is too long; ModelError: the engine cannot be loaded.
    """
    options = replace(options, **changes)
    if engine is None:
        from evoxtral.inference.engines.loading import load_engine

        engine = load_engine(model, adapter, store=store)
    aligner = find_aligner(engine)
    if diarizer is None and options.diarize:
        diarizer = load_diarizer(store)
    # Whoever tells speakers apart otherwise knows no voices.
    voices = diarizer if isinstance(diarizer, EmbeddedDiarizer) else EmbeddedDiarizer()
    has_times = options.times or diarizer is not None or options.channels
    languages = LanguageGuard(options.language)
    heard: list[HeardWindow] = []
    notes: list[str] = []
    length_s = 0.0
    channel, channels = 0, 1
    while channel < channels:
        with ExitStack() as stack:
            declared_s: float | None
            holes: Sequence[Hole] = ()
            if isinstance(source, np.ndarray):
                name, declared_s = name or "samples", len(source) / SAMPLE_RATE_HZ
                blocks: Iterable[NDArray[np.float32]] = _blocks_of(source, name)
            else:
                only = channel if options.channels else None
                if channel > 0 and not isinstance(source, (str, Path)):
                    source.seek(0)
                reader = stack.enter_context(decode(source, name=name, track=options.track, channel=only))
                name, declared_s, holes = reader.name, reader.declared_duration_s, reader.holes
                blocks = reader.blocks()
                channels = _channels_of(reader) if options.channels else 1
            meter = ProgressMeter(progress_of_channel(on_progress, channel, channels), declared_s, name, max_duration_s)

            def pass_window(window: Window, meter: ProgressMeter = meter) -> None:
                if diarizer is not None:
                    diarizer.hear(window)
                if options.known_speakers and voices is not diarizer:
                    voices.hear(window)
                meter.pass_window(window)

            for window in hear_windows(
                meter.count(blocks),
                engine,
                aligner,
                language=options.language,
                times=has_times,
                holes=holes,
                languages=languages,
                keywords=options.keywords,
                on_window=pass_window,
            ):
                heard += split_by_pauses(window, channel_label(channel)) if options.channels else [window]
                if on_text is not None:
                    on_text(window)
            meter.finish()
            if not isinstance(source, np.ndarray):
                notes += [note for note in reader.notes if note not in notes]
        length_s = max(length_s, meter.read_s)
        channel += 1
    if options.channels:
        heard.sort(key=lambda piece: piece.start_s)
    if options.keywords and not (isinstance(engine, KeywordListener) and engine.takes_keywords):
        notes.append(f"keywords are not used: {engine.model} takes none")
    turns = [] if diarizer is None else diarizer.turns(options.min_speakers, options.max_speakers)
    if options.known_speakers:
        turns = name_known(turns, voices.pieces, options.known_speakers)
    transcript = join_windows(
        heard, turns, name=name or "", engine=engine, language=options.language, duration_s=length_s
    )
    return replace(
        transcript,
        notes=(*notes, *note_doubts(languages.doubts, options.language)),
        language_probability=languages.probability,
        channels=channels if options.channels else None,
    )


def _blocks_of(samples: NDArray[np.float32], name: str) -> Iterator[NDArray[np.float32]]:
    if samples.ndim != 1 or len(samples) == 0:
        raise AudioError(f"{name}: holds no sound (shape {samples.shape}, mono samples are one-dimensional)")
    if not np.isfinite(samples).all():
        raise AudioError(f"{name}: holds samples that are not numbers (NaN or infinite)")
    step = int(_BLOCK_S * SAMPLE_RATE_HZ)
    for start in range(0, len(samples), step):
        yield np.asarray(samples[start : start + step], np.float32)


def _channels_of(recording: Recording) -> int:
    if recording.channels > MOST_CHANNELS_APART:
        raise AudioError(
            f"{recording.name}: has {recording.channels} channels",
            f"at most {MOST_CHANNELS_APART} are heard one by one",
        )
    return recording.channels
