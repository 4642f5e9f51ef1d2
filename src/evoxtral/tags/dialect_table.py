"""How others write tags: one row a dialect, with every mark that it has and the name that the mark has here.

A mark reads as the first name behind it, and is written for each of them. Names are those of the taxonomy where it has
the event, else the dialect's own in our spelling; no two marks read as the same name, so that a text of a dialect comes
back as it was. Knows spellings only; what is done with them is in `dialects`.

Sources: arXiv 2601.04508 (WESR), arXiv 2508.04195 (NVSpeech), the vendors' own pages and model cards (ElevenLabs,
Mistral, Fish Audio, Resemble AI, Canopy Labs, Suno), W3C's SSML 1.1, and the SSML pages of Amazon Polly and Azure. Of
Voxtral TTS 3 only `happy`, `calm` and `slow` were seen on Mistral's pages; its other values are taken from the names of
its voices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from evoxtral.tags.taxonomy import Category


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark of a dialect.

    Attributes:
        text: as it is written there; of a span, its beginning.
        names: tag names that it is written for; it reads as the first.
        end: what ends it, of a mark that stands around words.
    """

    text: str
    names: tuple[str, ...]
    end: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one model or data set writes tags.

    Attributes:
        name: as options spell it.
        title: for people.
        marks: all marks that are listed.
        form: the form of marks, as a regular expression whose group is the name, for those that are not listed.
        template: how an unlisted name is written; None where the list is closed.
        writes: categories that it can write; None stands for names that the taxonomy does not know.
        switches: how marks begin that hold until the next that begins so, each with the mark that ends it.
        starts_sentences: categories whose marks may stand at the start of a sentence only.
        is_known_only: whether something in the form of a mark is one only if the taxonomy knows its name.
        is_xml: whether text is escaped, and stress written as an element.
    """

    name: str
    title: str
    marks: tuple[Mark, ...] = ()
    form: str = ""
    template: str | None = None
    writes: frozenset[Category | None] = frozenset((*Category, None))
    switches: tuple[tuple[str, str], ...] = ()
    starts_sentences: frozenset[Category] = frozenset()
    is_known_only: bool = False
    is_xml: bool = False


def _marks(frame: str, text: str) -> tuple[Mark, ...]:
    """Marks from "spelling=name|other name, spelling, ..." in a frame such as "<{}>"; alone, a spelling is its name."""
    marks = []
    for entry in text.split(","):
        spelling, _, names = entry.strip().partition("=")
        marks.append(Mark(frame.format(spelling), tuple((names or spelling).split("|"))))
    return tuple(marks)


def _spans(text: str) -> tuple[Mark, ...]:
    return tuple(Mark(mark.text, mark.names, f"</{mark.text[1:]}") for mark in _marks("<{}>", text))


_BRACKETS = r"\[([^\[\]\n]{2,60})\]"
_ROUND = r"\(([^()\n]{2,60})\)"
_ANGLES = r"<([^<>/\n]{2,60})>"

_FISH_EMOTIONS = (
    "angry, sad, disdainful, excited, surprised, satisfied, unhappy, anxious, hysterical, delighted, scared=afraid|"
    "scared, worried, indifferent, upset, impatient, nervous, guilty, scornful, frustrated, depressed, panicked, "
    "furious, empathetic, embarrassed, reluctant, disgusted, keen, moved, proud, relaxed, grateful, confident, "
    "interested, curious, confused, joyful, disapproving, negative, denying, astonished, serious, sarcastic, "
    "conciliative, comforting, sincere, sneering, hesitating=hesitant, yielding, painful, awkward, amused, happy, calm"
)

_ROWS = (
    Dialect("elevenlabs", "ElevenLabs v3", form=_BRACKETS, template="[{}]"),
    Dialect(
        "wesr",
        "WESR-Bench",
        marks=(
            *_spans("whispering=whispers, shouting=shouts"),
            *_marks(
                "[{}]",
                "inhale=inhales, cough=coughs, laughs, laughing, crowd_laughter=crowd laughter, chuckle=chuckles, "
                "shout, sobbing, cry=crying, giggle=giggles, exhale=exhales, sigh=sighs, clear_throat=clears throat, "
                "roar, scream=screams, breathing=breathes",
            ),
            *_spans("crying=cries, laughing=laughingly, panting=pants, singing"),
        ),
        form=_BRACKETS,
    ),
    Dialect(
        "nvspeech",
        "NVSpeech",
        marks=_marks(
            "[{}]",
            "Breathing=breathes, Laughter=laughs, Cough=coughs, Sigh=sighs, Crying=crying, Uhm=uhm, Shh=shushes, "
            "Confirmation-en=confirmation-en, Question-en=question-en, Question-ah=question-ah, "
            "Question-oh=question-oh, Question-ei=question-ei, Question-yi=question-yi, Surprise-ah=surprise-ah, "
            "Surprise-oh=surprise-oh, Surprise-wa=surprise-wa, Surprise-yo=surprise-yo, "
            "Dissatisfaction-hnn=dissatisfaction-hnn",
        ),
        form=_BRACKETS,
    ),
    Dialect(
        "scribe",
        "ElevenLabs Scribe",
        form=_ROUND,
        template="({})",
        writes=frozenset((Category.NON_VERBAL, None)),
    ),
    Dialect(
        "voxtral-tts",
        "Voxtral TTS 3",
        marks=(
            *_marks("[emotion={}]", "happy, sad, angry, excited, calm, frustrated"),
            *_marks("[pace={}]", "slow=slowly, fast=quickly"),
        ),
        form=r"\[(?:emotion|pace)=([\w -]{2,60})\]",
        switches=(("[emotion=", "[emotion=neutral]"), ("[pace=", "[pace=normal]")),
    ),
    Dialect(
        "orpheus",
        "Orpheus",
        marks=_marks(
            "<{}>",
            "laugh=laughs, chuckle=chuckles, sigh=sighs, cough=coughs, sniffle=sniffs|sniffles, groan=moans|groans, "
            "yawn=yawns, gasp=gasps, giggle=giggles",
        ),
        form=_ANGLES,
    ),
    Dialect(
        "fish",
        "Fish Audio S1",
        marks=(
            *_marks("({})", _FISH_EMOTIONS),
            *_marks(
                "({})",
                "in a hurry tone, shouting=shouts, screaming=screams, whispering=whispers, soft tone=softly, "
                "laughing=laughs, chuckling=chuckles, sobbing=crying|sobbing, crying loudly, sighing=sighs, "
                "panting=pants, groaning=moans|groans, gasping=gasps, yawning=yawns, snoring=snores, "
                "crowd laughing=crowd laughter, background laughter, audience laughing=audience laughter, "
                "break=pause, long-break=long pause",
            ),
        ),
        form=_ROUND,
        starts_sentences=frozenset((Category.EMOTION,)),
        is_known_only=True,
    ),
    Dialect(
        "chatterbox",
        "Chatterbox Turbo",
        marks=_marks(
            "[{}]",
            "laugh=laughs, chuckle=chuckles, sigh=sighs, gasp=gasps, cough=coughs, clear throat=clears throat, "
            "sniff=sniffs, groan=moans|groans, shush=shushes",
        ),
        form=_BRACKETS,
    ),
    Dialect(
        "bark",
        "Bark",
        marks=_marks("[{}]", "laughs, laughter, sighs, music, gasps, clears throat"),
        form=_BRACKETS,
    ),
    Dialect(
        "ssml",
        "SSML",
        marks=(
            Mark("<break/>", ("pause",)),
            *(
                Mark(f'<mstts:express-as style="{style}">', names, "</mstts:express-as>")
                for style, names in (
                    ("excited", ("excited",)),
                    ("sad", ("sad",)),
                    ("angry", ("angry",)),
                    ("calm", ("calm",)),
                    ("cheerful", ("happy",)),
                    ("terrified", ("afraid",)),
                    ("shouting", ("shouts",)),
                )
            ),
            Mark('<amazon:effect name="whispered">', ("whispers",), "</amazon:effect>"),
        ),
        form=r"</?([A-Za-z][\w:-]*)(?:\s[^<>]*)?/?>",
        is_xml=True,
    ),
    Dialect(
        "stage",
        "stage directions",
        form=r"(?:\*([^*\n]{2,60})\*|\(([^()\n]{2,60})\))",
        template="*{}*",
        is_known_only=True,
    ),
)

# The dialects by name.
DIALECTS: Mapping[str, Dialect] = MappingProxyType({row.name: row for row in _ROWS})
