"""The offline writer: scripts from a grammar of situations, without a key or a network.

A script follows a brief; its situation belongs to the brief's domain, and no script is much like one before it. Knows
which scripts exist; how a text comes about is the composer's business.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence

from evoxtral.corpus.briefs import Brief, plan
from evoxtral.corpus.composition import MAX_ROUGE_L
from evoxtral.corpus.similarity import SimilarityIndex
from evoxtral.corpus.writers.composer import Composer
from evoxtral.corpus.writers.situations import Situation, load_situations
from evoxtral.data.records import Domain, Script
from evoxtral.errors import CorpusError

WRITER = "grammar"

# Below the gate's limit, so that a later gate with another idea of a word still passes.
_MAX_SIMILARITY = MAX_ROUGE_L - 0.05
_MAX_DRAWS = 60


def write_scripts(
    count: int,
    *,
    seed: int = 0,
    existing: Sequence[Script] = (),
    unlike: Sequence[str] = (),
    on_script: Callable[[Script], None] = lambda script: None,
) -> list[Script]:
    """Write the scripts that bring a corpus to `count`, counting the existing ones; new ones only are returned.

    The same arguments give the same scripts.

    Args:
        unlike: tagged texts of others that no script may resemble, such as those of a test set.
        on_script: gets each script as soon as it is written.

    Raises:
        CorpusError: no text could be found for a brief that is new enough.
    """
    writer = GrammarWriter(seed=seed, unlike=[*(script.tagged_text for script in existing), *unlike])
    scripts = []
    taken = {script.id for script in existing}
    number = len(existing)
    for brief in plan(count, seed=seed, existing=existing):
        while (name := f"{WRITER}-{number:06d}") in taken:
            number += 1
        taken.add(name)
        scripts.append(writer.write(brief, name))
        on_script(scripts[-1])
    return scripts


class GrammarWriter:
    """Writes one script after another, each unlike all before it."""

    def __init__(self, *, seed: int = 0, unlike: Sequence[str] = ()) -> None:
        self._seed = seed
        self._index = SimilarityIndex()
        for text in unlike:
            self._index.add(text)
        self._used: Counter[str] = Counter()

    def write(self, brief: Brief, script_id: str) -> Script:
        """A script for the brief.

        Raises:
            CorpusError: every draw was too much like a script that exists.
        """
        for draw in range(_MAX_DRAWS):
            rng = random.Random(f"{self._seed}:{script_id}:{draw}")
            situation = self._choose_situation(rng, brief.domain)
            written = Composer(brief, situation, rng, draw).compose()
            if written is None or self._index.has_similar(written.text, _MAX_SIMILARITY):
                continue
            self._used[situation.name] += 1
            self._index.add(written.text)
            return Script(
                id=script_id,
                tagged_text=written.text,
                turns=written.turns,
                told=written.told,
                slice_type=brief.slice_type,
                domain=brief.domain,
                writer=WRITER,
            )
        raise CorpusError(
            f"the grammar found no new text for a script ({brief.slice_type}, {brief.domain})",
            "ask for fewer scripts or another seed, or use a language model as the writer",
        )

    def _choose_situation(self, rng: random.Random, domain: Domain) -> Situation:
        """One of the least used situations of the domain."""
        situations = load_situations()[domain]
        least = min(self._used[situation.name] for situation in situations)
        return rng.choice([situation for situation in situations if self._used[situation.name] <= least + 1])
