"""Teach a Whisper short encoder contexts by self-distillation, and which sounds between speech have a tag.

    python teach_short_contexts.py --whisper WHISPER_DIR --pack PACK --output OUT [--seconds 300]
    python teach_short_contexts.py --whisper WHISPER_DIR --merge OUT/adapter.pt --output OUT

No labels of speech are needed: the teacher, the same weights, hears each example in 30 s and writes its text once
(OUT/texts.jsonl); the student, the weights with LoRA, hears the sound and 0.3 to 6 s of silence, sometimes all 30 s,
and learns the teacher's text and its probabilities of every token, the language's among them. Some examples are made
quiet, narrow, noisy or clipped for the student alone. Beside each batch of these it hears recorded sounds between
speech (`composed_sounds.py`): what has no tag is to be passed over as if it were not there, what has one is to be
written. PACK is what `../tagger/pack_recordings.py --for-words` wrote, its archives unpacked in it. The second command
needs no GPU: it merges the adapter into OUT/hf and, where evoxtral and CTranslate2 are installed, converts that to
OUT/ct2. WHISPER_DIR is Whisper base (in a folder named so, by which the heads that follow the words in time are known)
or the shipped decoder as `whisper_from_ctranslate2.py` writes it. OUT/state.pt is written every minute, and a run that
was killed goes on from it. Writes OUT/log.txt: words, tags and sounds of validation speakers by context, before and
after.
"""

import argparse
import json
import math
import multiprocessing
import random
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "tagger")]

from composed_sounds import TAGGED, UNTAGGED, Composer, Example, read_sounds  # noqa: E402
from tagger_data import augment  # noqa: E402
from whisper_middle import log_mel  # noqa: E402

RATE_HZ = 16_000
WINDOW_S = 30.0
# Of one frame of the encoder's output.
_FRAME_SAMPLES = 320
_KINDS = ("plain", "synthetic", "emodb", "speech")
_GERMAN_SETS = ("emodb", "thorsten")
_SHORTEST_S, _LONGEST_S = 0.4, 24.0
# Clips of one speaker in a row, so that all lengths up to the longest are met.
_MOST_JOINED, _JOINTS_S, _JOINED_SHARE = 4, (0.2, 0.8), 0.5
# Silence after the longest clip of a batch; a batch in 30 s; one in anything between.
_MARGINS_S, _WHOLE_SHARE, _ANY_SHARE = (0.3, 6.0), 0.15, 0.15
# Heard by the student with noise, in a room, through a telephone, clipped, up to 30 dB quieter.
_CHANGED_SHARE = 0.35
# Batches of synthetic clips, which hold the tags that speech of the sets does not; composed examples for each other.
_SYNTHETIC_SHARE, _COMPOSED_SHARE = 0.4, 0.5
_LORA = {"r": 32, "lora_alpha": 64, "target_modules": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]}
_LEARNING_RATE, _WARM_UP_STEPS = 2e-4, 50
# Of the teacher's text, beside its probabilities; of a tag and what follows it, where the teacher knows nothing.
_TEXT_WEIGHT, _TAG_WEIGHT = 0.3, 1.3
_VALIDATED, _VALIDATED_A_SOUND = 400, 24
_TOKENS_PER_S, _TOKENS_EXTRA, _MOST_TOKENS = 6, 12, 200
# Batches of training, when texts are written.
_WRITTEN_TOGETHER = 8
_SAVE_EVERY_S = 60.0
# The shortest that the engine may give a model so taught, by its config.json; what is taught goes down to 0.7 s.
_LEAST_CONTEXT_S = 5.0
_FILES = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "generation_config.json")
_IGNORED = -100

Log = Callable[[str], None]


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
    singles: dict[tuple[str, str, str], list[Example]] = {}
    for row, samples in zip(rows, sounds, strict=True):
        language = "de" if row["id"].startswith(_GERMAN_SETS) else "en"
        # A doubtful clip may hold a sound that its text does not name.
        kind = "doubtful" if row.get("doubtful") else row["kind"]
        example = Example(samples, language, row.get("text") or "", [], kind=kind, speaker=row["speaker"])
        singles.setdefault((row["speaker"], language, kind), []).append(example)
    examples = [example for of_speaker in singles.values() for example in of_speaker]
    speakers = list(singles)
    weights = [len(of_speaker) for of_speaker in singles.values()]
    for speaker in rng.choices(speakers, weights, k=int(_JOINED_SHARE * len(examples))) if examples else []:
        count = min(rng.randint(2, _MOST_JOINED), len(singles[speaker]))
        parts: list[NDArray[np.int16]] = []
        texts: list[str] = []
        for example in rng.sample(singles[speaker], count):
            gap = np.zeros(int(rng.uniform(*_JOINTS_S) * RATE_HZ), np.int16)
            if sum(map(len, parts)) + len(gap) + len(example.samples) > _LONGEST_S * RATE_HZ:
                break
            parts += [gap, example.samples] if parts else [example.samples]
            texts.append(example.reference)
        if len(texts) > 1:
            is_known = all(text.strip() for text in texts)
            joined = np.concatenate(parts)
            reference = " ".join(texts) if is_known else ""
            name, language, kind = speaker
            examples.append(Example(joined, language, reference, [], kind=f"joined {kind}", speaker=name))
    return examples


class Pair:
    """Teacher and student: one Whisper, whose LoRA is off for the teacher."""

    def __init__(self, folder: Path, device: str, *, half: bool | None = None) -> None:
        from peft import LoraConfig, get_peft_model
        from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizerFast

        whisper = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.adapted: Any = get_peft_model(whisper, LoraConfig(**_LORA)).to(device).eval()
        self.whisper: Any = self.adapted.get_base_model()
        self.tokenizer: Any = WhisperTokenizerFast.from_pretrained(folder)
        filters = np.asarray(WhisperFeatureExtractor.from_pretrained(folder).mel_filters, np.float32)
        self.filters = torch.from_numpy(filters).to(device)
        self.device = device
        self._is_half = device == "cuda" if half is None else half
        self.end = int(self.tokenizer.convert_tokens_to_ids("<|endoftext|>"))

    def teacher(self) -> AbstractContextManager[None]:
        return self.adapted.disable_adapter()  # type: ignore[no-any-return]

    def half(self) -> AbstractContextManager[Any]:
        """bfloat16 on a GPU; on a CPU only where it was asked for."""
        return torch.autocast(self.device, torch.bfloat16) if self._is_half else nullcontext()

    def prompt(self, language: str) -> list[int]:
        names = ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>"]
        return list(self.tokenizer.convert_tokens_to_ids(names))

    def samples(self, sounds: Sequence[NDArray[np.int16]], context_s: float) -> Tensor:
        """Float samples, each filled up with silence to the context, shape (n, samples of whole frames)."""
        size = min(math.ceil(context_s * RATE_HZ / _FRAME_SAMPLES) * _FRAME_SAMPLES, int(WINDOW_S * RATE_HZ))
        longest = min(size, max(map(len, sounds)))
        heard = np.zeros((len(sounds), longest), np.int16)
        for row, sound in zip(heard, sounds, strict=True):
            row[: min(len(sound), longest)] = sound[:longest]
        return functional.pad(torch.from_numpy(heard).to(self.device).float() / 32767, (0, size - longest))

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
            encoded = self.encode(self.samples([example.samples for example in examples], context_s))
            tokens = torch.tensor([self.prompt(example.language) for example in examples], device=self.device)
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
            written: list[list[int]] = [[] for _ in examples]
            ended = [False] * len(examples)
            longest_s = max(example.length_s for example in examples)
            for _ in range(int(_most_tokens(longest_s)) + 1):
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

    def tag_tokens(self) -> dict[str, list[int]]:
        return {name: self.tokenizer.encode(f" [{name}]", add_special_tokens=False) for name in TAGGED}

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


def _most_tokens(length_s: float) -> float:
    """What has more tokens is a loop."""
    return min(_MOST_TOKENS, _TOKENS_EXTRA + _TOKENS_PER_S * length_s)


def teaches(example: Example) -> bool:
    """A text that was cut off, or that is too fast for its sound, is a loop and teaches nothing good."""
    return len(example.tokens) < _most_tokens(example.length_s)


def distil(pair: Pair, examples: Sequence[Example], context_s: float, generator: torch.Generator) -> Tensor:
    """The loss of a batch of one language: divergence from the teacher's probabilities, and its text.

    A tag that the teacher cannot know, and the token after it, are learnt from the text alone.
    """
    prompt = pair.prompt(examples[0].language)
    places = len(prompt) + max(len(example.tokens) for example in examples)
    tokens = torch.full((len(examples), places), pair.end)
    wanted = torch.full((len(examples), places), _IGNORED)
    is_tag = torch.zeros(len(examples), places, dtype=torch.bool)
    for row, example in enumerate(examples):
        written = [*prompt, *example.tokens]
        tokens[row, : len(written)] = torch.tensor(written)
        following = [*written[1:], pair.end]
        wanted[row, : len(following)] = torch.tensor(following)
        if example.tag:
            # A token is predicted one place before its own.
            is_tag[row, len(prompt) - 1 + example.tag.start : len(prompt) + example.tag.stop] = True
    tokens, wanted, is_tag = tokens.to(pair.device), wanted.to(pair.device), is_tag.to(pair.device)
    known = wanted != _IGNORED
    heard = [example.samples for example in examples]
    clean = [example.samples if example.clean is None else example.clean for example in examples]
    with torch.no_grad(), pair.teacher(), pair.half():
        teacher = pair.logits(pair.encode(pair.samples(clean, WINDOW_S)), tokens)[known].float().log_softmax(-1)
    samples = _changed(pair.samples(heard, context_s), heard, generator)
    with pair.half():
        student = pair.logits(pair.encode(samples), tokens)[known]
    logarithm = student.float().log_softmax(-1)
    divergence = functional.kl_div(logarithm, teacher, log_target=True, reduction="none").sum(-1)
    of_text = functional.nll_loss(logarithm, wanted[known], reduction="none")
    return torch.where(is_tag[known], _TAG_WEIGHT * of_text, divergence + _TEXT_WEIGHT * of_text).mean()


def _changed(samples: Tensor, heard: Sequence[NDArray[np.int16]], generator: torch.Generator) -> Tensor:
    """Some of the rows in another room, on another line, quieter; silence stays after each."""
    chosen = torch.rand(len(heard), generator=generator, device=samples.device) < _CHANGED_SHARE
    rows = chosen.nonzero()[:, 0]
    if len(rows):
        hops = torch.tensor([math.ceil(len(sound) / _FRAME_SAMPLES) for sound in heard], device=samples.device)
        samples = samples.index_copy(0, rows, augment(samples[rows], hops[rows], generator))
    return samples


def trainable(pair: Pair) -> dict[str, Tensor]:
    return {name: value for name, value in pair.adapted.named_parameters() if value.requires_grad}


def train(pair: Pair, examples: Sequence[Example], composer: Composer, options: argparse.Namespace, log: Log) -> None:
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
    log(
        f"{len(useful)} of {len(examples)} examples teach, {composer.speech_count} of them between sounds; "
        f"{count / 1e6:.1f} M weights"
    )
    if not useful:
        raise SystemExit("no example teaches: every text of the teacher is a loop")
    pair.adapted.train()
    pools = [
        [[pool[index] for index in indices] for indices in batches(pool, options.batch)]
        for pool in (
            [example for example in useful if "synthetic" in example.kind],
            [example for example in useful if "synthetic" not in example.kind],
        )
    ]
    running: dict[str, float] = {}
    while True:
        now = time.monotonic()
        progress = max(step / options.steps, (spent_s + now - began) / options.seconds)
        if progress >= 1.0:
            break
        rng = random.Random(step)
        generator = torch.Generator(pair.device).manual_seed(step)
        for group in optimiser.param_groups:
            warm_up = min(1.0, (step + 1) / _WARM_UP_STEPS)
            group["lr"] = _LEARNING_RATE * warm_up * (0.5 * (1 + math.cos(math.pi * progress)) + 0.01)
        synthetic, speech = pools
        pool = synthetic if synthetic and (not speech or rng.random() < _SYNTHETIC_SHARE) else speech
        taught = [("speech", rng.choice(pool))]
        if composer.is_usable:
            taught.append(("composed", composer.batch(max(1, int(_COMPOSED_SHARE * options.batch)), rng)))
        optimiser.zero_grad()
        for name, batch in taught:
            loss = distil(pair, batch, _context_s(batch, rng), generator)
            loss.backward()
            lost = float(loss.detach())
            running[name] = 0.95 * running.get(name, lost) + 0.05 * lost
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimiser.step()
        step += 1
        if step % 50 == 0:
            losses = ", ".join(f"{name} {value:.4f}" for name, value in running.items())
            log(f"step {step}, {spent_s + time.monotonic() - began:.0f} s: loss {losses}")
        if time.monotonic() - saved > _SAVE_EVERY_S:
            save()
            saved = time.monotonic()
    save()
    pair.adapted.eval()
    log(f"{step} steps in {spent_s + time.monotonic() - began:.0f} s")


def _context_s(batch: Sequence[Example], rng: random.Random) -> float:
    longest_s = max(example.length_s for example in batch)
    draw = rng.random()
    if draw < _WHOLE_SHARE:
        return WINDOW_S
    if draw < _WHOLE_SHARE + _ANY_SHARE:
        return rng.uniform(min(longest_s + _MARGINS_S[0], WINDOW_S), WINDOW_S)
    return min(longest_s + rng.uniform(*_MARGINS_S), WINDOW_S)


def errors(truth: str, guess: str) -> tuple[int, int]:
    """Word errors by a plain normalisation, and words of the truth."""
    said, heard = (re.findall(r"[\w']+", text.lower()) for text in (truth, guess))
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        left, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            left, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, left + (word != other))
    return row[-1], len(said)


_CONTEXTS: Mapping[str, Callable[[float], float]] = {
    "30 s": lambda length_s: WINDOW_S,
    "20 s": lambda length_s: max(20.0, length_s),
    "15 s": lambda length_s: max(15.0, length_s),
    "10 s": lambda length_s: max(10.0, length_s),
    "length + 1 s": lambda length_s: length_s + 1.0,
}


def tags_of(text: str) -> Counter[str]:
    return Counter(re.findall(r"\[([^\]]*)\]", text))


def _words_of(text: str) -> str:
    return re.sub(r"\[[^\]]*\]?", " ", text)


def heard_texts(
    pair: Pair, examples: Sequence[Example], size: int, of_length: Callable[[float], float]
) -> tuple[list[str], int]:
    """What is written of each example, and how many are loops."""
    texts, loops = [""] * len(examples), 0
    for batch in batches(examples, size):
        heard = [examples[index] for index in batch]
        context_s = min(of_length(max(example.length_s for example in heard)), WINDOW_S)
        for index, tokens in zip(batch, pair.write(heard, context_s), strict=True):
            texts[index] = pair.text(tokens)
            loops += len(tokens) > _most_tokens(examples[index].length_s)
    return texts, loops


def evaluate(
    pair: Pair, examples: Sequence[Example], composed: Sequence[Example], size: int, log: Log, name: str
) -> None:
    """Words and tags by context: against the teacher's texts in 30 s and the sets' own; sounds between speech."""
    groups = {
        "speech": [example for example in examples if "synthetic" not in example.kind],
        "synthetic": [example for example in examples if "synthetic" in example.kind],
        "0.4 to 2 s": [e for e in examples if "synthetic" not in e.kind and e.length_s <= 2.0],
    }
    for context, of_length in _CONTEXTS.items():
        for group, members in groups.items():
            if not members:
                continue
            texts, loops = heard_texts(pair, members, size, of_length)
            teachers = [pair.text(example.tokens) for example in members]
            known = [(e.reference, text) for e, text in zip(members, texts, strict=True) if e.reference.strip()]
            line = f"{name}, {context}, {group} ({len(members)}): WER against the teacher {_wer(teachers, texts)}, "
            line += f"against transcripts {_wer([a for a, _ in known], [b for _, b in known])}, loops {loops}, "
            if group == "synthetic":
                line += f"tag F1 against the teacher {_tag_f1(teachers, texts)}, "
                log(line + f"against the truth {_tag_f1([a for a, _ in known], [b for _, b in known])}")
            else:
                tags = sum(tags_of(text).total() for text in texts)
                words = sum(len(_words_of(text).split()) for text in texts)
                log(line + f"tags per 100 words {100 * tags / max(words, 1):.2f}")
    for context in ("30 s", "15 s", "length + 1 s") if composed else ():
        texts, loops = heard_texts(pair, composed, size, _CONTEXTS[context])
        rates = []
        for sound in [*TAGGED, *UNTAGGED]:
            found = [tags_of(text) for e, text in zip(composed, texts, strict=True) if e.sound == sound]
            if found:
                right = sum(tags == Counter([sound] if sound in TAGGED else []) for tags in found)
                rates.append(f"{sound} {right}/{len(found)} right, {sum(map(bool, found))} with a tag")
        wer = _wer([pair.text(example.tokens) for example in composed], texts)
        log(f"{name}, {context}, sounds: WER {wer}, loops {loops}; {'; '.join(rates)}")


def _wer(truths: Sequence[str], guesses: Sequence[str]) -> str:
    pairs = [errors(_words_of(a), _words_of(b)) for a, b in zip(truths, guesses, strict=True)]
    return f"{sum(wrong for wrong, _ in pairs) / max(sum(words for _, words in pairs), 1):.4f}"


def _tag_f1(truths: Sequence[str], guesses: Sequence[str]) -> str:
    counted = [(tags_of(a), tags_of(b)) for a, b in zip(truths, guesses, strict=True)]
    both = sum((a & b).total() for a, b in counted)
    return f"{2 * both / max(sum(a.total() + b.total() for a, b in counted), 1):.3f}"


def is_plain(pair: Pair, example: Example) -> bool:
    """Whether speech may stand around a sound: English of a set, one text without tags."""
    text = pair.text(example.tokens)
    return example.kind == "plain" and example.language == "en" and teaches(example) and bool(text) and "[" not in text


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
    path = output / "ct2" / "config.json"
    config = json.loads(path.read_text("utf-8")) | {"least_context_s": _LEAST_CONTEXT_S}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    log(f"wrote {output / 'ct2'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", type=Path, required=True, help="a multilingual Whisper as transformers keeps it")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--merge", type=Path, help="an adapter.pt: merge and convert only")
    parser.add_argument("--seconds", type=float, default=1e9, help="of training")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--most", type=int, help="clips of each split")
    parser.add_argument("--half", action="store_true", help="bfloat16 on a CPU also, to try the code of a GPU")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    def log(text: str) -> None:
        print(text, flush=True)
        with (options.output / "log.txt").open("a") as file:
            file.write(text + "\n")

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    pair = Pair(options.whisper, device, half=True if options.half else None)
    if options.merge is None:
        if options.pack is None:
            parser.error("--pack is needed to train")
        workers = 16 if device == "cuda" else 1
        began = time.monotonic()
        (examples, sounds), (validation, validation_sounds) = (
            (
                read_examples(options.pack, split, most=options.most, workers=workers),
                read_sounds(options.pack, split, read=_read, workers=workers, most=options.most),
            )
            for split in ("train", "validation")
        )
        log(f"read {len(examples)} and {len(validation)} examples in {time.monotonic() - began:.0f} s")
        log(f"sounds: { {name: len(found) for name, found in sounds.items()} }")
        size = _WRITTEN_TOGETHER * options.batch
        write_teachers_texts(pair, validation, options.output / "texts-validation.jsonl", size, log)

        def composer_of(speech: Sequence[Example], sounds: Mapping[str, Sequence[NDArray[np.int16]]]) -> Composer:
            return Composer(speech, sounds, pair.tag_tokens(), fits=lambda example: is_plain(pair, example))

        rng = random.Random(1)
        between = composer_of(validation, validation_sounds)
        composed = [
            between.draw(rng, sound)
            for sound in [*TAGGED, *UNTAGGED]
            for _ in range(_VALIDATED_A_SOUND)
            if between.is_usable and validation_sounds.get(sound)
        ]
        validation = rng.sample(validation, min(len(validation), _VALIDATED))
        if not (options.output / "state.pt").is_file():
            with pair.teacher():
                evaluate(pair, validation, composed, size, log, "before")
        write_teachers_texts(pair, examples, options.output / "texts.jsonl", size, log)
        train(pair, examples, composer_of(examples, sounds), options, log)
        evaluate(pair, validation, composed, size, log, "after")
    merge(pair, options.merge or options.output / "adapter.pt", options.whisper, options.output, log)


if __name__ == "__main__":
    main()
