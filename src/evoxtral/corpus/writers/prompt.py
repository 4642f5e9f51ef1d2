"""What a language model is asked for: the rules once, and each brief with a situation that is drawn for it.

A situation is who speaks, to whom, what happened, what is wanted and how the mood moves. Where people laugh, pause or
stammer is told from the rows of the taxonomy. The draws make its answers differ. Knows briefs and tags; knows nothing
of how the model is reached or what it answers.
"""

import random
from collections.abc import Mapping
from dataclasses import asdict

from evoxtral.corpus.briefs import Brief, EdgeCase
from evoxtral.data.records import Domain, SliceType
from evoxtral.tags import TAG_TYPES, USES, Category

_SYSTEM = """\
You write short scripts for voice actors. A script is what one person says aloud in one go, or a short dialogue of \
two: natural spoken English, as people really talk in the given situation, with audio tags in square brackets that \
direct its delivery.

Tags, and what is heard:
{tags}

Rules:
- Use exactly the tags that an item asks for, each as often as it is listed, spelled as listed, and no others.
- The emotions ({emotions}) and ways of speaking ({ways}) colour the words after them up to the end of the sentence, \
or up to the next tag of their kind: put them right before the words that they colour, and never two of one kind with \
no word between them.
- The others are sounds or silence at the place where they stand. Never begin or end a script with [pause].
- Put tags where people do these things: {places}.
- Some tags should follow from the words, so that a reader would guess them; where an item says that a tag is not to \
be given away, the words must leave it open, and only who hears it can know.
- People talk in short clauses and contractions, say "you know" and "I mean", begin again, and name a thing once and \
then say "it". The mood moves as the item says, and each sentence follows from the last.
- A dialogue: each turn on a line of its own, the two taking turns, without their names. They answer each other; some \
turns are a word or two ("Right.", "Oh no."). Each turn ends a sentence. All other scripts are one line.
- Words in CAPITALS are stressed. Use them only where an item asks for it, on one or two words that carry the weight.
- Only what is heard: no names of speakers, no stage directions, no quotation marks around the whole, no markup, no \
emojis. Write numbers and abbreviations as they are spoken.
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

_LISTENERS = (
    "an old friend", "a sister", "a stranger on the train", "the boss", "a neighbour", "a teenage son", "an ex",
    "a doctor", "a customer", "the whole team", "somebody on the phone", "a grandfather", "a new colleague",
    "the person who caused it", "a child", "a landlord", "somebody who does not believe it", "a best friend",
)  # fmt: skip

_WANTS = (
    "to be believed", "help by tonight", "an apology", "to be left alone", "to share good news", "to hear the truth",
    "to put it off", "to make the other laugh", "advice", "forgiveness", "their money back", "company", "to end it",
    "to warn the other", "to be told it is all right", "to show it off", "to get through this", "an answer today",
)  # fmt: skip

# The moods of the taxonomy's rows, as one says them.
_MOODS: Mapping[str, str] = {"funny": "amused", "secret": "secretive", "shock": "shocked"}

_EDGE_WISHES: Mapping[EdgeCase, str] = {
    EdgeCase.AMBIGUOUS: "the words alone must not tell the emotion, or suggest another one than the tags",
    EdgeCase.BACK_TO_BACK: "at least two tags stand directly one after the other, with no word between them",
    EdgeCase.BOUNDARY: "the script begins with a tag and ends with a tag, in the listed order",
    EdgeCase.VERY_SHORT: "one to four words, no more",
    EdgeCase.VERY_LONG: "85 to 115 words",
}
_LENGTHS: Mapping[SliceType, tuple[int, int]] = {
    SliceType.PLAIN: (6, 40),
    SliceType.LIGHT: (6, 35),
    SliceType.MODERATE: (14, 45),
    SliceType.DENSE: (22, 60),
    SliceType.EDGE: (6, 30),
}


_PLACES: Mapping[str, str] = {
    "start": "at a sentence's start",
    "boundary": "behind a comma",
    "inside": "inside a clause",
    "end": "at a sentence's end",
}
_LEAST_PLACE_SHARE = 0.1  # rarer places are not named


def system_prompt() -> str:
    """What the model is told once: the tags of the language, and the rules."""

    def names(category: Category) -> str:
        return ", ".join(tag.name for tag in TAG_TYPES if tag.category is category)

    return _SYSTEM.format(
        tags="\n".join(f"[{tag.name}]: {tag.meaning}" for tag in TAG_TYPES),
        emotions=names(Category.EMOTION),
        ways=names(Category.DELIVERY),
        places="; ".join(_place(tag.name) for tag in TAG_TYPES if not tag.category.holds),
    )


def _place(tag: str) -> str:
    """Where people do this, in words, by the weights of the tag's row."""
    weights = asdict(USES[tag].places)
    total = sum(weights.values())
    told = ", ".join(
        f"{_PLACES[name]} {weight / total:.0%}"
        for name, weight in sorted(weights.items(), key=lambda place: -place[1])
        if weight / total >= _LEAST_PLACE_SHARE
    )
    return f"[{tag}] {told}"


def describe(brief: Brief, rng: random.Random) -> str:
    """What the model is told of one brief; draws speaker, occasion and so on anew at each call."""
    lines = [
        f"{brief.domain.value}: {_SITUATIONS[brief.domain]}",
        f"speaker: {rng.choice(_SPEAKERS)}; to: {rng.choice(_LISTENERS)}; about: {rng.choice(_OCCASIONS)}; "
        f"wants: {rng.choice(_WANTS)}; register: {rng.choice(_REGISTERS)}",
    ]
    if brief.speakers == 2:
        lines.append("a dialogue of the two, three to six turns, each on a line of its own")
    if brief.arc:
        lines.append("mood: " + ", then ".join(_MOODS.get(mood, mood) for mood in brief.arc))
    if brief.tags:
        lines.append("tags, all of them: " + ", ".join(f"[{tag}]" for tag in brief.tags))
    else:
        lines.append("tags: none at all")
    if brief.edge_case is not None:
        lines.append(_EDGE_WISHES[brief.edge_case])
    elif hidden := [tag for tag, told in zip(brief.tags, brief.told, strict=False) if not told]:
        lines.append("not to be given away by the words: " + ", ".join(f"[{tag}]" for tag in hidden))
    if brief.edge_case not in (EdgeCase.VERY_SHORT, EdgeCase.VERY_LONG):
        low, high = _LENGTHS[brief.slice_type]
        wish = rng.randint(low, high)
        lines.append(f"about {wish} words")
    lines.append("one or two words in CAPITALS" if brief.emphasis else "no word in CAPITALS")
    if brief.ellipsis:
        lines.append('a hesitation written as "..."')
    return "; ".join(lines)
