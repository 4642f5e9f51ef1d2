"""The corpora that the edge model is trained and tested on, made from public sets and the local voice.

    EVOXTRAL_RECORDINGS_DIR=SETS python recipes/edge/make_corpora.py --recordings SETS \\
        --sentences recipes/edge/edge-sentences.txt --unseen src/evoxtral/bench/testset/references.jsonl \\
        --output data/edge

SETS holds `NAME.jsonl` and `NAME.tar` of the sets named below (see `evoxtral.data.recording_sets`); the sentences are
Common Voice's (CC0), one a line. Kokoro and Piper voices are used through EVOXTRAL_KOKORO_DIR and EVOXTRAL_PIPER_DIR.
`--unseen` names a test set that exists, of whose scripts and sentences nothing is learned; without it, the corpora of
such a set are made as well. Parts are named by their use: train, preference (the supervised stage never hears it),
validation, test. Every step resumes after a kill. Knows which voices, speakers and texts are kept for testing; nothing
of models.
"""

import argparse
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

from evoxtral.corpus.recorded_speech import import_recordings
from evoxtral.corpus.synthesis import synthesize
from evoxtral.corpus.writers.grammar import write_scripts as write_grammar_scripts
from evoxtral.corpus.writers.sentences import write_scripts as set_tags_into_sentences
from evoxtral.data.corpus_config import CorpusConfig, SynthesisConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.files import write_atomically
from evoxtral.data.json_lines import read_records
from evoxtral.data.recording_sets import Recording, RecordingSet
from evoxtral.data.records import Clip, Domain, Reference, Script, SliceType
from evoxtral.errors import CorpusError
from evoxtral.settings import read_settings
from evoxtral.tags import parse
from evoxtral.tts import load_speech_engine

# Never heard in training. Kokoro's older releases of the same speakers ("v0...") are left out of everything, and so is
# af_v0, a blend of af_bella and af_sarah.
TEST_VOICES = (
    "kokoro/af_sarah",
    "kokoro/am_michael",
    "kokoro/bf_emma",
    "kokoro/bm_george",
    "piper/en_US-joe-medium",
    "espeak/grace",
    "espeak/frank",
    "espeak/oscar",
)
VALIDATION_VOICES = ("kokoro/af_kore", "kokoro/am_liam", "kokoro/bf_lily", "espeak/hazel", "espeak/ned")
_UNUSED_VOICES = ("kokoro/af_v0", "kokoro/af_v0sarah", "kokoro/am_v0michael", "kokoro/bf_v0emma", "kokoro/bm_v0george")

# Real speech on which settings are chosen: one in so many of these sets' training speakers.
_SETS_WITH_VALIDATION = ("librispeech_subset", "fotaq")
_SPEAKERS_FOR_ONE_IN_VALIDATION = 8

# Degraded speech: the room's time to fall by 60 dB, its energy against the direct sound, the speech against the noise.
_DEGRADED_ROOM_S, _DEGRADED_ROOM_DB, _DEGRADED_SNR_DB = (0.2, 0.4), -6.0, (10.0, 20.0)
_LEAST_DEGRADED_S = 2.0
_DEGRADED_FOR_PREFERENCE = 215  # of each set: all of LibriSpeech's
_AUDIBLE = 1e-3

_SENTENCES_PER_VOICE = {"train": 30, "test": 60, "validation": 40}
_BURST_TAGS = ("laughs", "sighs", "gasps", "crying")
_BURSTS_PER_TAG = 220
_BURST_LENGTH_S = (0.35, 3.0)
_MAX_WORDS = 13
# Texts that a corpus for everybody should not hold.
_UNFIT = re.compile(
    r"\b(fuck\w*|shit\w*|bitch\w*|asshole\w*|cunt\w*|sex\w*|porn\w*|rap(e|ed|ist)|nigg\w*|fag\w*|whore\w*|slut\w*|"
    r"kill\w*|suicid\w*|damn\w*|nazi\w*|terroris\w*)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[A-Z][A-Za-z',;:!?. -]*[.!?]")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the material lies, and where the corpora go."""

    recordings: Path
    sentences: Path
    output: Path
    speech_cache: Path | None = None
    workers: int | None = None
    unseen: Path | None = None

    def unseen_texts(self) -> list[str]:
        """Tagged texts of the test set that exists; none without one."""
        if self.unseen is None:
            return []
        return [reference.text for reference in read_records(self.unseen, Reference)]

    def corpus(self, name: str) -> CorpusFolder:
        return CorpusFolder(self.output / name)

    def recording_set(self, name: str) -> RecordingSet:
        """A set, with some of its training speakers kept for validation where it has many."""
        recordings = RecordingSet(self.recordings / f"{name}.jsonl")
        if name in _SETS_WITH_VALIDATION:
            recordings.recordings = [
                item.model_copy(update={"split": "validation"}) if _is_for_validation(item) else item
                for item in recordings.recordings
            ]
        return recordings


def _is_for_validation(item: Recording) -> bool:
    return item.split == "train" and zlib.crc32(item.speaker.encode()) % _SPEAKERS_FOR_ONE_IN_VALIDATION == 0


def is_usable(sentence: str) -> bool:
    """Whether a sentence can be spoken as it stands: letters only, short, no capitals inside, nothing unfit."""
    return (
        3 <= len(sentence.split()) <= _MAX_WORDS
        and _SENTENCE.fullmatch(sentence) is not None
        and re.search(r"[A-Z]{2,}", sentence) is None
        and _UNFIT.search(sentence) is None
    )


def offered_voices() -> list[str]:
    """Names of all voices that the local engine has here."""
    return [voice.name for voice in load_speech_engine("local").voices()]


def _training_voices(offered: Sequence[str], kind: str) -> tuple[str, ...]:
    """Voices of a kind that are kept for nothing else."""
    held_out = {*TEST_VOICES, *VALIDATION_VOICES, *_UNUSED_VOICES}
    return tuple(voice for voice in offered if voice.startswith(f"{kind}/") and voice not in held_out)


def sentence_voices(offered: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The Kokoro voices that speak each part of the sentences."""
    installed = {voice for voice in offered if voice.startswith("kokoro/")}
    return {
        "train": _training_voices(offered, "kokoro"),
        "test": tuple(voice for voice in TEST_VOICES if voice in installed),
        "validation": tuple(voice for voice in VALIDATION_VOICES if voice in installed),
    }


def grammar_voices(offered: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The voices that speak each part of the grammar's scripts."""
    espeak, kokoro = _training_voices(offered, "espeak"), _training_voices(offered, "kokoro")
    return {
        "train": espeak,
        "train-kokoro": kokoro,
        "train-extra": espeak,
        "preference": kokoro + espeak,
        "validation": VALIDATION_VOICES,
        "validation-extra": VALIDATION_VOICES,
        "test": TEST_VOICES,
        "test-extra": TEST_VOICES,
    }


def sentence_pools(
    sentences: Sequence[str], splits: Sequence[str], voices: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, list[str]]]:
    """Sentences for each voice of the splits, dealt in the order given; no sentence goes to two voices.

    Args:
        voices: of each split.

    Raises:
        CorpusError: there are too few usable sentences.
    """
    usable = [text for text in dict.fromkeys(sentences) if is_usable(text)]
    pools: dict[str, dict[str, list[str]]] = {}
    first = 0
    for split in splits:
        names = voices[split]
        last = first + len(names) * _SENTENCES_PER_VOICE[split]
        if last > len(usable):
            raise CorpusError(f"{len(usable)} usable sentences are too few for {split}", f"give at least {last}")
        pools[split] = {name: usable[first + place : last : len(names)] for place, name in enumerate(names)}
        first = last
    return pools


def export_bursts(sources: Sources) -> None:
    """Folders of recorded sounds by tag, one for training and one, with other people, for testing."""
    recordings = sources.recording_set("emogator")
    for split in ("train", "test"):
        folder = sources.output / "bursts" / split
        for tag in _BURST_TAGS:
            fit = [
                item
                for item in recordings.recordings
                if item.split == split
                and item.tag == tag
                and item.tier in ("high", "medium")
                and _BURST_LENGTH_S[0] <= item.duration_s <= _BURST_LENGTH_S[1]
            ]
            fit.sort(key=lambda item: (item.tier, zlib.crc32(item.file.encode())))  # "high" comes first
            for item in fit[:_BURSTS_PER_TAG]:
                path = folder / tag / Path(item.file).name
                if not path.exists():
                    write_atomically(path, recordings.read_bytes(item))


def recorded_sentences(recordings: RecordingSet, split: str, *, at_least: int = 2) -> dict[str, list[str]]:
    """By voice, the sentences of speakers who are told apart, to be spoken again in other deliveries."""
    pools: dict[str, list[str]] = {}
    for item in recordings.recordings:
        # A cut scene of "fotaq" has several characters under one name.
        if item.split != split or item.tag != "none" or "_cut_" in item.speaker or "unknown" in item.speaker:
            continue
        parsed = parse(" ".join(item.transcript.split()))
        ends = sorted(set(parsed.sentence_ends))
        for first, last in pairwise([0, *ends]):
            text = " ".join(word.text for word in parsed.words[first:last])
            if (
                3 <= last - first <= 22
                and re.fullmatch(r"[A-Z][A-Za-z',!? -]*[.!?]", text)
                and not re.search("[A-Z]{2}", text)
            ):
                pools.setdefault(f"recorded/{recordings.name}.{item.speaker}", []).append(text)
    return {voice: sorted(set(texts)) for voice, texts in sorted(pools.items()) if len(set(texts)) >= at_least}


def import_plain_speech(sources: Sources) -> None:
    """Human speech as it is, and human sounds that stand alone."""
    plan: tuple[tuple[str, Domain, Callable[[Recording], bool]], ...] = (
        ("fotaq", Domain.CONVERSATION, lambda item: True),
        ("librispeech_subset", Domain.STORYTELLING, lambda item: True),
        ("picovoice_s2i", Domain.CONVERSATION, lambda item: True),
        ("bass", Domain.CONVERSATION, lambda item: item.duration_s > 0.8),
        ("drascula", Domain.STORYTELLING, lambda item: (item.overlap or 0.0) >= 0.67),
        ("esc10", Domain.MONOLOGUE, lambda item: True),
        ("emogator", Domain.MONOLOGUE, lambda item: item.tag in _BURST_TAGS and item.tier == "high"),
    )
    for name, domain, is_chosen in plan:
        recordings = sources.recording_set(name)
        for split in ("train", "validation", "test"):
            chosen = [item for item in recordings.recordings if item.split == split and is_chosen(item)]
            if chosen:
                import_recordings(sources.corpus(f"{split}-recordings-{name}"), recordings, chosen, domain=domain)


def make_nonspeech(sources: Sources, count: int = 300) -> None:
    """Noise, hum, tones and chords with nothing said in them: the model must write nothing."""
    corpus = sources.corpus("train-nonspeech")
    held = {clip.id for clip in corpus.read_clips()}
    clips = []
    for index in range(count):
        name = f"nonspeech-{index:04d}"
        if name in held:
            continue
        rng = np.random.default_rng([7, index])
        samples = _nonspeech(rng, duration_s=float(rng.uniform(1.0, 12.0)))
        path = corpus.audio_path / f"{name}.opus"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 16_000, format="OGG", subtype="OPUS")
        clips.append(
            Clip(
                id=name,
                script_id=name,
                tagged_text="",
                audio=f"audio/{path.name}",
                duration_s=len(samples) / 16_000,
                voice="none",
                engine="nonspeech",
                seed=index,
                slice_type=SliceType.PLAIN,
                domain=Domain.MONOLOGUE,
                split="train",
            )
        )
    corpus.append_clips(clips)


def _nonspeech(rng: np.random.Generator, duration_s: float) -> np.ndarray:
    count = round(duration_s * 16_000)
    seconds = np.arange(count) / 16_000
    spectrum = np.fft.rfft(rng.normal(size=count))
    colour = rng.uniform(0.0, 1.2)  # exponent of 1/f: white to brown
    noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1.0) ** colour, count)
    sound = noise / np.std(noise)
    kind = rng.integers(3)
    if kind == 1:  # mains hum
        base_hz = rng.choice((50.0, 60.0))
        sound = 0.2 * sound + sum(np.sin(2 * np.pi * base_hz * n * seconds) / n for n in (1, 2, 3, 5))
    elif kind == 2:  # chords that change, with decaying notes
        sound = 0.05 * sound
        for start_s in np.arange(0.0, duration_s, rng.uniform(0.25, 0.8)):
            root_hz = 110.0 * 2 ** (rng.integers(0, 24) / 12)
            envelope = np.where(seconds >= start_s, np.exp(-(seconds - start_s) * rng.uniform(1.5, 6.0)), 0.0)
            for step in (0, 4, 7):
                sound = sound + envelope * np.sin(2 * np.pi * root_hz * 2 ** (step / 12) * seconds)
    level = 10 ** (rng.uniform(-55.0, -15.0) / 20)
    return np.asarray(np.clip(sound / np.std(sound) * level, -1, 1), dtype=np.float32)


def degrade(sources: Sources, part: str, recorded: str, *, most: int | None = None) -> None:
    """Speakers through noise and rooms: real speech on which a model's first guess is not certain.

    On clear recordings a model that has forgotten some of what it knew of speech looks as good as before, and so it
    does on recordings that it learned from.

    Args:
        part: makes the corpus `PART-degraded`.
        recorded: the part whose recordings are degraded.
        most: so many clips of each set at most, evenly spread over it.
    """
    corpus = sources.corpus(f"{part}-degraded")
    held = {clip.id for clip in corpus.read_clips()}
    made = []
    for name in _SETS_WITH_VALIDATION:
        clear = sources.corpus(f"{recorded}-recordings-{name}")
        clips = clear.read_clips()
        if most is not None and len(clips) > most:
            clips = [clips[place] for place in np.linspace(0, len(clips) - 1, most).round().astype(int)]
        for clip in clips:
            degraded = clip.model_copy(update={"id": f"degraded-{clip.id}", "audio": f"audio/degraded-{clip.id}.opus"})
            if degraded.id in held or clip.duration_s < _LEAST_DEGRADED_S:
                continue
            samples, _ = soundfile.read(clear.path / clip.audio, dtype="float32")
            path = corpus.path / degraded.audio
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = _degraded(samples, np.random.default_rng([8, zlib.crc32(clip.id.encode())]))
            soundfile.write(path, sound, 16_000, format="OGG", subtype="OPUS")
            made.append(degraded)
    corpus.append_clips(made)


def _degraded(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A reverberant room (noise that decays by 60 dB in its time), then pink noise."""
    tail = np.arange(16_000 // 2) / 16_000
    room = rng.normal(size=len(tail)) * 10 ** (-3 * tail / rng.uniform(*_DEGRADED_ROOM_S))
    room *= 10 ** (_DEGRADED_ROOM_DB / 20) / np.linalg.norm(room)
    room[0] = 1.0
    wet = scipy.signal.fftconvolve(samples, room)[: len(samples)]
    spectrum = np.fft.rfft(rng.normal(size=len(samples)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1.0)), len(samples))
    heard = np.sqrt(np.mean(np.square(wet[np.abs(wet) > _AUDIBLE]))) if np.any(np.abs(wet) > _AUDIBLE) else 0.0
    wet = wet + noise / np.std(noise) * heard * 10 ** (-rng.uniform(*_DEGRADED_SNR_DB) / 20)
    return np.asarray(wet / max(1.0, float(np.max(np.abs(wet)))), dtype=np.float32)


def speak(sources: Sources, name: str, scripts: Sequence[Script], config: SynthesisConfig) -> None:
    """Speak scripts into the corpus `name`."""
    corpus = sources.corpus(name)
    held = {script.id for script in corpus.read_scripts()}
    corpus.append_scripts([script for script in scripts if script.id not in held])
    corpus.write_config(CorpusConfig(name=name, synthesis=config))
    report = synthesize(corpus, config)
    print(f"{name}: {report}", flush=True)


def speak_recorded(sources: Sources, count: int) -> None:
    """Real people's sentences in deliveries made from them."""
    if read_settings().recordings_dir != sources.recordings:
        raise CorpusError(
            "the voices of recorded people are looked for elsewhere",
            f"set EVOXTRAL_RECORDINGS_DIR={sources.recordings}",
        )
    pools: dict[str, list[str]] = {}
    for name in ("fotaq", "librispeech_subset"):
        pools |= recorded_sentences(sources.recording_set(name), "train")
    scripts = set_tags_into_sentences(pools, count, seed=1, prefix="recorded", inside=0, emphasis=False)
    speak(sources, "train-recorded", scripts, _config(sources, "train", tuple(pools), bursts_share=0.7))


def speak_sentences(sources: Sources, counts: dict[str, int]) -> None:
    """Common Voice sentences by Kokoro's voices, tags drawn without regard to what is said."""
    unseen = " ".join(parse(text).plain_text for text in sources.unseen_texts()).lower()
    sentences = sources.sentences.read_text("utf-8").split("\n")
    fit = [text for text in sentences if text.lower() not in unseen]
    pools = sentence_pools(fit, tuple(counts), sentence_voices(offered_voices()))
    for number, (split, count) in enumerate(counts.items()):
        scripts = set_tags_into_sentences(
            pools[split], count, seed=10 + number, prefix=f"{split}-sentences", inside=0.08
        )
        bursts = "test" if split == "test" else "train"
        config = _config(sources, bursts, tuple(pools[split]), bursts_share=0.5)
        speak(sources, f"{split}-sentences", scripts, config)


def speak_grammar(sources: Sources, counts: dict[str, int]) -> None:
    """The grammar's scripts, where tags often follow from the words: the way people really speak.

    No script of one part is similar to one of another (`evoxtral.corpus.gates`); the parts named first have the first
    choice, and scripts that a part already has stay.
    """
    voices = grammar_voices(offered_voices())
    existing: list[Script] = []
    for part, count in counts.items():
        corpus = sources.corpus(f"{part}-grammar")
        scripts = corpus.read_scripts()
        existing += scripts
        if len(scripts) < count:
            total = len(existing) + count - len(scripts)
            added = write_grammar_scripts(total, seed=20, existing=existing, unlike=sources.unseen_texts())
            scripts += added
            existing += added
        bursts = "test" if part.startswith("test") else "train"
        speak(sources, corpus.path.name, scripts, _config(sources, bursts, voices[part], bursts_share=0.4))


def _config(sources: Sources, bursts: str, voices: tuple[str, ...], *, bursts_share: float) -> SynthesisConfig:
    options: dict[str, object] = {"bursts": str(sources.output / "bursts" / bursts), "bursts_share": bursts_share}
    if sources.speech_cache is not None:
        options["cache_dir"] = str(sources.speech_cache)
    return SynthesisConfig(
        engine_options=options, voices=voices, audio_format="opus", workers=sources.workers, max_voice_share=1.0
    )


def main() -> None:
    """Make, or finish, all corpora."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True, help="folder of NAME.jsonl and NAME.tar")
    parser.add_argument("--sentences", type=Path, required=True, help="text file, one sentence a line")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--speech-cache", type=Path, help="keep what Kokoro spoke here")
    parser.add_argument("--workers", type=int, help="processes; all cores unless told")
    parser.add_argument("--unseen", type=Path, help="references.jsonl of a test set: nothing of it is learned")
    chosen = parser.parse_args()
    sources = Sources(
        chosen.recordings, chosen.sentences, chosen.output, chosen.speech_cache, chosen.workers, chosen.unseen
    )
    export_bursts(sources)
    import_plain_speech(sources)
    degrade(sources, "validation", "validation")
    degrade(sources, "preference", "train", most=_DEGRADED_FOR_PREFERENCE)
    make_nonspeech(sources)
    speak_recorded(sources, 2000)
    tests = {"test": 320} if chosen.unseen is None else {}
    learned = {"validation": 50, "train-kokoro": 60, "train": 900, "train-extra": 1800}
    # "preference" is held back from the supervised stage: of clips that a model knows by heart its samples say little.
    speak_grammar(sources, tests | learned | {"preference": 1500, "validation-extra": 200, "test-extra": 320})
    tests = {"test": 120} if chosen.unseen is None else {}
    speak_sentences(sources, {"train": 2400, "validation": 60} | tests)


if __name__ == "__main__":
    main()
