"""Train the tagger's frame network on the middle layers of an untouched Whisper base; write it and what it scores.

    python train_tagger.py --pack PACK --encoder encoder4.pt --output OUT [--seconds 200]

Events, whispering and shouting are judged frame by frame; emotion and stammering by stretch (mean and maximum of its
frames); stress by word. PACK is what `pack_recordings.py` wrote, its archives unpacked in it; encoder4.pt is written by
`whisper_middle.py`. Writes OUT/NAME-SEED.pt (also every minute while it trains) and OUT/log.txt. `--short` takes half
of the steps on shorter encoder contexts; `--no-plain-emotion` leaves plain English out of the emotion loss. Runs on one
GPU in minutes, on a CPU for a dry run (`--steps 2 --batch 2 --most 60`). Knows nothing of the bench, nor of how tags
are decided.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from pack_recordings import synthetic_rows
from sklearn.metrics import average_precision_score, f1_score
from tagger_data import EMOTIONS, EVENTS, HOP, UNKNOWN, WINDOW, Bank, Clip, Composer, augment, read_manifest
from tagger_network import FrameTagger
from torch import Tensor
from torch.nn import functional
from whisper_middle import MiddleEncoder

# Weights of the classes in the loss, in the order of `EVENTS` and `EMOTIONS`.
EVENT_WEIGHTS = [0.6, 1.2, 1.2, 1.5, 1.5, 1.2, 1.2, 1.2, 1.0, 1.0, 1.0]
EMOTION_WEIGHTS = [0.6, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
_LEARNING_RATE, _WARM_UP_STEPS, _WEIGHT_DECAY = 1.5e-3, 200, 0.02
# Half of the batches are played so much faster, 1 being as they are.
_RATES = (0.88, 1.13)
_MOST_PLAIN_CLIPS = 700
# Shorter encoder contexts, in hops: 6 to 30 s.
_SHORT_HOPS = (300, WINDOW)
_SAVE_EVERY_S = 60.0
# A clip whose surest sound is below this holds none.
_LEAST_SURE_OF_A_SOUND = 0.35
_SMOOTH_FRAMES = 15
# Above all numbers of segments and words of a bank.
_NUMBERS_OF_A_WINDOW = 10_000_000

Outputs = dict[str, Tensor]
Log = Callable[[str], None]


def pooled(values: Tensor, ids: Tensor, count: int, how: str) -> Tensor:
    """Mean or maximum over the frames of each segment: values (frames, k), ids (frames,) in 0..count-1."""
    out = torch.full((count, values.shape[1]), -30.0 if how == "amax" else 0.0, device=values.device)
    return out.scatter_reduce(0, ids[:, None].expand_as(values), values, how, include_self=False)


def segment_logits(values: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The frames that belong to a segment, for each the place of its segment, and the segments' numbers.

    The same clip may stand twice in a batch: a segment of each window is a segment.
    """
    window = torch.arange(maps.shape[0], device=maps.device)[:, None].expand_as(maps)
    keep = maps >= 0
    key = window[keep] * _NUMBERS_OF_A_WINDOW + maps[keep]
    numbers, places = torch.unique(key, return_inverse=True)
    return values[keep], places, numbers % _NUMBERS_OF_A_WINDOW


def losses(out: Outputs, bank: Bank, index: Tensor, inside: Tensor) -> dict[str, Tensor]:
    """The parts of the loss by name; a part of which the batch has no label is missing."""
    events = bank.labels["events"][index].long()
    events = torch.where(inside, events, UNKNOWN)
    weight = torch.tensor(EVENT_WEIGHTS, device=index.device)
    made = {
        "events": functional.cross_entropy(
            out["events"].flatten(0, 1), events.flatten(), weight=weight, ignore_index=UNKNOWN
        )
    }
    for place, name in enumerate(("whisper", "shout")):
        label = torch.where(inside, bank.labels[name][index].long(), UNKNOWN)
        known = label >= 0
        made[name] = functional.binary_cross_entropy_with_logits(
            out["delivery"][..., place][known], label[known].float(), pos_weight=torch.tensor(3.0, device=index.device)
        )
    segments = torch.where(inside, bank.maps["segment"][index].long(), UNKNOWN)
    values, places, numbers = segment_logits(torch.cat([out["emotion"], out["stammers"]], -1), segments)
    if len(numbers):
        emotion = bank.segment_emotion[numbers]
        means = pooled(values[:, : len(EMOTIONS)], places, len(numbers), "mean")
        emotion_weight = torch.tensor(EMOTION_WEIGHTS, device=index.device)
        if (emotion >= 0).any():
            made["emotion"] = functional.cross_entropy(means, emotion, weight=emotion_weight, ignore_index=UNKNOWN)
        stammers = bank.segment_stammers[numbers]
        most = pooled(values[:, len(EMOTIONS) :], places, len(numbers), "amax")[:, 0]
        known = stammers >= 0
        if known.any():
            made["stammers"] = 0.7 * functional.binary_cross_entropy_with_logits(
                most[known], stammers[known].float(), pos_weight=torch.tensor(3.0, device=index.device)
            )
    words = torch.where(inside, bank.maps["word"][index].long(), UNKNOWN)
    values, places, numbers = segment_logits(out["stress"], words)
    if len(numbers):
        means = pooled(values, places, len(numbers), "mean")[:, 0]
        made["stress"] = 0.7 * functional.binary_cross_entropy_with_logits(
            means, bank.word_stressed[numbers].float(), pos_weight=torch.tensor(4.0, device=index.device)
        )
    return made


def resample_windows(samples: Tensor, maps: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Play windows faster or slower (pitch and rate together); hop numbers follow."""
    n = int(samples.shape[1] / factor)
    hops = maps.shape[1]
    samples = functional.interpolate(samples[:, None], size=n, mode="linear", align_corners=False)[:, 0][
        :, : hops * HOP
    ]
    samples = functional.pad(samples, (0, hops * HOP - samples.shape[1]))
    at = (torch.arange(hops, device=maps.device) * factor).round().long()
    return samples, torch.where(at < hops, maps[:, at.clamp(max=hops - 1)], -2)


def half_precision(device: str) -> AbstractContextManager[None]:
    """bfloat16 on a GPU, nothing on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if device == "cuda" else torch.autocast("cpu", enabled=False)


def train(
    bank: Bank, encoder: MiddleEncoder, options: argparse.Namespace, log: Log, seed: int, width: int, path: Path
) -> FrameTagger:
    """A network of that width, until `--steps` or `--seconds` are over; windows are composed anew at each step.

    It is written to `path` in the end, and now and then before.
    """
    device = bank.device
    torch.manual_seed(seed)
    network = FrameTagger(width=width).to(device)
    composer = Composer(bank, ("train",), seed)
    generator = torch.Generator(device).manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    half = half_precision(device)
    began, step = time.monotonic(), 0
    saved = began
    running: dict[str, float] = {}
    progress = 0.0
    while progress < 1.0:
        progress = max(step / options.steps, (time.monotonic() - began) / options.seconds)
        warm_up = min(1.0, step / _WARM_UP_STEPS + 0.02)
        for group in optimiser.param_groups:
            group["lr"] = _LEARNING_RATE * warm_up * (0.5 * (1 + np.cos(np.pi * min(progress, 1.0))) + 0.01)
        drawn = random.Random(seed * 31 + step)
        hops = drawn.randint(*_SHORT_HOPS) if options.short and drawn.random() < 0.5 else WINDOW
        index, gain, under, under_gain, lengths = composer.compose(options.batch, hops)
        samples = bank.gather(index, gain) + bank.gather(under, under_gain)
        if random.Random(seed * 100_003 + step).random() < 0.5:
            factor = random.Random(seed * 7 + step).uniform(*_RATES)
            samples, index = resample_windows(samples, index, factor)
            lengths = (lengths / factor).long().clamp(max=hops)
            index = torch.where(index == -2, bank.silence, index)
        samples = augment(samples, lengths, generator)
        inside = torch.arange(hops, device=device)[None] < lengths[:, None]
        with half:
            middle = encoder(samples)
        with half:
            out = network(middle, inside)
        out = {name: value.float() for name, value in out.items()}
        parts = losses(out, bank, index, inside)
        loss = sum(parts.values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if step % 10 == 0:
            for name, value in parts.items():
                now = float(value.detach())
                running[name] = 0.98 * running.get(name, now) + 0.02 * now
        if step % 500 == 0:
            log(
                f"seed {seed} width {width} step {step} {time.monotonic() - began:.0f} s "
                + " ".join(f"{k} {v:.3f}" for k, v in running.items())
            )
        step += 1
        if time.monotonic() - saved > _SAVE_EVERY_S:
            save(network, path)
            saved = time.monotonic()
    log(f"seed {seed} width {width}: {step} steps in {time.monotonic() - began:.0f} s")
    save(network, path)
    return network.eval()


def save(network: FrameTagger, path: Path) -> None:
    """As float16, whole or not at all."""
    unfinished = path.with_suffix(".new")
    torch.save({name: value.half() for name, value in network.state_dict().items()}, unfinished)
    unfinished.replace(path)


@torch.no_grad()
def alone(
    bank: Bank, encoder: MiddleEncoder, network: FrameTagger, clips: list[Clip], batch: int = 48
) -> Iterator[tuple[Clip, Outputs]]:
    """Each clip alone in a window: yields it and what its frames give, probabilities but for emotion and stress."""
    device = bank.device
    half = half_precision(device)
    for first in range(0, len(clips), batch):
        part = clips[first : first + batch]
        index = torch.full((len(part), WINDOW), bank.silence, device=device)
        for row, clip in enumerate(part):
            index[row, : clip.hops] = torch.arange(clip.start, clip.start + clip.hops, device=device)
        lengths = torch.tensor([clip.hops for clip in part], device=device)
        inside = torch.arange(WINDOW, device=device)[None] < lengths[:, None]
        with half:
            middle = encoder(bank.gather(index, torch.ones_like(index, dtype=torch.float32)))
            out = network(middle, inside)
        for row, clip in enumerate(part):
            of = {name: value[row, : clip.hops].float() for name, value in out.items()}
            yield (
                clip,
                {
                    "events": of["events"].softmax(-1),
                    "delivery": of["delivery"].sigmoid(),
                    "emotion": of["emotion"],
                    "stammers": of["stammers"].sigmoid(),
                    "stress": of["stress"],
                },
            )


def smooth(values: Tensor, frames: int = _SMOOTH_FRAMES) -> Tensor:
    """The mean over so many frames around each, shape (frames, k)."""
    return functional.avg_pool1d(values.T[None], frames, 1, frames // 2, count_include_pad=True)[0].T


def evaluate(bank: Bank, encoder: MiddleEncoder, network: FrameTagger, log: Log, name: str) -> None:
    """Log what the network makes of clips that it was not trained on."""

    def clips_of(split: str, kind: str) -> list[Clip]:
        return [clip for clip in bank.clips if clip.row["split"] == split and clip.row["kind"] == kind]

    def hear(clips: list[Clip]) -> Iterator[tuple[Clip, Outputs]]:
        return alone(bank, encoder, network, clips)

    for split in ("validation", "test"):
        log(f"{name} {split} bursts alone, rows {EVENTS}")
        _score_bursts(hear(clips_of(split, "burst")), log)
        plain = clips_of(split, "plain")[:_MOST_PLAIN_CLIPS]
        log(f"{name} {split} plain: {_describe_plain(hear(plain))} of {len(plain)}")
    synthetic = clips_of("validation", "synthetic")
    if synthetic:
        log(f"{name} synthetic validation: {_describe_synthetic(hear(synthetic), bank)}")
    emotional = [clip for clip in clips_of("test", "emodb") if clip.row.get("emotion")]
    if emotional:
        truth, guess = [], []
        for clip, out in hear(emotional):
            truth.append(EMOTIONS.index(clip.row["emotion"]))
            guess.append(int(out["emotion"].mean(0)[:5].argmax()))
        macro_f1 = f1_score(truth, guess, average="macro", labels=[1, 2, 3, 4])
        log(f"{name} EmoDB test (03, 16), clip alone, frame network: macro-F1 {macro_f1:.3f}")


def _score_bursts(heard: Iterator[tuple[Clip, Outputs]], log: Log) -> None:
    table = np.zeros((len(EVENTS), len(EVENTS)), int)
    for clip, out in heard:
        mean = smooth(out["events"]).amax(0)
        mean[0] = _LEAST_SURE_OF_A_SOUND
        table[EVENTS.index(clip.row["sound"]), int(mean.argmax())] += 1
    for row in range(1, len(EVENTS)):
        if table[row].sum():
            counts = " ".join(f"{count:4d}" for count in table[row])
            log(f"  {EVENTS[row]:14s} {counts}  right {table[row, row] / table[row].sum():.2f}")


def _describe_plain(heard: Iterator[tuple[Clip, Outputs]]) -> str:
    false, words, per_tag = dict.fromkeys((0.3, 0.5, 0.7), 0), 0, dict[str, int]()
    whisper = shout = 0
    for clip, out in heard:
        peak = smooth(out["events"])[:, 1:6].amax(0)
        words += len((clip.row.get("text") or "").split())
        for threshold in false:
            false[threshold] += int((peak > threshold).sum())
        best = int(peak.argmax())
        if peak[best] > 0.5:
            per_tag[EVENTS[best + 1]] = per_tag.get(EVENTS[best + 1], 0) + 1
        whisper += int(out["delivery"][:, 0].mean() > 0.5)
        shout += int(out["delivery"][:, 1].mean() > 0.5)
    return f"{words} words, false events at {false}, {per_tag}, whisper {whisper}, shout {shout}"


def _describe_synthetic(heard: Iterator[tuple[Clip, Outputs]], bank: Bank) -> str:
    emotions: list[tuple[int, int]] = []
    # By name, what is and how sure the network is of it.
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in ("stammers", "stress", "whispers", "shouts")}
    for clip, out in heard:
        words = bank.maps["word"][clip.start : clip.start + clip.hops]
        for first, last, emotion, stammer, _ in clip.segments:
            here = slice(first - clip.start, last - clip.start)
            if emotion >= 0:
                emotions.append((emotion, int(out["emotion"][here].mean(0).argmax())))
            found["stammers"].append((stammer, float(out["stammers"][here].max())))
            for place, (name, label) in enumerate((("whispers", "whisper"), ("shouts", "shout"))):
                is_so = int(bank.labels[label][first:last].float().mean() > 0.5)
                found[name].append((is_so, float(out["delivery"][here, place].mean())))
        for number in torch.unique(words[words >= 0]).tolist():
            at = (words == number).nonzero()[:, 0]
            found["stress"].append((int(bank.word_stressed[number]), float(out["stress"][at].mean())))
    macro_f1 = f1_score(*zip(*emotions, strict=True), average="macro")
    precisions = " ".join(
        f"{name} {average_precision_score(*zip(*pairs, strict=True)):.3f} ({sum(truth for truth, _ in pairs)})"
        for name, pairs in found.items()
    )
    return f"emotion macro-F1 {macro_f1:.3f} of {len(emotions)}; average precision {precisions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--most", type=int)
    parser.add_argument("--variants", nargs="*", default=["w256:1"], help="NAME:SEED; NAME begins with w and the width")
    parser.add_argument("--short", action="store_true", help="half of the steps on shorter encoder contexts")
    parser.add_argument("--no-plain-emotion", action="store_true", help="plain English teaches no emotion")
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="folders of speak_training_texts.py")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options.output.mkdir(parents=True, exist_ok=True)

    def log(text: str) -> None:
        print(text, flush=True)
        with (options.output / "log.txt").open("a") as file:
            file.write(text + "\n")

    began = time.monotonic()
    rows = read_manifest(options.pack / "clips.jsonl")
    for folder in options.extra:
        for row in synthetic_rows(folder):
            row["id"] = f"{folder.resolve()}/{row['id'].split('/', 1)[1]}"
            rows.append(row)
    if options.no_plain_emotion:
        for row in rows:
            row.pop("neutral", None)
    if options.most:
        random.Random(0).shuffle(rows)
        rows = rows[: options.most]
    bank = Bank(rows, options.pack, device, workers=16 if device == "cuda" else 2)
    log(f"{len(rows)} clips, {bank.silence / 50 / 3600:.2f} h, read in {time.monotonic() - began:.0f} s")
    encoder = MiddleEncoder(options.encoder).to(device)
    for variant in options.variants:
        name, seed = variant.split(":")
        path = options.output / f"{name}-{seed}.pt"
        network = train(bank, encoder, options, log, int(seed), int(name[1:].split("-")[0]), path)
        evaluate(bank, encoder, network, log, name)
    log(f"all after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
