"""Which scripts are for training, validation and test, and which voices may speak them.

Drawn from the scripts alone, before or after they are spoken, so that synthesis can give the test scripts voices of
their own. Knows nothing of audio.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from evoxtral.corpus.config import DatasetConfig
from evoxtral.corpus.records import Script, SliceType
from evoxtral.corpus.similarity import Encoder
from evoxtral.errors import CorpusError
from evoxtral.tags import strip_tags

TRAIN, VALIDATION, TEST = "train", "validation", "test"


def draw_splits(scripts: Sequence[Script], config: DatasetConfig) -> dict[str, str]:
    """The split of each script, by id: each slice divided by the configured shares.

    Scripts that say the same words, however they are tagged, share a split. Which scripts are drawn depends on their
    ids and the seed only, not on their order.

    Raises:
        CorpusError: the shares leave nothing to train on.
    """
    if config.validation + config.test >= 1:
        raise CorpusError("validation and test together take every script", "lower their shares in corpus.yaml")
    encoder = Encoder()
    same_words: dict[str, list[Script]] = defaultdict(list)
    for script in sorted(scripts, key=lambda script: script.id):
        same_words[encoder.encode(strip_tags(script.tagged_text))].append(script)
    by_slice: dict[SliceType, list[list[Script]]] = defaultdict(list)
    for group in same_words.values():
        by_slice[group[0].slice_type].append(group)

    splits: dict[str, str] = {}
    for groups in by_slice.values():
        groups.sort(key=lambda group: hashlib.sha256(f"{config.seed}:{group[0].id}".encode()).digest())
        test = round(len(groups) * config.test)
        validation = test + round(len(groups) * config.validation)
        for index, group in enumerate(groups):
            split = TEST if index < test else VALIDATION if index < validation else TRAIN
            splits.update((script.id, split) for script in group)
    return splits


def may_speak(voice: str, split: str, config: DatasetConfig) -> bool:
    """Whether a voice may be heard in a split: held-out voices in the test only, and there no others."""
    if not config.holdout_voices:
        return True
    return (voice in config.holdout_voices) == (split == TEST)
