"""What a language model is asked for: the rules once, and each brief with a drawn speaker, occasion and register.

The draws make its answers differ. Knows briefs and tags; knows nothing of how the model is reached or what it answers.
"""

import random
from collections.abc import Mapping

from evoxtral.corpus.briefs import Brief, EdgeCase
from evoxtral.data.records import Domain, SliceType
from evoxtral.tags import TAG_TYPES, Category

_SYSTEM = """\
You write short scripts for voice actors. A script is what one person says aloud in one go: natural spoken English, \
as people really talk in the given situation, with audio tags in square brackets that direct its delivery.

Tags, and what is heard:
{tags}

Rules:
- Use exactly the tags that an item asks for, each as often as it is listed, spelled as listed, and no others.
- The emotions ({emotions}) and ways of speaking ({ways}) colour the words after them up to the end of the sentence, \
or up to the next tag of their kind: put them right before the words that they colour, and never two of one kind with \
no word between them.
- The others are sounds or silence at the place where they stand. Never begin or end a script with [pause].
- Put tags where a person would do that, at the start, inside and at the end of sentences, in varied places.
- Words in CAPITALS are stressed. Use them only where an item asks for it, on one or two words that carry the weight.
- Only what is heard: no names of speakers, no stage directions, no quotation marks around the whole, no markup, no \
line breaks, no emojis. Write numbers and abbreviations as they are spoken.
- Be concrete. Invent people, places, objects and small surprises; avoid stock phrases and tidy endings. No two \
scripts may share a situation, a beginning or a turn of phrase.

Answer with JSON only: {{"scripts": [{{"number": 1, "text": "..."}}, ...]}}, one entry for each item, same numbers."""

_SITUATIONS: Mapping[Domain, str] = {
    Domain.CONVERSATION: "one turn of a chat between people who know each other",
    Domain.MONOLOGUE: "somebody thinking aloud, alone or to a silent listener",
    Domain.PODCAST: "a host or guest in the middle of an episode",
    Domain.PRESENTATION: "somebody speaking to a room or a video call, with something to show",
    Domain.ARGUMENT: "one side of a quarrel, in the heat of it",
    Domain.STORYTELLING: "somebody telling what happened, or a tale, with voices and suspense",
    Domain.INTERVIEW: "an answer, or a question, in an interview",
    Domain.VOICEMAIL: "a message left after the beep",
}

_SPEAKERS = (
    "a teenager", "a retired bus driver", "a nurse after a night shift", "a chess coach", "a new father",
    "a landlady", "a physics student", "a wedding photographer", "a farmer", "a call-centre agent", "a grandmother",
    "a stage technician", "a locksmith", "a choir leader", "a long-distance runner", "a junior lawyer",
    "a hotel receptionist", "a carpenter", "a primary school teacher", "a paramedic", "a street musician",
    "a software tester", "a museum guard", "an amateur astronomer", "a baker", "a flight attendant", "a vet",
    "a delivery rider", "a piano tuner", "a twin", "a librarian", "a mountain guide", "a stepmother",
    "a recently divorced man", "an exchange student", "a beekeeper", "a mayor of a small town", "a tailor",
    "a football referee", "a night-train conductor",
)  # fmt: skip

_OCCASIONS = (
    "a lost key", "a surprise visit", "the wrong parcel", "a broken boiler", "an exam result", "a missed train",
    "a recipe that failed", "a neighbour's dog", "an inheritance", "a promise not kept", "a flat tyre",
    "first snow", "a medical test", "an old photograph", "a bet", "a power cut", "a job offer", "a stain on a suit",
    "a concert ticket", "the last piece of cake", "a strange noise at night", "a wrong number", "moving house",
    "a forgotten birthday", "a record harvest", "a leaking tent", "a school play", "a secret kept too long",
    "a goodbye at the station", "a parking fine", "a rare bird", "an unexpected bill", "a haircut", "a rehearsal",
    "a software update", "a stolen bicycle", "a marathon", "a found letter", "a delayed flight", "a budget cut",
    "a garden wall", "a blind date", "a new colleague", "the reading of a poem", "a small fire", "a lottery ticket",
    "a heatwave", "a translation mistake", "a cat on the roof", "an apology",
)  # fmt: skip

_REGISTERS = (
    "casual, with fillers", "dry and ironic", "formal and careful", "breathless, in half sentences",
    "warm and rambling", "clipped and factual", "playful", "old-fashioned and polite", "blunt", "thoughtful",
    "slangy", "precise, almost technical", "gently teasing", "tired", "matter-of-fact",
)  # fmt: skip

_EDGE_WISHES: Mapping[EdgeCase, str] = {
    EdgeCase.AMBIGUOUS: "the words alone must not tell the emotion, or suggest another one than the tags",
    EdgeCase.BACK_TO_BACK: "at least two tags stand directly one after the other, with no word between them",
    EdgeCase.BOUNDARY: "the script begins with a tag and ends with a tag, in the listed order",
    EdgeCase.VERY_SHORT: "one to four words, no more",
    EdgeCase.VERY_LONG: "85 to 115 words",
}
# In so many tagged scripts the delivery must not be guessed from the words: who learns from them has to listen.
_UNTOLD_SHARE = 0.3

_LENGTHS: Mapping[SliceType, tuple[int, int]] = {
    SliceType.PLAIN: (6, 40),
    SliceType.LIGHT: (6, 35),
    SliceType.MODERATE: (14, 45),
    SliceType.DENSE: (22, 60),
    SliceType.EDGE: (6, 30),
}


def system_prompt() -> str:
    """What the model is told once: the tags of the language, and the rules."""

    def names(category: Category) -> str:
        return ", ".join(tag.name for tag in TAG_TYPES if tag.category is category)

    return _SYSTEM.format(
        tags="\n".join(f"[{tag.name}]: {tag.meaning}" for tag in TAG_TYPES),
        emotions=names(Category.EMOTION),
        ways=names(Category.DELIVERY),
    )


def describe(brief: Brief, rng: random.Random) -> str:
    """What the model is told of one brief; draws speaker, occasion and so on anew at each call."""
    lines = [
        f"{brief.domain.value}: {_SITUATIONS[brief.domain]}",
        f"speaker: {rng.choice(_SPEAKERS)}; about: {rng.choice(_OCCASIONS)}; register: {rng.choice(_REGISTERS)}",
    ]
    if brief.tags:
        lines.append("tags, all of them: " + ", ".join(f"[{tag}]" for tag in brief.tags))
    else:
        lines.append("tags: none at all")
    if brief.edge_case is not None:
        lines.append(_EDGE_WISHES[brief.edge_case])
    elif brief.tags and rng.random() < _UNTOLD_SHARE:
        lines.append("the words alone should not give the delivery away")
    if brief.edge_case not in (EdgeCase.VERY_SHORT, EdgeCase.VERY_LONG):
        low, high = _LENGTHS[brief.slice_type]
        wish = rng.randint(low, high)
        lines.append(f"about {wish} words")
    lines.append("one or two words in CAPITALS" if brief.emphasis else "no word in CAPITALS")
    if brief.ellipsis:
        lines.append('a hesitation written as "..."')
    return "; ".join(lines)
