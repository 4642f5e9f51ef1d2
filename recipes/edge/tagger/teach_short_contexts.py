"""Teach a Whisper short encoder contexts by self-distillation: the same weights at 30 s are the teacher.

    python teach_short_contexts.py --whisper WHISPER_DIR --pack PACK --output OUT [--seconds 300]
    python teach_short_contexts.py --whisper WHISPER_DIR --merge OUT/adapter.pt --output OUT

No labels are needed: the teacher hears each example in 30 s and writes its text once (OUT/texts.jsonl); the student,
the same weights with LoRA, hears the sound and 0.5 to 6 s of silence, sometimes all 30 s, and learns the teacher's text
and its probabilities of every token, the language's among them. Some examples are made quiet for the student alone.
PACK is what `pack_recordings.py` wrote, its archives unpacked in it. The second command needs no GPU: it merges the
adapter into OUT/hf and, where evoxtral and CTranslate2 are installed, converts that to OUT/ct2. WHISPER_DIR keeps the
name of its model, such as whisper-base, by which the heads that follow the words in time are known. OUT/state.pt is
written every two minutes, and a run that was killed goes on from it. Writes OUT/log.txt: agreement of both with the
teacher and with the sets' transcripts on validation speakers, by context. Knows nothing of tags.
"""

import argparse
import json
import math
import multiprocessing
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from whisper_middle import log_mel

RATE_HZ = 16_000
WINDOW_S = 30.0
# Of one frame of the encoder's output.
_FRAME_SAMPLES = 320
_KINDS = ("plain", "synthetic", "emodb", "speech")
_GERMAN_SETS = ("emodb", "thorsten")
_SHORTEST_S, _LONGEST_S = 0.8, 24.0
# Clips of one speaker in a row, so that all lengths up to the longest are met.
_MOST_JOINED, _JOINTS_S, _JOINED_SHARE = 4, (0.2, 0.8), 0.6
_MARGINS_S, _WHOLE_SHARE = (0.5, 6.0), 0.25
_QUIET_SHARE, _MOST_QUIET_DB = 0.3, 35.0
_LORA = {"r": 32, "lora_alpha": 64, "target_modules": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]}
_LEARNING_RATE, _WARM_UP_STEPS = 2e-4, 50
# Of the teacher's text, beside its probabilities.
_TEXT_WEIGHT = 0.3
_TOKENS_PER_S, _TOKENS_EXTRA, _MOST_TOKENS = 12, 24, 200
_SAVE_EVERY_S = 120.0
_FILES = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "generation_config.json")
_IGNORED = -100

Log = Callable[[str], None]


@dataclass
class Example:
    """What is heard at once: int16 samples at 16 kHz, language, the set's transcript or "", the teacher's tokens."""

    samples: NDArray[np.int16]
    language: str
    transcript: str
    tokens: list[int]

    @property
    def length_s(self) -> float:
        return len(self.samples) / RATE_HZ


def _read(path: str) -> NDArray[np.int16]:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(1)
    if rate != RATE_HZ:
        mono = scipy.signal.resample_poly(mono, RATE_HZ, rate)
    return (np.clip(mono, -1, 1) * 32767).astype(np.int16)


def read_examples(pack: Path, split: str, *, most: int | None, workers: int, seed: int = 0) -> list[Example]:
    """The clips of a split, each alone, and some of one speaker in a row."""
    rng = random.Random(seed)
    rows = [json.loads(line) for line in (pack / "clips.jsonl").open()]
    rows = [
        row
        for row in rows
        if row["split"] == split and row["kind"] in _KINDS and _SHORTEST_S <= row["duration"] <= _LONGEST_S
    ]
    rng.shuffle(rows)
    rows = rows[:most]
    with multiprocessing.Pool(workers) as pool:
        sounds = pool.map(_read, [str(pack / row["id"]) for row in rows], chunksize=16)
    singles: dict[tuple[str, str], list[Example]] = {}
    for row, samples in zip(rows, sounds, strict=True):
        language = "de" if row["id"].startswith(_GERMAN_SETS) else "en"
        # Tags of synthetic clips are not said.
        transcript = re.sub(r"\[[^\]]*\]", " ", row.get("text") or "")
        singles.setdefault((row["speaker"], language), []).append(Example(samples, language, transcript, []))
    examples = [example for of_speaker in singles.values() for example in of_speaker]
    speakers = list(singles)
    for _ in range(int(_JOINED_SHARE * len(examples))):
        speaker = rng.choice(speakers)
        count = min(rng.randint(2, _MOST_JOINED), len(singles[speaker]))
        parts: list[NDArray[np.int16]] = []
        texts: list[str] = []
        for example in rng.sample(singles[speaker], count):
            gap = np.zeros(int(rng.uniform(*_JOINTS_S) * RATE_HZ), np.int16)
            if sum(map(len, parts)) + len(gap) + len(example.samples) > _LONGEST_S * RATE_HZ:
                break
            parts += [gap, example.samples] if parts else [example.samples]
            texts.append(example.transcript)
        if len(texts) > 1:
            is_known = all(text.strip() for text in texts)
            examples.append(Example(np.concatenate(parts), speaker[1], " ".join(texts) if is_known else "", []))
    return examples


class Pair:
    """Teacher and student: one Whisper, whose LoRA is off for the teacher."""

    def __init__(self, folder: Path, device: str) -> None:
        from peft import LoraConfig, get_peft_model
        from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizerFast

        whisper = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.adapted: Any = get_peft_model(whisper, LoraConfig(**_LORA)).to(device).eval()
        self.whisper: Any = self.adapted.get_base_model()
        self.tokenizer: Any = WhisperTokenizerFast.from_pretrained(folder)
        filters = np.asarray(WhisperFeatureExtractor.from_pretrained(folder).mel_filters, np.float32)
        self.filters = torch.from_numpy(filters).to(device)
        self.device = device
        self.end = int(self.tokenizer.convert_tokens_to_ids("<|endoftext|>"))

    def teacher(self) -> AbstractContextManager[None]:
        return self.adapted.disable_adapter()  # type: ignore[no-any-return]

    def half(self) -> AbstractContextManager[Any]:
        """bfloat16 on a GPU, nothing on a CPU."""
        return torch.autocast("cuda", torch.bfloat16) if self.device == "cuda" else nullcontext()

    def prompt(self, language: str) -> list[int]:
        names = ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>"]
        return list(self.tokenizer.convert_tokens_to_ids(names))

    def samples(self, examples: Sequence[Example], context_s: float) -> Tensor:
        """Float samples, each filled up with silence to the context, shape (n, samples of whole frames)."""
        size = min(math.ceil(context_s * RATE_HZ / _FRAME_SAMPLES) * _FRAME_SAMPLES, int(WINDOW_S * RATE_HZ))
        padded = torch.zeros(len(examples), size)
        for row, example in zip(padded, examples, strict=True):
            heard = example.samples[:size]
            row[: len(heard)] = torch.from_numpy(heard.astype(np.float32)) / 32767
        return padded.to(self.device)

    def encode(self, samples: Tensor) -> Tensor:
        """The encoder's output for any context; transformers' own takes 30 s only."""
        encoder = self.whisper.model.encoder
        x = functional.gelu(encoder.conv1(log_mel(samples, self.filters)))
        x = functional.gelu(encoder.conv2(x)).transpose(1, 2)
        x = x + encoder.embed_positions.weight[: x.shape[1]]
        for layer in encoder.layers:
            x = layer(x, None)
            x = x[0] if isinstance(x, tuple) else x
        return encoder.layer_norm(x)  # type: ignore[no-any-return]

    def logits(self, encoded: Tensor, tokens: Tensor) -> Tensor:
        """The next token's, for each place of `tokens`, shape (n, places, vocabulary)."""
        return self.whisper(encoder_outputs=(encoded,), decoder_input_ids=tokens, use_cache=False).logits  # type: ignore[no-any-return]

    @torch.no_grad()
    def write(self, examples: Sequence[Example], context_s: float) -> list[list[int]]:
        """Greedy texts of examples of one length or shorter ones, as tokens without prompt and end."""
        from transformers import DynamicCache, EncoderDecoderCache

        with self.half():
            encoded = self.encode(self.samples(examples, context_s))
            tokens = torch.tensor([self.prompt(example.language) for example in examples], device=self.device)
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
            written: list[list[int]] = [[] for _ in examples]
            ended = [False] * len(examples)
            longest_s = max(example.length_s for example in examples)
            for _ in range(min(_MOST_TOKENS, _TOKENS_EXTRA + int(_TOKENS_PER_S * longest_s))):
                out = self.whisper(
                    encoder_outputs=(encoded,), decoder_input_ids=tokens, past_key_values=cache, use_cache=True
                )
                cache = out.past_key_values
                tokens = out.logits[:, -1].argmax(-1, keepdim=True)
                for row, token in enumerate(tokens[:, 0].tolist()):
                    ended[row] = ended[row] or token == self.end
                    if not ended[row]:
                        written[row].append(token)
                if all(ended):
                    break
        return written

    def text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode([token for token in tokens if token < self.end])).strip()


def batches(examples: Sequence[Example], size: int) -> Iterator[list[int]]:
    """Indices of all examples in batches of like length and language."""
    order = sorted(range(len(examples)), key=lambda i: (examples[i].language, len(examples[i].samples)))
    for first in range(0, len(order), size):
        batch = order[first : first + size]
        for language in {examples[i].language for i in batch}:
            yield [i for i in batch if examples[i].language == language]


def write_teachers_texts(pair: Pair, examples: Sequence[Example], path: Path, size: int, log: Log) -> None:
    """Give each example the teacher's tokens, from the file where it holds them."""
    known = [json.loads(line) for line in path.open()] if path.is_file() else []
    for line in known:
        examples[line["index"]].tokens = line["tokens"]
    had = {line["index"] for line in known}
    began = time.monotonic()
    with path.open("a") as file, pair.teacher():
        for batch in batches(examples, size):
            left = [index for index in batch if index not in had]
            if not left:
                continue
            for index, tokens in zip(left, pair.write([examples[i] for i in left], WINDOW_S), strict=True):
                examples[index].tokens = tokens
                file.write(json.dumps({"index": index, "tokens": tokens}) + "\n")
            file.flush()
    log(f"teacher's texts: {len(examples)}, {len(had)} were there, {time.monotonic() - began:.0f} s")


def teaches(example: Example) -> bool:
    """A text that was cut off, or that is too fast for its sound, is a loop and teaches nothing good."""
    return len(example.tokens) < min(_MOST_TOKENS, _TOKENS_EXTRA / 2 + _TOKENS_PER_S / 2 * example.length_s)


def distil(pair: Pair, examples: Sequence[Example], context_s: float, rng: random.Random) -> Tensor:
    """The loss of a batch of one language: divergence from the teacher's probabilities, and its text."""
    prompt = pair.prompt(examples[0].language)
    places = len(prompt) + max(len(example.tokens) for example in examples)
    tokens = torch.full((len(examples), places), pair.end)
    wanted = torch.full((len(examples), places), _IGNORED)
    for row, example in enumerate(examples):
        written = [*prompt, *example.tokens]
        tokens[row, : len(written)] = torch.tensor(written)
        following = [*written[1:], pair.end]
        wanted[row, : len(following)] = torch.tensor(following)
    tokens, wanted = tokens.to(pair.device), wanted.to(pair.device)
    known = wanted != _IGNORED
    samples = pair.samples(examples, WINDOW_S)
    with torch.no_grad(), pair.teacher(), pair.half():
        teacher = pair.logits(pair.encode(samples), tokens)[known].float().log_softmax(-1)
    quiet_db = [rng.uniform(0, _MOST_QUIET_DB) if rng.random() < _QUIET_SHARE else 0.0 for _ in examples]
    gain = torch.tensor([10 ** (-level / 20) for level in quiet_db], device=pair.device)
    with pair.half():
        student = pair.logits(pair.encode(pair.samples(examples, context_s) * gain[:, None]), tokens)[known]
    logarithm = student.float().log_softmax(-1)
    divergence = functional.kl_div(logarithm, teacher, log_target=True, reduction="batchmean")
    return divergence + _TEXT_WEIGHT * functional.nll_loss(logarithm, wanted[known])


def trainable(pair: Pair) -> dict[str, Tensor]:
    return {name: value for name, value in pair.adapted.named_parameters() if value.requires_grad}


def train(pair: Pair, examples: Sequence[Example], options: argparse.Namespace, log: Log) -> None:
    """Until `--steps` or `--seconds` are over; OUT/adapter.pt holds the adapter as float16."""
    weights = trainable(pair)
    optimiser = torch.optim.AdamW(weights.values(), lr=_LEARNING_RATE, weight_decay=0.0)
    state_path, step, spent_s = options.output / "state.pt", 0, 0.0
    if state_path.is_file():
        state = torch.load(state_path, map_location=pair.device, weights_only=True)
        for name, value in state["adapter"].items():
            weights[name].data.copy_(value)
        optimiser.load_state_dict(state["optimiser"])
        step, spent_s = state["step"], state["spent_s"]
        log(f"goes on from step {step}")
    began = saved = time.monotonic()

    def save() -> None:
        state = {"optimiser": optimiser.state_dict(), "step": step, "spent_s": spent_s + time.monotonic() - began}
        unfinished = state_path.with_suffix(".new")
        torch.save({**state, "adapter": {name: value.detach() for name, value in weights.items()}}, unfinished)
        unfinished.replace(state_path)
        torch.save(
            {name: value.detach().half().cpu() for name, value in weights.items()}, options.output / "adapter.pt"
        )

    useful = [example for example in examples if teaches(example)]
    count = sum(value.numel() for value in weights.values())
    log(f"{len(useful)} of {len(examples)} examples teach; {count / 1e6:.1f} M weights")
    if not useful:
        raise SystemExit("no example teaches: every text of the teacher is a loop")
    pair.adapted.train()
    groups = list(batches(useful, options.batch))
    running = 0.0
    while True:
        now = time.monotonic()
        progress = max(step / options.steps, (spent_s + now - began) / options.seconds)
        if progress >= 1.0:
            break
        rng = random.Random(step)
        for group in optimiser.param_groups:
            warm_up = min(1.0, (step + 1) / _WARM_UP_STEPS)
            group["lr"] = _LEARNING_RATE * warm_up * (0.5 * (1 + math.cos(math.pi * progress)) + 0.01)
        batch = [useful[index] for index in rng.choice(groups)]
        longest_s = max(example.length_s for example in batch)
        context_s = WINDOW_S if rng.random() < _WHOLE_SHARE else min(longest_s + rng.uniform(*_MARGINS_S), WINDOW_S)
        loss = distil(pair, batch, context_s, rng)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimiser.step()
        step += 1
        now_lost = float(loss.detach())
        running = 0.95 * running + 0.05 * now_lost if running else now_lost
        if step % 50 == 0:
            log(f"step {step}, {spent_s + time.monotonic() - began:.0f} s: loss {running:.4f}")
        if time.monotonic() - saved > _SAVE_EVERY_S:
            save()
            saved = time.monotonic()
    save()
    pair.adapted.eval()
    log(f"{step} steps in {spent_s + time.monotonic() - began:.0f} s")


def errors(truth: str, guess: str) -> tuple[int, int]:
    """Word errors by a plain normalisation, and words of the truth."""
    said, heard = (re.findall(r"[\w']+", text.lower()) for text in (truth, guess))
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        left, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            left, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, left + (word != other))
    return row[-1], len(said)


def evaluate(pair: Pair, examples: Sequence[Example], size: int, log: Log, name: str) -> None:
    """WER by context: against the teacher's texts in 30 s, and against the sets' transcripts; and loops."""
    contexts: dict[str, Callable[[float], float]] = {
        "30 s": lambda length_s: WINDOW_S,
        "20 s": lambda length_s: max(20.0, length_s),
        "15 s": lambda length_s: max(15.0, length_s),
        "10 s": lambda length_s: max(10.0, length_s),
        "length + 3 s": lambda length_s: length_s + 3.0,
        "length + 1 s": lambda length_s: length_s + 1.0,
    }
    for context, of_length in contexts.items():
        totals = np.zeros((2, 2), int)
        loops = 0
        for batch in batches(examples, size):
            heard = [examples[index] for index in batch]
            context_s = min(of_length(max(example.length_s for example in heard)), WINDOW_S)
            for example, tokens in zip(heard, pair.write(heard, context_s), strict=True):
                text = pair.text(tokens)
                totals[0] += errors(pair.text(example.tokens), text)
                if example.transcript.strip():
                    totals[1] += errors(example.transcript, text)
                loops += len(tokens) > _TOKENS_EXTRA / 2 + _TOKENS_PER_S / 2 * example.length_s
        (wrong, words), (wrong_said, said) = totals.tolist()
        log(
            f"{name}, {context}: WER against the teacher {wrong / max(words, 1):.4f}, against transcripts "
            f"{wrong_said / max(said, 1):.4f} ({len(examples)} examples, {said} words), loops {loops}"
        )


def merge(pair: Pair, adapter: Path, whisper: Path, output: Path, log: Log) -> None:
    """OUT/hf: the weights with the adapter in them; OUT/ct2: the same as int8, where evoxtral and CTranslate2 are."""
    weights = trainable(pair)
    for name, value in torch.load(adapter, map_location=pair.device, weights_only=True).items():
        weights[name].data.copy_(value)
    folder = output / "hf"
    pair.adapted.merge_and_unload().half().save_pretrained(folder)
    for name in _FILES:
        if (whisper / name).is_file():
            shutil.copy(whisper / name, folder / name)
    try:
        from evoxtral.errors import ModelError
        from evoxtral.models.families.registry import find_family
        from evoxtral.training.export import export_ctranslate2
    except ImportError as missing:
        log(f"{missing}: merge elsewhere with --merge")
        return
    heads = find_family("whisper").alignment_heads.get(whisper.resolve().name)
    try:
        export_ctranslate2(folder, output / "ct2", heads=heads, quantization="int8")
    except ModelError as error:
        log(f"{error.message}: merge elsewhere with --merge")
        return
    log(f"wrote {output / 'ct2'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", type=Path, required=True, help="a multilingual Whisper as transformers keeps it")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--merge", type=Path, help="an adapter.pt: merge and convert only")
    parser.add_argument("--seconds", type=float, default=1e9, help="of training")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--most", type=int, help="clips of each split")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    def log(text: str) -> None:
        print(text, flush=True)
        with (options.output / "log.txt").open("a") as file:
            file.write(text + "\n")

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    pair = Pair(options.whisper, device)
    if options.merge is None:
        if options.pack is None:
            parser.error("--pack is needed to train")
        workers = 16 if device == "cuda" else 1
        examples, validation = (
            read_examples(options.pack, split, most=options.most, workers=workers) for split in ("train", "validation")
        )
        validation = random.Random(1).sample(validation, min(len(validation), 400))
        write_teachers_texts(pair, validation, options.output / "texts-validation.jsonl", options.batch, log)
        with pair.teacher():
            evaluate(pair, validation, options.batch, log, "teacher")
        write_teachers_texts(pair, examples, options.output / "texts.jsonl", 2 * options.batch, log)
        train(pair, examples, options, log)
        evaluate(pair, validation, options.batch, log, "student")
    merge(pair, options.merge or options.output / "adapter.pt", options.whisper, options.output, log)


if __name__ == "__main__":
    main()
