"""What each script must be, drawn by quota before a word is written: slice, domain, speakers, tags, moods, emphasis.

Every writer works from these briefs, so that a corpus reaches its composition exactly instead of by luck. Planning
takes the scripts that exist into account: a run that was killed, or a corpus that grows, is filled up to its targets.
Knows nothing of texts beyond the tags that existing scripts hold.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from evoxtral.corpus.composition import (
    DIALOGUE_DOMAINS,
    DIALOGUE_SHARE,
    SLICE_SHARES,
    UNTOLD_SHARE,
    apportion,
    emphasis_share,
    target_tag_shares,
)
from evoxtral.data.records import Domain, Script, SliceType
from evoxtral.tags import CANONICAL, USES, Category, tag_names


class EdgeCase(StrEnum):
    """The kinds of edge case."""

    AMBIGUOUS = "ambiguous"  # the words do not tell the emotion, or contradict it
    BACK_TO_BACK = "back-to-back"  # tags with no word between them
    BOUNDARY = "boundary"  # a tag at the very start and one at the very end
    VERY_SHORT = "very short"  # one to four words
    VERY_LONG = "very long"  # eighty to a hundred and twenty words


@dataclass(frozen=True, slots=True)
class Brief:
    """What one script must be.

    Attributes:
        tags: canonical names in the order in which they stand in the text.
        edge_case: the kind of edge case; None in the other slices.
        emphasis: whether one or two words are in capitals.
        ellipsis: whether the text hesitates with "...".
        told: for each tag whether the words should give it away; where not, who reads them must not guess it.
        arc: moods through which the script moves, the first one first; empty without tags.
        speakers: 1, or 2 for a dialogue.
    """

    slice_type: SliceType
    domain: Domain
    tags: tuple[str, ...] = ()
    edge_case: EdgeCase | None = None
    emphasis: bool = False
    ellipsis: bool = False
    told: tuple[bool, ...] = ()
    arc: tuple[str, ...] = ()
    speakers: int = 1


# Number of tags of a script, drawn with these weights.
_TAG_COUNTS = {
    SliceType.PLAIN: {0: 1},
    SliceType.LIGHT: {1: 5, 2: 5},
    SliceType.MODERATE: {3: 5, 4: 5},
    SliceType.DENSE: {5: 9, 6: 6, 7: 3, 8: 2},
}
_EDGE_TAG_COUNTS = {
    EdgeCase.AMBIGUOUS: {1: 6, 2: 4},
    EdgeCase.BACK_TO_BACK: {2: 5, 3: 4, 4: 1},
    EdgeCase.BOUNDARY: {2: 6, 3: 4},
    EdgeCase.VERY_SHORT: {0: 3, 1: 7},
    EdgeCase.VERY_LONG: {0: 2, 3: 3, 5: 3, 7: 2},
}
_EDGE_SHARES = {
    EdgeCase.AMBIGUOUS: 0.25,
    EdgeCase.BACK_TO_BACK: 0.20,
    EdgeCase.BOUNDARY: 0.20,
    EdgeCase.VERY_SHORT: 0.20,
    EdgeCase.VERY_LONG: 0.15,
}
_ELLIPSIS_SHARE = 0.2  # of tagged scripts

# How moods move while people talk, as the rows of the taxonomy name them.
_ARCS = (
    ("nervous", "calm"),
    ("nervous", "excited"),
    ("nervous", "shock", "excited"),
    ("nervous", "frustrated", "angry"),
    ("secret", "nervous", "shock"),
    ("excited", "funny"),
    ("excited", "frustrated"),
    ("calm", "excited"),
    ("calm", "sad"),
    ("calm", "frustrated", "angry"),
    ("frustrated", "angry", "calm"),
    ("frustrated", "funny"),
    ("frustrated", "sad"),
    ("angry", "sad", "calm"),
    ("shock", "angry"),
    ("shock", "excited", "funny"),
    ("sad", "calm"),
    ("sad", "funny", "calm"),
)
# Edge cases that two people can talk through; the others are about one speaker's tags.
_DIALOGUE_EDGES = (None, EdgeCase.AMBIGUOUS, EdgeCase.VERY_LONG)

_COMPANION_WEIGHT = 4.0
_REPEAT_WEIGHT = 0.1


def plan(count: int, *, seed: int = 0, existing: Sequence[Script] = ()) -> list[Brief]:
    """Briefs that bring a corpus to `count` scripts with the composition of `evoxtral.corpus.composition`.

    Existing scripts count towards every target. The same arguments give the same briefs, in mixed order.
    """
    rng = random.Random(f"plan:{seed}:{count}:{len(existing)}")
    have = Counter(script.slice_type for script in existing)
    missing = {kind: max(0, wanted - have[kind]) for kind, wanted in apportion(count, SLICE_SHARES).items()}
    slices = [kind for kind, number in missing.items() for _ in range(number)][: max(0, count - len(existing))]

    edge_cases = _mixed(rng, apportion(slices.count(SliceType.EDGE), _EDGE_SHARES))
    kinds = [(kind, edge_cases.pop() if kind is SliceType.EDGE else None) for kind in slices]
    sizes = [_draw(rng, _EDGE_TAG_COUNTS[edge] if edge else _TAG_COUNTS[kind]) for kind, edge in kinds]
    domains = _domains(rng, slices, existing)
    hands = _deal(rng, list(zip(sizes, (edge for _, edge in kinds), strict=True)), existing)
    plots = [_arrange(rng, hand) if edge is None else (hand, ()) for (_, edge), hand in zip(kinds, hands, strict=True)]
    told = _tell(rng, [hand for hand, _ in plots], [edge for _, edge in kinds])
    speakers = _speakers(rng, domains, [edge for _, edge in kinds])
    tagged = [index for index, hand in enumerate(hands) if hand]
    emphatic = set(rng.sample(tagged, round(len(tagged) * emphasis_share())))
    hesitant = set(rng.sample(tagged, round(len(tagged) * _ELLIPSIS_SHARE)))
    briefs = [
        Brief(
            kind,
            domain,
            tags=hand,
            told=labels,
            arc=arc,
            speakers=number,
            edge_case=edge,
            emphasis=index in emphatic,
            ellipsis=index in hesitant,
        )
        for index, ((kind, edge), domain, (hand, arc), labels, number) in enumerate(
            zip(kinds, domains, plots, told, speakers, strict=True)
        )
    ]
    rng.shuffle(briefs)
    return briefs


def redeal(brief: Brief, rng: random.Random) -> Brief:
    """Another brief for the same place in a corpus: same slice, edge case and labels, another domain, other tags."""
    domain = rng.choice([domain for domain in Domain if domain is not brief.domain])
    (tags,) = _deal(rng, [(len(brief.tags), brief.edge_case)], ())
    arc: tuple[str, ...] = ()
    if brief.edge_case is None:
        tags, arc = _arrange(rng, tags)
    speakers = brief.speakers if domain in DIALOGUE_DOMAINS else 1
    return replace(brief, domain=domain, tags=tags, arc=arc, speakers=speakers)


def clash(tag: str, other: str) -> bool:
    """Whether two tags do not go together in one sentence."""
    return other in USES[tag].clashes or tag in USES[other].clashes


def _draw(rng: random.Random, weights: dict[int, int]) -> int:
    return rng.choices(list(weights), list(weights.values()))[0]


def _mixed(rng: random.Random, counts: dict[EdgeCase, int]) -> list[EdgeCase]:
    items = [key for key, number in counts.items() for _ in range(number)]
    rng.shuffle(items)
    return items


def _domains(rng: random.Random, slices: Sequence[SliceType], existing: Sequence[Script]) -> list[Domain]:
    """A domain for each script, even over the corpus and within each slice."""
    have = Counter(script.domain for script in existing)
    within = Counter((script.slice_type, script.domain) for script in existing)
    domains = []
    for kind in slices:
        domain = min(Domain, key=lambda name: (within[kind, name], have[name], rng.random()))
        within[kind, domain] += 1
        have[domain] += 1
        domains.append(domain)
    return domains


def _speakers(rng: random.Random, domains: Sequence[Domain], edges: Sequence[EdgeCase | None]) -> list[int]:
    """How many people speak in each script: two in a fixed share of each domain where people talk to each other."""
    speakers = [1] * len(domains)
    for domain in DIALOGUE_DOMAINS:
        places = [
            index
            for index, (name, edge) in enumerate(zip(domains, edges, strict=True))
            if name is domain and edge in _DIALOGUE_EDGES
        ]
        for index in rng.sample(places, round(len(places) * DIALOGUE_SHARE)):
            speakers[index] = 2
    return speakers


def _tell(
    rng: random.Random, hands: Sequence[tuple[str, ...]], edges: Sequence[EdgeCase | None]
) -> list[tuple[bool, ...]]:
    """Which tags of each hand the words give away: none where the edge case says so, else in a fixed share of all."""
    tags = [(index, place) for index, hand in enumerate(hands) for place in range(len(hand))]
    hidden = {(index, place) for index, place in tags if edges[index] is EdgeCase.AMBIGUOUS}
    others = [place for place in tags if place not in hidden]
    hidden |= set(rng.sample(others, max(0, round(len(tags) * UNTOLD_SHARE) - len(hidden))))
    return [tuple((index, place) not in hidden for place in range(len(hand))) for index, hand in enumerate(hands)]


def _arrange(rng: random.Random, hand: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tags in the order of a way for moods to move that suits most of them, and that way."""
    if not hand:
        return hand, ()
    arc = max(_ARCS, key=lambda arc: (sum(bool({*USES[tag].moods} & {*arc}) for tag in hand), rng.random()))

    def stage(tag: str) -> float:
        stages = [index for index, mood in enumerate(arc) if mood in USES[tag].moods]
        return stages[0] if stages else rng.uniform(-0.5, len(arc) - 0.5)

    return tuple(sorted(hand, key=stage)), arc


def _deal(
    rng: random.Random, wishes: Sequence[tuple[int, EdgeCase | None]], existing: Sequence[Script]
) -> list[tuple[str, ...]]:
    """Deal tags to scripts, each of a number of tags and perhaps an edge case, so that the corpus reaches its shares.

    The deck holds each tag as often as it is still missing; a hand prefers tags that go with what it holds.
    """
    total = sum(size for size, _ in wishes)
    have = Counter(tag for script in existing for tag in tag_names(script.tagged_text))
    shares = target_tag_shares()
    wanted = apportion(total + sum(have[tag] for tag in shares), shares)
    missing = {tag: max(0, wanted[tag] - have[tag]) for tag in shares}
    deck = apportion(total, {tag: number / max(1, sum(missing.values())) for tag, number in missing.items()})

    hands: list[tuple[str, ...]] = [()] * len(wishes)
    # Edge cases first, while the deck still holds what they need.
    for index in sorted(range(len(wishes)), key=lambda index: (wishes[index][1] is None, rng.random())):
        size, edge = wishes[index]
        hand: list[str] = []
        for _ in range(size):
            fitting = [tag for tag in shares if _may_follow(tag, hand, size, edge)]
            left = [tag for tag in fitting if deck[tag]] or fitting
            tag = rng.choices(left, [max(1, deck[tag]) * _fit(tag, hand) for tag in left])[0]
            deck[tag] = max(0, deck[tag] - 1)
            hand.append(tag)
        hands[index] = tuple(hand)
    return hands


def _may_follow(tag: str, hand: Sequence[str], size: int, edge: EdgeCase | None) -> bool:
    """Whether people would deliver this as the next tag, and an edge case can be heard with it."""
    if hand.count(tag) >= 2:
        return False
    if edge is EdgeCase.BOUNDARY:
        # Silence is not heard at the start; at the very end only a sound is.
        if len(hand) == size - 1:
            return CANONICAL[tag].category is Category.NON_VERBAL
        return CANONICAL[tag].category is not Category.PAUSE or bool(hand)
    if edge is EdgeCase.BACK_TO_BACK:
        # Of two emotions, or two ways of speaking, with no word between them the first is not heard.
        held = [category for other in hand if (category := CANONICAL[other].category).holds]
        return CANONICAL[tag].category not in held and tag not in hand and not any(clash(tag, other) for other in hand)
    return True


def _fit(tag: str, hand: Sequence[str]) -> float:
    fit = _COMPANION_WEIGHT if any(tag in USES[held].companions for held in hand) else 1.0
    return fit * _REPEAT_WEIGHT ** hand.count(tag)
