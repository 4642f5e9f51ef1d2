"""Which scripts are for training, validation and test, and which voices may speak them.

Drawn from the scripts alone, before or after they are spoken, so that synthesis can give the test scripts voices of
their own. Knows nothing of audio.
"""

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from evoxtral.data.corpus_config import CorpusConfig, DatasetConfig, SynthesisConfig
from evoxtral.data.records import Script
from evoxtral.errors import CorpusError
from evoxtral.tags import strip_tags

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
_WORD = re.compile(r"[^\W_]+")


class SplitDraw:
    """Draws the split of one script after the other: of each slice, every so-manieth script.

    Scripts keep their splits when others are appended. Scripts that say the same words, however they are tagged, share
    the split of the first.
    """

    def __init__(self, config: DatasetConfig) -> None:
        """Begin.

        Raises:
            CorpusError: the shares leave nothing to train on.
        """
        if config.validation + config.test >= 1:
            raise CorpusError("validation and test together take every script", "lower their shares in corpus.yaml")
        self._config = config
        self._split_of_words: dict[bytes, str] = {}
        self._draws: dict[str, Iterator[str]] = {}

    def draw(self, tagged_text: str, slice_type: str) -> str:
        """The split of the next script."""
        words = " ".join(_WORD.findall(strip_tags(tagged_text).lower()))
        digest = hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest not in self._split_of_words:
            draw = self._draws.setdefault(slice_type, _draw(self._config, slice_type))
            self._split_of_words[digest] = next(draw)
        return self._split_of_words[digest]


def draw_splits(scripts: Iterable[Script], config: DatasetConfig) -> dict[str, str]:
    """The split of each script, by id, taken in the given order.

    Raises:
        CorpusError: the shares leave nothing to train on.
    """
    draw = SplitDraw(config)
    return {script.id: draw.draw(script.tagged_text, script.slice_type) for script in scripts}


def _draw(config: DatasetConfig, kind: str) -> Iterator[str]:
    """Splits in their shares, without end: systematic sampling from a random start, exact to within one script."""
    rng = random.Random(f"{config.seed}:{kind}")
    shares = {TEST: config.test, VALIDATION: config.validation}
    owed = {split: rng.random() if share else 0.0 for split, share in shares.items()}
    while True:
        for split, share in shares.items():
            owed[split] += share
        neediest = max(owed, key=lambda split: owed[split])
        if owed[neediest] >= 1:
            owed[neediest] -= 1
            yield neediest
        else:
            yield TRAIN


def may_speak(voice: str, split: str, config: DatasetConfig) -> bool:
    """Whether a voice may be heard in a split: held-out voices in the test only, and there no others."""
    if not config.holdout_voices:
        return True
    return (voice in config.holdout_voices) == (split == TEST)


def divide_by_voices(
    scripts: Sequence[Script], voices: Sequence[str], config: CorpusConfig
) -> list[tuple[list[Script], SynthesisConfig]]:
    """Parts of the scripts, each with the synthesis configuration that lets only voices speak it that may.

    Args:
        voices: all that are to be used; held-out ones are added.

    Raises:
        CorpusError: every voice is held out.
    """
    held_out = config.dataset.holdout_voices
    if not held_out:
        return [(list(scripts), config.synthesis)]
    others = tuple(voice for voice in voices if voice not in held_out)
    if not others:
        raise CorpusError("every voice is held out for the test", "name more voices")
    splits = draw_splits(scripts, config.dataset)
    parts: dict[tuple[str, ...], list[Script]] = defaultdict(list)
    for script in scripts:
        parts[held_out if splits[script.id] == TEST else others].append(script)
    # The limit on a voice's share is one on the whole corpus.
    limit = config.synthesis.max_voice_share * len(scripts)
    return [
        (part, config.synthesis.model_copy(update={"voices": speakers, "max_voice_share": min(1.0, limit / len(part))}))
        for speakers, part in parts.items()
    ]
