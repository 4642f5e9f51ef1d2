"""Audio and frame labels of the tagger's training set in one bank, and windows of 30 s put together from it.

A bank holds all clips one after the other in hops of 20 ms (320 samples, one frame of Whisper's encoder), so that a
window is a list of hop numbers: gathered, it gives the samples and every label at once. Read by
`train_tagger.py`; the clips are those that `pack_recordings.py` lists. Knows nothing of models.
"""

import json
import multiprocessing
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

RATE_HZ = 16_000
HOP, WINDOW = 320, 1500  # samples of a hop, hops of a window
HOPS_PER_S = RATE_HZ // HOP
EVENTS = ("none", "laughs", "sighs", "gasps", "clears throat", "crying", "cough", "sneeze", "hum", "other", "baby_cry")
EMOTIONS = ("neutral", "excited", "sad", "angry", "nervous", "calm", "frustrated")
SOUND_TAGS = ("laughs", "sighs", "gasps", "clears throat", "crying")
UNKNOWN = -1

# How often a clip of a kind is drawn, and of the sounds alone each sound.
KIND_WEIGHTS = {
    "burst": 0.30,
    "synthetic": 0.36,
    "emodb": 0.08,
    "plain": 0.22,
    "speech": 0.02,
    "nonspeech": 0.02,
}
SOUND_WEIGHTS = {
    "laughs": 1.0,
    "sighs": 1.0,
    "crying": 1.0,
    "gasps": 0.7,
    "clears throat": 0.1,
    "cough": 0.7,
    "sneeze": 0.5,
    "hum": 0.9,
    "other": 0.8,
    "baby_cry": 0.4,
}

_DRAWS = 8
# Of the augmentation: the transform holds a window and its room; noise repeats; a room rings for half a second.
_FFT_SAMPLES, _NOISE_SAMPLES, _ROOM_SAMPLES = 1 << 19, 1 << 16, RATE_HZ // 2

# A stretch of one emotion: first hop and last (exclusive), emotion, stammers or not, its number in the bank.
Segment = tuple[int, int, int, int, int]


@dataclass
class Clip:
    """A clip of the bank: its line of the manifest, where it begins and how long it is, in hops."""

    row: dict[str, Any]
    start: int = 0
    hops: int = 0
    segments: list[Segment] = field(default_factory=list)


def segments_of(
    row: dict[str, Any],
) -> tuple[list[tuple[float, float, int, str, int]], list[tuple[float, float, int]]]:
    """Stretches of one manner: (start_s, end_s, emotion, delivery, stammers); and words (start_s, end_s, stressed)."""
    words = row["words"]
    emotion_at = [UNKNOWN] * len(words)
    delivery_at = [""] * len(words)
    stammer_at = [0] * len(words)
    cried = [tag for tag in row["tags"] if tag[0] == "crying"]
    for index, (_, start, _, _) in enumerate(words):
        emotion_at[index] = 0
        for name, first, last in row["tags"]:
            if first - 1e-3 <= start < last - 1e-3:
                if name in EMOTIONS:
                    emotion_at[index] = EMOTIONS.index(name)
                elif name in ("whispers", "shouts"):
                    delivery_at[index] = name
                elif name == "stammers":
                    stammer_at[index] = 1
        # After a sob the voice stays tearful without a tag of its own.
        if emotion_at[index] == 0 and any(last <= start + 0.05 for _, _, last in cried):
            emotion_at[index] = UNKNOWN
    made, first = [], 0
    manner = list(zip(emotion_at, delivery_at, stammer_at, strict=True))
    for index in range(1, len(words) + 1):
        if index == len(words) or manner[index] != manner[first] or words[index - 1][0][-1:] in ".!?":
            made.append((words[first][1], words[index - 1][2], *manner[first]))
            first = index
    return made, [(start, end, int(stressed)) for _, start, end, stressed in words]


def active_hops(samples: NDArray[np.float32], range_db: float = 28.0) -> NDArray[np.bool_]:
    """Which hops are less than `range_db` below the loudest; samples of whole hops."""
    levels = 10 * np.log10(np.square(samples.reshape(-1, HOP)).mean(1) + 1e-10)
    return levels > max(levels.max() - range_db, -60.0)


def _read(path: str) -> NDArray[np.float32]:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(1)
    if rate != RATE_HZ:
        samples = scipy.signal.resample_poly(samples, RATE_HZ, rate)
    samples = samples[: WINDOW * HOP - HOP]
    return np.pad(samples, (0, -len(samples) % HOP)).astype(np.float32)


def nonspeech(count: int = 120) -> list[NDArray[np.float32]]:
    """Noise, hum, and chords of decaying notes."""
    made = []
    for index in range(count):
        rng = np.random.default_rng([7, index])
        n = int(rng.uniform(3, 14)) * RATE_HZ
        t = np.arange(n) / RATE_HZ
        spectrum = np.fft.rfft(rng.normal(size=n))
        x = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1.0) ** rng.uniform(0, 1.2), n)
        x /= x.std()
        kind = rng.integers(3)
        if kind == 1:
            x = 0.2 * x + sum(np.sin(2 * np.pi * rng.choice((50.0, 60.0)) * k * t) / k for k in (1, 2, 3, 5))
        elif kind == 2:
            x = 0.05 * x
            for start in np.arange(0, n / RATE_HZ, rng.uniform(0.2, 0.8)):
                root = 110 * 2 ** (rng.integers(0, 30) / 12)
                envelope = np.where(t >= start, np.exp(-(t - start) * rng.uniform(1.5, 6)), 0)
                for step in (0, 4, 7):
                    x = x + envelope * sum(np.sin(2 * np.pi * root * 2 ** (step / 12) * h * t) / h for h in (1, 2, 3))
        x = x / x.std() * 10 ** (rng.uniform(-50, -15) / 20)
        made.append(np.clip(x, -1, 1).astype(np.float32))
    return made


class Bank:
    """All clips of some folders on one device.

    Attributes:
        audio: int16, shape (hops + 1, 320); the last hop is silence. events, whisper, shout: int8 labels of each hop
        (-1 unknown). segment, word: number of the hop's segment and word, or -1; `segment_emotion`,
        `segment_stammers`, `word_stressed`: their labels.
    """

    def __init__(self, rows: list[dict[str, Any]], folder: Path, device: str, workers: int = 16) -> None:
        with multiprocessing.Pool(workers) as pool:
            sounds = pool.map(_read, [str(folder / row["id"]) for row in rows], chunksize=32)
        for index, samples in enumerate(nonspeech()):
            rows = [
                *rows,
                {
                    "id": f"nonspeech-{index}",
                    "kind": "nonspeech",
                    "split": "train",
                    "speaker": "none",
                    "duration": len(samples) / RATE_HZ,
                },
            ]
            sounds.append(np.pad(samples, (0, -len(samples) % HOP)))
        total = sum(len(s) for s in sounds) // HOP
        audio = np.zeros((total + 1, HOP), np.int16)
        labels = {name: np.full(total + 1, UNKNOWN, np.int8) for name in ("events", "whisper", "shout")}
        maps = {name: np.full(total + 1, UNKNOWN, np.int32) for name in ("segment", "word")}
        emotions, stammers, stressed = [], [], []
        self.clips: list[Clip] = []
        at = 0
        for row, samples in zip(rows, sounds, strict=True):
            n = len(samples) // HOP
            here = slice(at, at + n)
            audio[here] = np.clip(samples * 32767, -32767, 32767).astype(np.int16).reshape(n, HOP)
            clip = Clip(row, at, n)
            kind = row["kind"]

            def mark(
                first: int, last: int, emotion: int, stammer: int, at: int = at, n: int = n, clip: Clip = clip
            ) -> None:
                first, last = max(first, 0), min(max(last, first + 1), n)
                maps["segment"][at + first : at + last] = len(emotions)
                clip.segments.append((at + first, at + last, emotion, stammer, len(emotions)))
                emotions.append(emotion)
                stammers.append(stammer)

            if kind == "burst":
                labels["events"][here] = np.where(active_hops(samples), EVENTS.index(row["sound"]), UNKNOWN)
                labels["whisper"][here], labels["shout"][here] = 0, UNKNOWN
            elif kind == "nonspeech":
                for name in labels:
                    labels[name][here] = 0
            elif kind == "synthetic":
                for name in labels:
                    labels[name][here] = 0
                loud = active_hops(samples, 40.0)
                for name, start, end in row["tags"]:
                    if name in SOUND_TAGS:
                        first, last = round(start * HOPS_PER_S), round(end * HOPS_PER_S)
                        heard = np.where(loud[first:last], EVENTS.index(name), UNKNOWN)
                        labels["events"][at + first : at + last] = heard[: max(0, min(last, n) - first)]
                segments, words = segments_of(row)
                for start, end, emotion, delivery, stammer in segments:
                    first, last = round(start * HOPS_PER_S), round(end * HOPS_PER_S)
                    mark(first, last, emotion, stammer)
                    if delivery == "whispers":
                        labels["whisper"][at + first : at + min(last, n)] = 1
                    elif delivery == "shouts":
                        labels["shout"][at + first : at + min(last, n)] = 1
                for start, end, stress in words:
                    first, last = round(start * HOPS_PER_S), max(round(end * HOPS_PER_S), round(start * HOPS_PER_S) + 1)
                    maps["word"][at + first : at + min(last, n)] = len(stressed)
                    stressed.append(stress)
            else:
                labels["events"][here] = UNKNOWN if row.get("doubtful") else 0
                labels["whisper"][here] = 1 if row.get("whisper") else 0
                labels["shout"][here] = UNKNOWN if kind == "emodb" or row.get("shout") else 0
                if row.get("shout") and kind == "speech":
                    labels["shout"][here] = np.where(active_hops(samples), 1, UNKNOWN)
                emotion = (
                    EMOTIONS.index(row["emotion"]) if row.get("emotion") else (0 if row.get("neutral") else UNKNOWN)
                )
                live = np.flatnonzero(active_hops(samples, 35.0))
                mark(int(live[0]), int(live[-1]) + 1, emotion, 0)
            self.clips.append(clip)
            at += n
        self.device = device
        self.audio = torch.from_numpy(audio).to(device)
        self.labels = {name: torch.from_numpy(value).to(device) for name, value in labels.items()}
        self.maps = {name: torch.from_numpy(value).to(device) for name, value in maps.items()}
        self.segment_emotion = torch.tensor([*emotions, UNKNOWN], device=device)
        self.segment_stammers = torch.tensor([*stammers, UNKNOWN], device=device)
        self.word_stressed = torch.tensor([*stressed, UNKNOWN], device=device)
        self.silence = total

    def gather(self, index: Tensor, gain: Tensor) -> Tensor:
        """Samples, shape (windows, 320 a hop), of hop numbers (windows, hops) and a gain for each."""
        return (self.audio[index].float() * (gain[..., None] / 32767)).flatten(1)


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """The lines of clips.jsonl."""
    return [json.loads(line) for line in path.open()]


class Composer:
    """Draws windows: clips of one kind or speaker or of many, in a row with short gaps, at their own levels."""

    def __init__(
        self, bank: Bank, splits: tuple[str, ...], seed: int, weights: Mapping[str, float] = KIND_WEIGHTS
    ) -> None:
        self.bank, self.rng = bank, random.Random(seed)
        self.weights = weights
        self.by_kind: dict[str, list[Clip]] = {}
        self.by_speaker: dict[tuple[str, str], list[Clip]] = {}
        self.by_sound: dict[str, list[Clip]] = {}
        for clip in bank.clips:
            row = clip.row
            if row["split"] in splits:
                self.by_kind.setdefault(row["kind"], []).append(clip)
                self.by_speaker.setdefault((row["kind"], row["speaker"]), []).append(clip)
                if row["kind"] == "burst":
                    self.by_sound.setdefault(row["sound"], []).append(clip)

    def _draw(self, kind: str | None = None) -> Clip:
        kinds = [k for k in self.weights if self.by_kind.get(k)]
        kind = kind or self.rng.choices(kinds, [self.weights[k] for k in kinds])[0]
        if kind == "burst":
            sounds = list(self.by_sound)
            sound = self.rng.choices(sounds, [SOUND_WEIGHTS.get(s, 0.3) for s in sounds])[0]
            return self.rng.choice(self.by_sound[sound])
        return self.rng.choice(self.by_kind[kind])

    def compose(self, windows: int, hops: int = WINDOW) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Hop numbers (windows, hops), gains, hop numbers and gains of speech under it, and lengths in hops."""
        rng, silence = self.rng, self.bank.silence
        index = np.full((windows, hops), silence, np.int64)
        gain = np.ones((windows, hops), np.float32)
        under = np.full((windows, hops), silence, np.int64)
        under_gain = np.zeros((windows, hops), np.float32)
        lengths = np.full(windows, hops, np.int64)
        for window in range(windows):
            most = rng.choice((1, 1, 3, 6, 12, 12))
            # In a short window few clips have room.
            first = next((clip for clip in (self._draw() for _ in range(_DRAWS)) if clip.hops <= hops), self._draw())
            kin = self.by_speaker[(first.row["kind"], first.row["speaker"])]
            same = rng.random() < 0.6 and first.row["kind"] != "burst"
            at = rng.choice((0, 0, rng.randint(0, 40)))
            for number in range(most):
                if number == 0:
                    clip = first
                elif rng.random() < 0.25:
                    clip = self._draw("burst")
                else:
                    clip = rng.choice(kin) if same else self._draw()
                if at + clip.hops > hops:
                    break
                index[window, at : at + clip.hops] = np.arange(clip.start, clip.start + clip.hops)
                gain[window, at : at + clip.hops] = 10 ** (rng.uniform(-6, 6) / 20)
                at += clip.hops + rng.choice((0, rng.randint(2, 20), rng.randint(10, 60)))
            lengths[window] = hops if rng.random() < 0.3 else min(hops, max(at, 25))
            if rng.random() < 0.08:
                other = self._draw("plain")
                start = rng.randint(0, max(0, int(lengths[window]) - other.hops))
                n = min(other.hops, hops - start)
                under[window, start : start + n] = np.arange(other.start, other.start + n)
                under_gain[window] = 10 ** (rng.uniform(-22, -8) / 20)
        index_t, gain_t, under_t, under_gain_t, lengths_t = (
            torch.from_numpy(array).to(self.bank.device, non_blocking=True)
            for array in (index, gain, under, under_gain, lengths)
        )
        return index_t, gain_t, under_t, under_gain_t, lengths_t


def augment(samples: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
    """Level, equaliser or telephone band, room, noise and clipping, drawn for each window; silence after its length."""
    device, (count, n) = samples.device, samples.shape

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, device=device, generator=generator)

    def randn(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, generator=generator)

    spectrum = torch.fft.rfft(samples, n=_FFT_SAMPLES)
    hz = torch.linspace(0, RATE_HZ / 2, spectrum.shape[1], device=device)
    knots = randn(count, 1, 9) * 4.0 * (rand(count, 1, 1) < 0.5)
    curve_db = torch.nn.functional.interpolate(knots, size=256, mode="linear", align_corners=True)[:, 0]
    mel = (torch.log1p(hz / 700) / np.log1p(8000 / 700) * 255).long()
    response = 10 ** (curve_db[:, mel] / 20)
    phone = (rand(count, 1) < 0.12) & ((hz < 300) | (hz > 3400))
    narrow = (rand(count, 1) < 0.15) & (hz > 4000 + 1500 * rand(count, 1))
    response = torch.where(phone | narrow, response * 0.01, response)
    tail = torch.arange(_ROOM_SAMPLES, device=device) / RATE_HZ
    room = randn(count, _ROOM_SAMPLES) * 10 ** (-3 * tail / (0.15 + 0.35 * rand(count, 1)))
    room *= 10 ** ((-14 + 10 * rand(count, 1)) / 20) / room.norm(dim=1, keepdim=True) * (rand(count, 1) < 0.25)
    room[:, 0] = 1.0
    samples = torch.fft.irfft(spectrum * response * torch.fft.rfft(room, n=_FFT_SAMPLES), n=_FFT_SAMPLES)[:, :n]
    level = samples.square().mean(1, keepdim=True).sqrt() + 1e-5
    white = torch.fft.rfft(randn(count, _NOISE_SAMPLES))
    slope = torch.arange(1, white.shape[1] + 1, device=device) ** (rand(count, 1) * 0.6)
    white = torch.fft.irfft(white / slope, n=_NOISE_SAMPLES)
    noise = (white / white.std(1, keepdim=True)).repeat(1, n // _NOISE_SAMPLES + 1)[:, :n]
    snr_db = torch.where(rand(count, 1) < 0.5, 5 + 30 * rand(count, 1), torch.tensor(60.0, device=device))
    samples = samples + noise * level * 10 ** (-snr_db / 20)
    peak = samples.abs().amax(1, keepdim=True) + 1e-6
    ceiling = torch.where(rand(count, 1) < 0.1, 0.15 + 0.5 * rand(count, 1), torch.tensor(1.0, device=device))
    samples = torch.clamp(samples, -peak * ceiling, peak * ceiling)
    samples = samples / peak * 10 ** ((-30 + 30 * rand(count, 1)) / 20)
    inside = torch.arange(n, device=device)[None] < lengths[:, None] * HOP
    return samples * inside
