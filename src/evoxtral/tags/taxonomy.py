"""The tags: one row for each, from which every other room derives what it knows of tags; and how a name finds its tag.

A row holds a tag's category, group, aliases and meaning, and how people use it. A new tag is a row here, and how it
sounds (`evoxtral.tts`); plans, gates, writers, prompts, scores and the Studio take it from the row. Related events are
rows without a use: they are known and keep their own names, but no script is asked for them. See docs/tags.md.

Knows names and habits only: nothing of brackets, texts or sound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from unicodedata import normalize


class Category(StrEnum):
    """What a tag does. Emotion and delivery tags colour the words after them; the others are events in a gap."""

    EMOTION = "emotion"
    NON_VERBAL = "non-verbal"
    DELIVERY = "delivery"
    PAUSE = "pause"

    @property
    def holds(self) -> bool:
        """Whether tags of the category colour the words after them."""
        return self in (Category.EMOTION, Category.DELIVERY)


class Frequency(StrEnum):
    """How often scripts have a tag, compared with real talk."""

    RAISED = "raised"  # rare in talk: three to five times as often
    WEIGHTED = "weighted"  # by its weight: enough to be learned
    LOWERED = "lowered"  # everywhere in talk: half as often


@dataclass(frozen=True, slots=True)
class Places:
    """Weights of a sentence's places: its start, all gaps after its commas, all inside its clauses, its end."""

    start: float
    boundary: float
    inside: float
    end: float


@dataclass(frozen=True, slots=True)
class Use:
    """How people use a tag: what scripts are planned, written and measured by.

    Attributes:
        weight: how often scripts have it, relative to the other rows that are not measured by nature.
        natural_rate: how often it comes in 1,000 words of real talk (the ICSI meetings, measured by
            benchmarks/natural_frequencies.py); None where they do not mark it.
        moods: of sentences that suit it, as the grammar names them; one that is named twice suits twice as well.
        jarring: moods that contradict it so much that a reader would stumble.
        companions: tags that occur together with it; others do too, but less often.
        clashes: tags that nobody delivers in one breath with it; named by one of the two rows.
        frequency: whether scripts have it more or less often than people.
        is_quiet: whether few of its sentences end in an exclamation mark.
        places: where in a sentence a sound or silence stands; from the ICSI meetings too, where they have enough of
            them.
    """

    weight: float
    moods: tuple[str, ...]
    natural_rate: float | None = None
    jarring: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    frequency: Frequency = Frequency.WEIGHTED
    is_quiet: bool = False
    places: Places = Places(start=0.32, boundary=0.32, inside=0.04, end=0.32)


@dataclass(frozen=True, slots=True)
class TagType:
    """One tag.

    Attributes:
        name: canonical name, as it stands between the brackets.
        category: what it does.
        group: its semantic group; tags of one group count as the same type when types are scored.
        meaning: what is heard, in a few words.
        aliases: other names of the same act, lower case; no alias belongs to two tags.
        use: how people use it; None for a related event.
    """

    name: str
    category: Category
    group: str
    meaning: str
    aliases: tuple[str, ...] = ()
    use: Use | None = None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Adverbs beside verbs and other qualified forms ("laughs softly", "starts laughing") are not listed: see `lookup`.
_ROWS: tuple[TagType, ...] = (
    TagType(
        "excited",
        Category.EMOTION,
        "joy",
        "bright, fast, thrilled",
        _names(
            "excitedly, excitement, exciting, enthusiastic, enthusiastically, enthusiasm, thrilled, ecstatic, elated, "
            "eager, eagerly, energetic, energetically, overjoyed, exhilarated, jubilant, giddy"
        ),
        Use(
            weight=0.100,
            moods=("excited",),
            jarring=("sad",),
            companions=("laughs", "gasps", "shouts", "stammers"),
            clashes=("calm", "sad", "crying"),
        ),
    ),
    TagType(
        "sad",
        Category.EMOTION,
        "sadness",
        "low, slow, heavy-hearted",
        _names(
            "sadly, sadness, sorrow, sorrowful, sorrowfully, melancholy, melancholic, unhappy, unhappily, depressed, "
            "heartbroken, mournful, mournfully, grieving, grief, gloomy, dejected, downcast, despondent, disappointed, "
            "disappointedly, wistful, wistfully, somber, regretful, regretfully, miserable, upset, solemnly sad"
        ),
        Use(
            weight=0.060,
            moods=("sad",),
            companions=("crying", "sighs", "whispers", "pause", "stammers"),
            clashes=("laughs",),
            is_quiet=True,
        ),
    ),
    TagType(
        "angry",
        Category.EMOTION,
        "anger",
        "hard and hot",
        _names(
            "angrily, anger, mad, furious, furiously, fury, enraged, irate, outraged, rage, raging, seething, livid, "
            "hostile, wrathful"
        ),
        Use(weight=0.060, moods=("angry",), companions=("shouts", "frustrated", "sighs", "crying")),
    ),
    TagType(
        "nervous",
        Category.EMOTION,
        "fear",
        "unsure, tight, a little shaky",
        _names(
            "nervously, nervousness, anxious, anxiously, anxiety, worried, worriedly, uneasy, uneasily, tense, "
            "tensely, hesitant, hesitantly, timid, timidly, apprehensive, apprehensively, shaky, trembling, jittery"
        ),
        Use(
            weight=0.060,
            moods=("nervous",),
            companions=("stammers", "clears throat", "whispers", "gasps", "pause", "laughs"),
            is_quiet=True,
        ),
    ),
    TagType(
        "calm",
        Category.EMOTION,
        "calm",
        "even, slow, at peace",
        _names(
            "calmly, calmness, relaxed, relaxedly, soothing, soothingly, serene, serenely, peaceful, peacefully, "
            "gentle, gently, composed, composedly, tranquil, placid, reassuring, reassuringly, at ease"
        ),
        Use(
            weight=0.050,
            moods=("calm",),
            jarring=("shock", "excited"),
            companions=("pause", "sighs", "whispers", "clears throat"),
            clashes=("angry", "shouts", "crying"),
            is_quiet=True,
        ),
    ),
    TagType(
        "frustrated",
        Category.EMOTION,
        "anger",
        "out of patience",
        _names(
            "frustratedly, frustration, frustrating, annoyed, annoyedly, annoyance, irritated, irritatedly, irritably, "
            "exasperated, exasperatedly, exasperation, impatient, impatiently, aggravated, fed up, agitated"
        ),
        Use(weight=0.060, moods=("frustrated",), companions=("sighs", "angry", "shouts", "clears throat")),
    ),
    TagType(
        "laughs",
        Category.NON_VERBAL,
        "laughter",
        "a laugh, as a sound between words",
        _names(
            "laugh, laughing, laughed, laughter, laughingly, giggles, giggle, giggling, giggled, chuckles, chuckle, "
            "chuckling, chuckled, chortles, chortle, chortling, snickers, snicker, snickering, sniggers, sniggering, "
            "cackles, cackle, cackling, guffaws, guffaw, guffawing, titters, tittering, wheezing, "
            "wheezing laughter, cracks up, cracking up, bursts out laughing, bursts into laughter, haha, hahaha"
        ),
        Use(
            weight=0.130,
            natural_rate=16.428,
            moods=("funny", "funny", "excited"),
            jarring=("sad",),
            companions=("excited", "gasps", "whispers", "nervous"),
            clashes=("crying",),
            places=Places(start=0.18, boundary=0.17, inside=0.06, end=0.59),
        ),
    ),
    TagType(
        "sighs",
        Category.NON_VERBAL,
        "breath",
        "a sigh: a long breath out that says something",
        _names("sigh, sighing, sighed, lets out a sigh"),
        Use(
            weight=0.100,
            natural_rate=0.027,
            moods=("frustrated", "sad", "calm"),
            jarring=("shock",),
            companions=("sad", "frustrated", "calm", "crying"),
        ),
    ),
    TagType(
        "gasps",
        Category.NON_VERBAL,
        "breath",
        "a sudden breath in",
        _names(
            "gasp, gasping, gasped, sharp breath, sharp inhale, inhales sharply, sharp intake of breath, catches breath"
        ),
        Use(
            weight=0.015,
            natural_rate=0.012,
            moods=("shock", "shock", "nervous", "excited"),
            companions=("excited", "nervous", "whispers", "shouts"),
            frequency=Frequency.RAISED,
            places=Places(start=0.6, boundary=0.3, inside=0.02, end=0.08),
        ),
    ),
    TagType(
        "clears throat",
        Category.NON_VERBAL,
        "throat",
        "the sound itself",
        _names(
            "clear throat, clearing throat, cleared throat, throat clear, throat clearing, clears his throat, "
            "clears her throat, clears their throat, clears my throat, clearing his throat, clearing her throat, "
            "clearing their throat, clearing my throat, clears the throat, ahem"
        ),
        Use(
            weight=0.025,
            natural_rate=1.171,
            moods=("neutral", "neutral", "nervous"),
            jarring=("shock",),
            companions=("nervous", "calm", "pause"),
            places=Places(start=0.40, boundary=0.24, inside=0.10, end=0.26),
        ),
    ),
    TagType(
        "crying",
        Category.NON_VERBAL,
        "sadness",
        "a sob, as a sound between words",
        _names(
            "cries, cry, cried, weeping, weeps, weep, sobs, sob, sobbing, sobbed, tearful, tearfully, teary, "
            "tearing up, in tears, bursts into tears, whimpers, whimper, whimpering, bawling, bawls, wails, wailing, "
            "voice breaking, voice breaks, choking up, chokes up, choked up"
        ),
        Use(
            weight=0.015,
            moods=("sad",),
            jarring=("funny",),
            companions=("sad", "sighs", "stammers", "whispers"),
            frequency=Frequency.RAISED,
        ),
    ),
    TagType(
        "whispers",
        Category.DELIVERY,
        "quiet",
        "the following words without voice",
        _names(
            "whisper, whispering, whispered, whispery, in a whisper, hushed, hush, "
            "under breath, under his breath, under her breath, under their breath, under my breath"
        ),
        Use(
            weight=0.060,
            natural_rate=0.391,
            moods=("secret", "secret", "nervous", "calm"),
            companions=("nervous", "sad", "gasps", "calm"),
            clashes=("shouts",),
            is_quiet=True,
        ),
    ),
    TagType(
        "shouts",
        Category.DELIVERY,
        "loud",
        "the following words at the top of the voice",
        _names(
            "shout, shouting, shouted, yells, yell, yelling, yelled, hollers, holler, hollering, bellows, bellow, "
            "bellowing, roars, roaring, loud, loudly"
        ),
        Use(
            weight=0.050,
            moods=("angry", "excited", "shock"),
            jarring=("secret", "calm"),
            companions=("angry", "excited", "frustrated", "gasps"),
        ),
    ),
    TagType(
        "stammers",
        Category.DELIVERY,
        "disfluency",
        "the following words with repeated first sounds, spelled normally",
        _names(
            "stammer, stammering, stammered, stammeringly, stutters, stutter, stuttering, stuttered, falters, "
            "faltering, stumbles over words, stumbling over words, trips over words"
        ),
        Use(
            weight=0.015,
            natural_rate=0.658,
            moods=("nervous",),
            companions=("nervous", "crying", "gasps", "pause"),
            frequency=Frequency.RAISED,
            is_quiet=True,
        ),
    ),
    TagType(
        "pause",
        Category.PAUSE,
        "pause",
        "a clear silence, in the middle of speech",
        _names(
            "pauses, pausing, paused, short pause, long pause, brief pause, dramatic pause, pause for effect, beat, "
            "a beat, silence, silent, moment of silence, hesitates, hesitating, hesitation, waits"
        ),
        Use(
            weight=0.200,
            natural_rate=9.351,
            moods=("neutral", "calm", "sad", "nervous"),
            companions=("sad", "calm", "nervous", "sighs", "stammers"),
            frequency=Frequency.LOWERED,
            places=Places(start=0.8, boundary=0.09, inside=0.54, end=0.0),  # what ends a sentence begins the next
        ),
    ),
    # Related events: what people also do, and others' dialects name. Known, kept under their own names, never dealt.
    TagType(
        "happy",
        Category.EMOTION,
        "joy",
        "bright and warm",
        _names(
            "happily, happiness, joy, joyful, joyfully, joyous, cheerful, cheerfully, cheery, delighted, delightedly, "
            "upbeat"
        ),
    ),
    TagType(
        "afraid",
        Category.EMOTION,
        "fear",
        "tight with fear",
        _names("scared, fear, fearful, fearfully, frightened, terrified, panicked, panicking, panicky, panic, in fear"),
    ),
    TagType(
        "snorts", Category.NON_VERBAL, "laughter", "air forced through the nose", _names("snort, snorting, snorted")
    ),
    TagType(
        "inhales",
        Category.NON_VERBAL,
        "breath",
        "a breath in",
        _names(
            "inhale, inhaling, inhaled, breathes in, breathing in, breathe in, intake of breath, takes a breath, "
            "take a breath, takes a deep breath, takes deep breath, taking a deep breath, deep breath"
        ),
    ),
    TagType(
        "exhales",
        Category.NON_VERBAL,
        "breath",
        "a breath out",
        _names(
            "exhale, exhaling, exhaled, breathes out, breathing out, breathe out, lets out a breath, huffs, huff, "
            "huffing"
        ),
    ),
    TagType("breathes", Category.NON_VERBAL, "breath", "breathing that is heard", _names("breathe, breathing, breath")),
    TagType(
        "pants",
        Category.NON_VERBAL,
        "breath",
        "short, fast breaths",
        _names("panting, panted, out of breath, breathless, breathlessly"),
    ),
    TagType(
        "sniffs",
        Category.NON_VERBAL,
        "breath",
        "air drawn through the nose",
        _names("sniff, sniffing, sniffed, sniffles, sniffle, sniffling"),
    ),
    TagType("yawns", Category.NON_VERBAL, "breath", "a yawn", _names("yawn, yawning, yawned")),
    TagType("coughs", Category.NON_VERBAL, "throat", "a cough", _names("cough, coughing, coughed")),
    TagType("sneezes", Category.NON_VERBAL, "sneeze", "a sneeze", _names("sneeze, sneezing, sneezed")),
    TagType(
        "moans",
        Category.NON_VERBAL,
        "moan",
        "a long voiced sound of pain, effort or displeasure",
        _names("moan, moaning, moaned, groans, groan, groaning, groaned"),
    ),
    TagType("hums", Category.NON_VERBAL, "hum", "a tone with closed lips", _names("hum, humming, hummed")),
    TagType(
        "screams",
        Category.NON_VERBAL,
        "loud",
        "a cry of fright or pain, without words",
        _names("scream, screaming, screamed, shrieks, shriek, shrieking"),
    ),
    TagType(
        "softly", Category.DELIVERY, "quiet", "the following words low, with voice", _names("soft, quiet, quietly")
    ),
    TagType(
        "murmurs",
        Category.DELIVERY,
        "quiet",
        "the following words low and unclear, with voice",
        _names("murmur, murmuring, murmured, mutters, mutter, muttering, muttered, mumbles, mumble, mumbling"),
    ),
)

# The tags of the language, and what is related to them.
TAG_TYPES: tuple[TagType, ...] = tuple(row for row in _ROWS if row.use is not None)
RELATED_EVENTS: tuple[TagType, ...] = tuple(row for row in _ROWS if row.use is None)

# Every canonical name and alias, lower case.
CANONICAL: Mapping[str, TagType] = MappingProxyType({name: row for row in _ROWS for name in (row.name, *row.aliases)})
# How people use each tag of the language.
USES: Mapping[str, Use] = MappingProxyType({row.name: row.use for row in _ROWS if row.use is not None})

# Words that qualify a tag without changing which it is, before it ("starts laughing", "a nervous laugh",
# "in an angry tone") and after it ("laughs harder", "angry voice"); words in -ly qualify on both sides.
_QUALIFIERS_BEFORE = _set(
    "a an the in with to of very more quite so too still now and then starts start starting begins begin beginning "
    "continues keeps speaking speaks talking saying says sounds sounding feeling getting becoming voice short brief "
    "long longer slight light soft deep heavy quick small big little loud quiet gentle sharp dramatic awkward nervous "
    "sad happy bitter dry dark evil hysterical wry tired relieved frustrated exasperated angry excited hearty warm "
    "low half stifled trembling shaky lets out"
)
_QUALIFIERS_AFTER = _set(
    "harder hard more again louder loud out a little bit lot voice tone voiced whisper-like in disbelief with relief "
    "to self himself herself themselves myself hysterics now continues"
)

_MAX_NAME_WORDS = 8


@lru_cache(maxsize=4096)
def normalise_name(name: str) -> str:
    """Lower case, one space between words, straight apostrophes, letters composed (NFC)."""
    return " ".join(normalize("NFC", name).lower().replace("’", "'").split())


@lru_cache(maxsize=4096)
def lookup(name: str) -> TagType | None:
    """The tag, or related event, that a name means; None for an unknown one.

    Finds canonical names and aliases in any case and spacing; failing that, the longest part of the name that is
    one and has only qualifying words around it: "laughs harder", "starts laughing", "sighs wearily", "nervous
    laugh", "in an angry voice".
    """
    words = normalise_name(name).split(" ")
    if len(words) > _MAX_NAME_WORDS:
        return None
    for length in range(len(words), 0, -1):
        for first in range(len(words) - length + 1):
            last = first + length
            found = CANONICAL.get(" ".join(words[first:last]))
            if (
                found is not None
                and all(word in _QUALIFIERS_BEFORE or word.endswith("ly") for word in words[:first])
                and all(word in _QUALIFIERS_AFTER or word.endswith("ly") for word in words[last:])
            ):
                return found
    return None
