"""Whether a corpus has the composition that it should have (SPEC section 2): targets, measurements, verdicts.

Measures scripts, and the voices of clips; knows nothing of who wrote or spoke them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evoxtral.corpus.composition import (
    COMMON_FACTOR,
    COMMON_TAGS,
    COMMON_TOLERANCE,
    MAX_DOMAIN_SHARE,
    MAX_ROUGE_L,
    MIN_TAG_SHARE,
    NATURAL_EMPHASIS_RATE,
    RARE_FACTOR,
    RARE_SHARE,
    RARE_TAGS,
    SLICE_SHARES,
    SLICE_TAGS,
    UNTOLD_SHARE,
    UNTOLD_TOLERANCE,
    apportion,
    natural_rate,
)
from evoxtral.corpus.similarity import SimilarPair, find_similar_pairs
from evoxtral.data.corpus_config import MAX_VOICE_SHARE
from evoxtral.data.records import Clip, Script, SliceType
from evoxtral.tags import USES, TaggedText, parse

_SHOWN_EXAMPLES = 3
# Shares are quotients: at the very edge a rounded one may not decide.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Gate:
    """One requirement: what it asks for, what was measured, and whether that is good enough."""

    name: str
    target: str
    measured: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Diversity:
    """How varied the spoken words are; shown next to the gates, asked for by none.

    Attributes:
        words, types: words in all, and different ones.
        type_token_ratio: types / words; falls as a corpus grows.
        distinct_2, distinct_3: different pairs and triples of neighbouring words in a script, of all such (Li et al.,
            "A Diversity-Promoting Objective Function for Neural Conversation Models", 2016).
        mean_words: words of a script.
    """

    words: int
    types: int
    type_token_ratio: float
    distinct_2: float
    distinct_3: float
    mean_words: float


@dataclass(frozen=True, slots=True)
class GateReport:
    """All gates of one corpus."""

    scripts: int
    gates: tuple[Gate, ...]
    diversity: Diversity
    similar_pairs: tuple[tuple[str, str, float], ...]

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.gates)

    def to_json(self) -> dict[str, Any]:
        return {"passed": self.passed, **asdict(self)}


def check(
    scripts: Sequence[Script],
    clips: Sequence[Clip] = (),
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> GateReport:
    """Measure every gate.

    Args:
        clips: spoken scripts, for the gate on voices; without any it is left out.
        on_progress: called with the number of scripts compared and of all; comparing pairs takes most of the time.
    """
    parsed = [parse(script.tagged_text) for script in scripts]
    pairs = find_similar_pairs([script.tagged_text for script in scripts], MAX_ROUGE_L, on_progress=on_progress)
    gates = [
        _unlike(scripts, pairs),
        *_slices(scripts),
        _density(scripts, parsed),
        _domains(scripts),
        *_tags(parsed),
        _emphasis(parsed),
        _unknown_tags(parsed),
        _untold(scripts),
    ]
    if clips:
        gates.append(_voices(clips))
    return GateReport(
        scripts=len(scripts),
        gates=tuple(gates),
        diversity=measure_diversity(parsed),
        similar_pairs=tuple((scripts[pair.first].id, scripts[pair.second].id, pair.similarity) for pair in pairs),
    )


def _unlike(scripts: Sequence[Script], pairs: Sequence[SimilarPair]) -> Gate:
    measured = (
        "no pair"
        if not pairs
        else f"{len(pairs)} pairs, such as "
        + ", ".join(
            f"{scripts[pair.first].id} and {scripts[pair.second].id} ({pair.similarity:.2f})"
            for pair in pairs[:_SHOWN_EXAMPLES]
        )
    )
    return Gate(f"pairs with ROUGE-L >= {MAX_ROUGE_L}", "none", measured, not pairs)


def _slices(scripts: Sequence[Script]) -> Iterator[Gate]:
    counts = Counter(script.slice_type for script in scripts)
    for kind, wanted in apportion(len(scripts), SLICE_SHARES).items():
        target = f"{SLICE_SHARES[kind]:.0%} ({wanted})"
        measured = f"{_share(counts[kind], len(scripts)):.1%} ({counts[kind]})"
        yield Gate(f"slice {kind}", target, measured, counts[kind] == wanted)


def _density(scripts: Sequence[Script], parsed: Sequence[TaggedText]) -> Gate:
    wrong = [
        script.id
        for script, text in zip(scripts, parsed, strict=True)
        if not fits_slice(script.slice_type, len(text.tags))
    ]
    measured = "none" if not wrong else f"{len(wrong)}, such as {', '.join(wrong[:_SHOWN_EXAMPLES])}"
    return Gate("scripts whose tags do not fit their slice", "none", measured, not wrong)


def fits_slice(kind: SliceType, tags: int) -> bool:
    """Whether a text with that many tags may be in the slice."""
    low, high = SLICE_TAGS[kind]
    return low <= tags and (high is None or tags <= high)


def _domains(scripts: Sequence[Script]) -> Gate:
    return _largest("domain", Counter(str(script.domain) for script in scripts), MAX_DOMAIN_SHARE)


def _voices(clips: Sequence[Clip]) -> Gate:
    return _largest("voice", Counter(voice for clip in clips for voice in clip.voices), MAX_VOICE_SHARE)


def _largest(kind: str, counts: Counter[str], limit: float) -> Gate:
    name, count = counts.most_common(1)[0] if counts else ("none", 0)
    share = _share(count, counts.total())
    return Gate(f"most frequent {kind}", f"<= {limit:.0%}", f"{share:.1%} ({name}, of {len(counts)})", share <= limit)


def _tags(parsed: Sequence[TaggedText]) -> Iterator[Gate]:
    """Each tag's share of the scripts, and how often rare and common tags come, compared with real talk."""
    scripts_with = Counter(name for text in parsed for name in {tag.name for tag in text.tags})
    for tag in USES:
        share = _share(scripts_with[tag], len(parsed))
        measured = f"{share:.1%} ({scripts_with[tag]})"
        yield Gate(f"scripts with [{tag}]", f">= {MIN_TAG_SHARE:.0%}", measured, share >= MIN_TAG_SHARE)
    occurrences = Counter(tag.name for text in parsed for tag in text.tags)
    words = sum(len(text.words) for text in parsed)
    for tag in RARE_TAGS:
        name, natural = f"frequency of [{tag}]", natural_rate(tag)
        if natural is None:
            share, (low, high) = _share(scripts_with[tag], len(parsed)), RARE_SHARE
            yield Gate(name, f"{low:.0%}-{high:.0%} of scripts", f"{share:.1%}", low <= share <= high)
        else:
            factor, (low, high) = _rate(occurrences[tag], words) / natural, RARE_FACTOR
            passed = low - _ROUNDING <= factor <= high + _ROUNDING
            yield Gate(name, f"{low:g}-{high:g}x natural", f"{factor:.1f}x", passed)
    for tag in COMMON_TAGS:
        yield _common(f"[{tag}]", _rate(occurrences[tag], words), natural_rate(tag))


def _emphasis(parsed: Sequence[TaggedText]) -> Gate:
    stressed = sum(len(text.emphasised) for text in parsed)
    return _common("CAPITALS", _rate(stressed, sum(len(text.words) for text in parsed)), NATURAL_EMPHASIS_RATE)


def _common(name: str, rate: float, natural: float | None) -> Gate:
    factor = rate / natural if natural else 0.0
    passed = abs(factor - COMMON_FACTOR) <= COMMON_TOLERANCE + _ROUNDING
    return Gate(f"frequency of {name}", f"about {COMMON_FACTOR:g}x natural", f"{factor:.2f}x", passed)


def _untold(scripts: Sequence[Script]) -> Gate:
    """Of the tags that somebody labelled, those that the words do not give away."""
    labels = [told for script in scripts for told in script.told or ()]
    share = _share(labels.count(False), len(labels))
    measured = f"{share:.1%} of {len(labels)} labelled tags" if labels else "no tag is labelled"
    low, high = UNTOLD_SHARE - UNTOLD_TOLERANCE, UNTOLD_SHARE + UNTOLD_TOLERANCE
    passed = not labels or low - _ROUNDING <= share <= high + _ROUNDING
    return Gate("tags that the words do not give away", f"{low:.0%}-{high:.0%}", measured, passed)


def _rate(count: int, words: int) -> float:
    """How often something comes in 1,000 words."""
    return 1_000 * _share(count, words)


def _unknown_tags(parsed: Sequence[TaggedText]) -> Gate:
    unknown = Counter(tag.name for text in parsed for tag in text.tags if not tag.known)
    measured = ", ".join(f"{name} ({count})" for name, count in unknown.most_common(_SHOWN_EXAMPLES)) or "none"
    return Gate("unknown tags", "none", measured, not unknown)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def measure_diversity(parsed: Sequence[TaggedText]) -> Diversity:
    """Diversity of the words, in lower case and without punctuation."""
    texts = [[word.plain.lower().strip(".,!?;:…\"'") for word in text.words] for text in parsed]
    words = Counter(word for text in texts for word in text)
    return Diversity(
        words=words.total(),
        types=len(words),
        type_token_ratio=_share(len(words), words.total()),
        distinct_2=_distinct(texts, 2),
        distinct_3=_distinct(texts, 3),
        mean_words=words.total() / len(texts) if texts else 0.0,
    )


def _distinct(texts: Sequence[Sequence[str]], size: int) -> float:
    runs = [tuple(text[index : index + size]) for text in texts for index in range(len(text) - size + 1)]
    return _share(len(set(runs)), len(runs))
