"""The writer that sets tags into given sentences: existing text, delivery drawn without regard to its meaning.

A model trained on such scripts cannot guess the tags from the words: it has to listen. Each voice has its own pool of
sentences, so that a slow voice, or one that is made of recordings, speaks each sentence once and delivers it in many
ways. Knows nothing of how voices speak.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

from evoxtral.corpus.briefs import Brief, plan
from evoxtral.data.records import Script, SliceType
from evoxtral.errors import CorpusError
from evoxtral.tags import CANONICAL, Category

WRITER = "sentences"
_MIN_EMPHASISED_LETTERS = 4
_MAX_WORDS = 60


def write_scripts(
    pools: Mapping[str, Sequence[str]],
    count: int,
    *,
    seed: int = 0,
    prefix: str = "sentences",
    inside: float = 0.3,
    emphasis: bool = True,
) -> list[Script]:
    """Scripts whose sentences come from the pool of the voice that is to speak them; voices take turns.

    Args:
        pools: sentences by voice name; plain text, one sentence each.
        prefix: the scripts' ids are `prefix-00000` and so on.
        inside: how often a sound or pause stands inside a sentence and not between two; 0 for voices that cannot
            place words in time exactly.
        emphasis: whether words may be stressed.

    Raises:
        CorpusError: a pool is empty.
    """
    if not pools or not all(pools.values()):
        raise CorpusError("there is a voice without sentences", "give each voice at least one sentence")
    rng = random.Random(f"{WRITER}:{prefix}:{seed}")
    decks = {voice: _deal(rng, pool) for voice, pool in pools.items()}
    scripts = []
    for index, (brief, voice) in enumerate(zip(plan(count, seed=seed), cycle(pools), strict=False)):
        sentences = _draw_sentences(rng, brief, decks[voice])
        scripts.append(
            Script(
                id=f"{prefix}-{index:05d}",
                tagged_text=_set_tags(rng, brief, sentences, inside, emphasis=emphasis),
                slice_type=brief.slice_type,
                domain=brief.domain,
                writer=WRITER,
                voice=voice,
            )
        )
    return scripts


def _deal(rng: random.Random, pool: Sequence[str]) -> Iterator[str]:
    """A pool's sentences in random order without end, each once before any comes again."""
    while True:
        yield from rng.sample(pool, len(pool))


def _draw_sentences(rng: random.Random, brief: Brief, deck: Iterator[str]) -> list[str]:
    """As many sentences as the tags need room: each holds its own emotion and about one point tag."""
    held = sum(CANONICAL[tag].category.holds for tag in brief.tags)
    points = len(brief.tags) - held
    wanted = max(1, held, (points + 1) // 2)
    if brief.slice_type is SliceType.PLAIN:
        wanted = rng.choices((1, 2, 3, 4), (5, 4, 2, 1))[0]
    elif wanted < 4 and rng.random() < 0.4:
        wanted += 1  # a sentence that carries no tag: tags must not become the rule
    sentences: list[str] = []
    while len(sentences) < wanted and sum(len(sentence.split()) for sentence in sentences) < _MAX_WORDS:
        sentences.append(next(deck))
    return sentences


def _set_tags(rng: random.Random, brief: Brief, sentences: list[str], inside: float, *, emphasis: bool) -> str:
    words = [sentence.split() for sentence in sentences]
    if brief.emphasis and emphasis:
        _stress_a_word(rng, words)
    # before[i][j]: tags that stand before word j of sentence i; j = number of words is the sentence's end.
    before: list[list[list[str]]] = [[[] for _ in range(len(sentence) + 1)] for sentence in words]
    holding = [tag for tag in brief.tags if CANONICAL[tag].category.holds]
    starts = rng.sample(range(len(words)), min(len(holding), len(words)))
    for index, tag in enumerate(holding):
        place = starts[index % len(starts)]
        slot = before[place][0]
        taken = {CANONICAL[other].category for other in slot}
        if CANONICAL[tag].category not in taken:  # a second emotion in one sentence would never be heard
            slot.append(tag)
    for tag in brief.tags:
        if CANONICAL[tag].category.holds:
            continue
        sentence = rng.randrange(len(words))
        size = len(words[sentence])
        places = [0, size]
        if CANONICAL[tag].category is Category.PAUSE:  # silence at either end of a recording is no pause
            places = [place for place in places if (sentence, place) not in ((0, 0), (len(words) - 1, size))]
        if size > 3 and inside and (not places or rng.random() < inside):
            places = [rng.randrange(1, size)]
        if places and tag not in (slot := before[sentence][rng.choice(places)]):
            slot.insert(rng.randint(0, len(slot)), tag)
    pieces = []
    for row, slots in zip(words, before, strict=True):
        for word, tags in zip([*row, ""], slots, strict=True):
            pieces += [f"[{tag}]" for tag in tags]
            pieces.append(word)
    return " ".join(filter(None, pieces))


def _stress_a_word(rng: random.Random, words: list[list[str]]) -> None:
    long = [
        (sentence, word)
        for sentence, row in enumerate(words)
        for word, text in enumerate(row)
        if sum(map(str.isalpha, text)) >= _MIN_EMPHASISED_LETTERS
    ]
    for sentence, word in rng.sample(long, min(len(long), rng.choice((1, 1, 2)))):
        words[sentence][word] = words[sentence][word].upper()
