"""The fifteen audio tags: their categories, semantic groups and aliases, and how a written name finds its tag.

Knows names only: nothing of brackets, texts or sound.
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


@dataclass(frozen=True, slots=True)
class TagType:
    """One canonical tag.

    Attributes:
        name: canonical name, as it stands between the brackets.
        category: what it does.
        group: its semantic group; tags of one group count as the same type when types are scored.
        aliases: other names with the same meaning, lower case; no alias belongs to two tags.
    """

    name: str
    category: Category
    group: str
    aliases: tuple[str, ...]


def _tag(name: str, category: Category, group: str, aliases: str) -> TagType:
    return TagType(name, category, group, tuple(alias.strip() for alias in aliases.split(",")))


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Adverbs beside verbs and other qualified forms ("laughs softly", "starts laughing") are not listed: see `lookup`.
TAG_TYPES: tuple[TagType, ...] = (
    _tag(
        "excited",
        Category.EMOTION,
        "joy",
        "excitedly, excitement, exciting, enthusiastic, enthusiastically, enthusiasm, thrilled, happy, happily, "
        "happiness, joy, joyful, joyfully, joyous, cheerful, cheerfully, cheery, delighted, delightedly, ecstatic, "
        "elated, eager, eagerly, energetic, energetically, overjoyed, upbeat, exhilarated, jubilant, giddy",
    ),
    _tag(
        "sad",
        Category.EMOTION,
        "sadness",
        "sadly, sadness, sorrow, sorrowful, sorrowfully, melancholy, melancholic, unhappy, unhappily, depressed, "
        "heartbroken, mournful, mournfully, grieving, grief, gloomy, dejected, downcast, despondent, disappointed, "
        "disappointedly, wistful, wistfully, somber, regretful, regretfully, miserable, upset, solemnly sad",
    ),
    _tag(
        "angry",
        Category.EMOTION,
        "anger",
        "angrily, anger, mad, furious, furiously, fury, enraged, irate, outraged, rage, raging, seething, livid, "
        "hostile, wrathful",
    ),
    _tag(
        "nervous",
        Category.EMOTION,
        "fear",
        "nervously, nervousness, anxious, anxiously, anxiety, worried, worriedly, scared, afraid, fear, fearful, "
        "fearfully, frightened, terrified, panicked, panicking, panicky, panic, uneasy, uneasily, tense, tensely, "
        "hesitant, hesitantly, timid, timidly, apprehensive, apprehensively, shaky, trembling, jittery",
    ),
    _tag(
        "calm",
        Category.EMOTION,
        "calm",
        "calmly, calmness, relaxed, relaxedly, soothing, soothingly, serene, serenely, peaceful, peacefully, gentle, "
        "gently, composed, composedly, tranquil, placid, reassuring, reassuringly, at ease",
    ),
    _tag(
        "frustrated",
        Category.EMOTION,
        "anger",
        "frustratedly, frustration, frustrating, annoyed, annoyedly, annoyance, irritated, irritatedly, irritably, "
        "exasperated, exasperatedly, exasperation, impatient, impatiently, aggravated, fed up, agitated",
    ),
    _tag(
        "laughs",
        Category.NON_VERBAL,
        "laughter",
        "laugh, laughing, laughed, laughter, laughingly, giggles, giggle, giggling, giggled, chuckles, chuckle, "
        "chuckling, chuckled, chortles, chortle, chortling, snickers, snicker, snickering, sniggers, sniggering, "
        "cackles, cackle, cackling, guffaws, guffaw, guffawing, titters, tittering, wheezing, wheezes, "
        "wheezing laughter, snorts, snort, snorting, cracks up, cracking up, bursts out laughing, "
        "bursts into laughter, haha, hahaha",
    ),
    _tag(
        "sighs",
        Category.NON_VERBAL,
        "breath",
        "sigh, sighing, sighed, exhales, exhale, exhaling, exhaled, breathes out, breathing out, breathes, breathing, "
        "breath, takes a breath, take a breath, takes a deep breath, takes deep breath, taking a deep breath, "
        "huffs, huff, huffing, lets out a sigh, lets out a breath",
    ),
    _tag(
        "gasps",
        Category.NON_VERBAL,
        "breath",
        "gasp, gasping, gasped, inhales, inhale, inhaling, inhaled, breathes in, breathing in, sharp breath, "
        "sharp intake of breath, intake of breath, catches breath, breathless, breathlessly, pants, panting, "
        "out of breath",
    ),
    _tag(
        "clears throat",
        Category.NON_VERBAL,
        "throat",
        "clear throat, clearing throat, cleared throat, throat clear, throat clearing, clears his throat, "
        "clears her throat, clears their throat, clears my throat, clearing his throat, clearing her throat, "
        "clearing their throat, clearing my throat, clears the throat, ahem, coughs, cough, coughing, coughed",
    ),
    _tag(
        "crying",
        Category.NON_VERBAL,
        "sadness",
        "cries, cry, cried, weeping, weeps, weep, sobs, sob, sobbing, sobbed, sniffles, sniffle, sniffling, sniffs, "
        "sniff, tearful, tearfully, teary, tearing up, in tears, bursts into tears, whimpers, whimper, whimpering, "
        "bawling, bawls, wails, wailing, voice breaking, voice breaks, choking up, chokes up, choked up",
    ),
    _tag(
        "whispers",
        Category.DELIVERY,
        "quiet",
        "whisper, whispering, whispered, whispery, in a whisper, murmurs, murmur, murmuring, murmured, mutters, "
        "mutter, muttering, muttered, mumbles, mumble, mumbling, hushed, hush, quiet, quietly, soft, softly, "
        "under breath, under his breath, under her breath, under their breath, under my breath",
    ),
    _tag(
        "shouts",
        Category.DELIVERY,
        "loud",
        "shout, shouting, shouted, yells, yell, yelling, yelled, screams, scream, screaming, screamed, hollers, "
        "holler, hollering, bellows, bellow, bellowing, roars, roaring, loud, loudly, shrieks, shriek, shrieking",
    ),
    _tag(
        "stammers",
        Category.DELIVERY,
        "disfluency",
        "stammer, stammering, stammered, stammeringly, stutters, stutter, stuttering, stuttered, falters, faltering, "
        "stumbles over words, stumbling over words, trips over words",
    ),
    _tag(
        "pause",
        Category.PAUSE,
        "pause",
        "pauses, pausing, paused, short pause, long pause, brief pause, dramatic pause, pause for effect, beat, "
        "a beat, silence, silent, moment of silence, hesitates, hesitating, hesitation, waits",
    ),
)

# Every canonical name and alias, lower case.
CANONICAL: Mapping[str, TagType] = MappingProxyType(
    {name: tag_type for tag_type in TAG_TYPES for name in (tag_type.name, *tag_type.aliases)}
)

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


def normalise_name(name: str) -> str:
    """Lower case, one space between words, straight apostrophes, letters composed (NFC)."""
    return " ".join(normalize("NFC", name).lower().replace("’", "'").split())


@lru_cache(maxsize=4096)
def lookup(name: str) -> TagType | None:
    """The tag that a name means, or None for an unknown one.

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
