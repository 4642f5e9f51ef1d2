"""The small language that the offline writer's texts are written in, and its expansion into sentences.

A rule is a name and its alternatives, one a line under `== name`. Within a line:

    (a|b|)           one of these, nested at will
    <rule>           an expansion of a rule, or the value bound to that name
    <rule:key>       the same, and bind it to `key`
    <key.he>         a pronoun of the person bound to `key`: he, him, his; is, was, has, does agree
    <event.past@who> a verb phrase in base, past, pres, pp or ing; `@` names its subject (default I), a person's key
                     or we, you, they; "~" in the phrase is the subject's possessive, "+" marks verbs to inflect
                     where that is not just the first word
    <rule.cap>       with a capital
    word/m word/f    at the end of an alternative: the person is a man, a woman; /i /w /y mean I, we, you

Knows English inflection as far as its verbs need it; knows nothing of tags or scripts.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

_IRREGULAR = {  # base: past, participle
    "be": ("was", "been"), "beat": ("beat", "beaten"), "become": ("became", "become"), "blow": ("blew", "blown"),
    "break": ("broke", "broken"), "bring": ("brought", "brought"), "build": ("built", "built"),
    "buy": ("bought", "bought"), "catch": ("caught", "caught"), "come": ("came", "come"), "cut": ("cut", "cut"),
    "dig": ("dug", "dug"), "do": ("did", "done"), "draw": ("drew", "drawn"), "drink": ("drank", "drunk"),
    "drive": ("drove", "driven"), "eat": ("ate", "eaten"), "fall": ("fell", "fallen"), "feed": ("fed", "fed"),
    "find": ("found", "found"), "forget": ("forgot", "forgotten"), "forgive": ("forgave", "forgiven"),
    "get": ("got", "got"), "give": ("gave", "given"), "go": ("went", "gone"), "grow": ("grew", "grown"),
    "have": ("had", "had"), "hear": ("heard", "heard"), "hit": ("hit", "hit"), "hold": ("held", "held"),
    "leave": ("left", "left"), "lend": ("lent", "lent"), "light": ("lit", "lit"), "lose": ("lost", "lost"),
    "make": ("made", "made"), "meet": ("met", "met"), "pay": ("paid", "paid"), "put": ("put", "put"),
    "read": ("read", "read"), "ring": ("rang", "rung"), "run": ("ran", "run"), "see": ("saw", "seen"),
    "sell": ("sold", "sold"), "send": ("sent", "sent"), "set": ("set", "set"), "sew": ("sewed", "sewn"),
    "sing": ("sang", "sung"), "sleep": ("slept", "slept"), "spend": ("spent", "spent"),
    "split": ("split", "split"), "swim": ("swam", "swum"), "take": ("took", "taken"), "teach": ("taught", "taught"),
    "throw": ("threw", "thrown"), "understand": ("understood", "understood"), "wake": ("woke", "woken"),
    "babysit": ("babysat", "babysat"), "hang": ("hung", "hung"), "mistake": ("mistook", "mistaken"),
    "outrun": ("outran", "outrun"), "overdraw": ("overdrew", "overdrawn"),
    "overwrite": ("overwrote", "overwritten"), "proofread": ("proofread", "proofread"), "quit": ("quit", "quit"),
    "shrink": ("shrank", "shrunk"), "sink": ("sank", "sunk"), "sit": ("sat", "sat"), "slide": ("slid", "slid"),
    "sweep": ("swept", "swept"),
    "wear": ("wore", "worn"), "win": ("won", "won"), "write": ("wrote", "written"), "rewrite": ("rewrote", "rewritten"),
}  # fmt: skip
# One syllable, one vowel, one consonant: stop, plan, stir. The last letter doubles before -ed and -ing.
_DOUBLING = re.compile(r"[^aeiou]*[aeiou][bdgmnprt]|cancel|label|hiccup|transfer")
_PRONOUNS = {
    "m": {"he": "he", "him": "him", "his": "his", "is": "is", "was": "was", "has": "has", "does": "does"},
    "f": {"he": "she", "him": "her", "his": "her", "is": "is", "was": "was", "has": "has", "does": "does"},
    "i": {"he": "I", "him": "me", "his": "my", "is": "am", "was": "was", "has": "have", "does": "do"},
    "w": {"he": "we", "him": "us", "his": "our", "is": "are", "was": "were", "has": "have", "does": "do"},
    "y": {"he": "you", "him": "you", "his": "your", "is": "are", "was": "were", "has": "have", "does": "do"},
    "p": {"he": "they", "him": "them", "his": "their", "is": "are", "was": "were", "has": "have", "does": "do"},
}
_SUBJECTS = {"I": "i", "we": "w", "you": "y", "they": "p"}
_FORMS = frozenset(("base", "past", "pres", "pp", "ing"))
_PERSON_SUFFIX = re.compile(r"/([mfiwyp])$")
_AN = re.compile(
    r"\b(a) (?=(?:hour|honest|heir|[ai][a-z]|e(?!u)[a-z]|o(?!ne\b|nce\b)[a-z]|u(?!ni|se|su|ti|ku|ro)[a-z]))",
    re.IGNORECASE,
)


class TemplateError(ValueError):
    """A template is malformed or names a rule that does not exist."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Expanded text; `person` is the grammatical person of a subject ("m", "f", "i", "w", "y", "p"), if it is one."""

    text: str
    person: str | None = None


@dataclass(frozen=True, slots=True)
class _Reference:
    rule: str
    bind: str | None
    attribute: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple["_Sequence", ...]


_Sequence = tuple["str | _Reference | _Choice", ...]
_REFERENCE = re.compile(r"<([\w ]+(?:\.[\w ]+)*)(?::(\w+))?(?:@(\w+))?>")
_ATTRIBUTES = frozenset((*_FORMS, "cap", *_PRONOUNS["m"], *(name.capitalize() for name in _PRONOUNS["m"])))


@cache
def _compile(template: str) -> _Sequence:
    options, end = _compile_options(template, 0)
    if end != len(template) or len(options) != 1:
        raise TemplateError(f"unbalanced ( or | in: {template}")
    return options[0]


def _compile_options(template: str, position: int) -> tuple[list[_Sequence], int]:
    options: list[list[str | _Reference | _Choice]] = [[]]
    while position < len(template):
        character = template[position]
        if character == "(":
            inner, position = _compile_options(template, position + 1)
            if position >= len(template):
                raise TemplateError(f"unclosed ( in: {template}")
            options[-1].append(_Choice(tuple(inner)))
            position += 1
        elif character == ")":
            break
        elif character == "|":
            options.append([])
            position += 1
        elif character == "<":
            match = _REFERENCE.match(template, position)
            if match is None:
                raise TemplateError(f"malformed <...> in: {template}")
            name, bind, subject = match.groups()
            head, _, last = name.rpartition(".")
            attribute = last if head and last in _ATTRIBUTES else None
            options[-1].append(_Reference(head if attribute else name, bind, attribute, subject))
            position = match.end()
        else:
            end = position
            while end < len(template) and template[end] not in "(|)<":
                end += 1
            options[-1].append(template[position:end])
            position = end
    return [tuple(option) for option in options], position


@dataclass
class Expander:
    """Expands templates for one script.

    Attributes:
        rules: alternatives by rule name.
        rng: the only source of chance.
        bound: what names stand for in this script; references look here first.
    """

    rules: Mapping[str, Sequence[str]]
    rng: random.Random
    bound: dict[str, Phrase] = field(default_factory=dict)

    def expand(self, template: str) -> Phrase:
        """Expand a template; text as in the middle of a sentence, spaces not yet tidied."""
        return self._sequence(_compile(template))

    def sentence(self, template: str) -> str:
        """Expand a template into one or more finished sentences."""
        return tidy(self.expand(template).text)

    def rule(self, name: str) -> str:
        """A finished sentence of the named rule."""
        return self.sentence(self.rng.choice(self.rules[name]))

    def _sequence(self, sequence: _Sequence) -> Phrase:
        parts = []
        person = None  # of the last part: "my neighbour <name>", "a (smith/m|nun/f)", "my aunt/f"
        for part in sequence:
            if isinstance(part, str):
                suffix = _PERSON_SUFFIX.search(part) if part is sequence[-1] else None
                person = suffix.group(1) if suffix else None
                parts.append(part[: suffix.start()] if suffix else part)
            else:
                phrase = (
                    self._sequence(self.rng.choice(part.options))
                    if isinstance(part, _Choice)
                    else self._reference(part)
                )
                person = phrase.person
                parts.append(phrase.text)
        return Phrase("".join(parts), person)

    def _reference(self, reference: _Reference) -> Phrase:
        attribute = reference.attribute
        if attribute is not None and attribute.lower() in _PRONOUNS["m"]:
            person = self._person(reference.rule)
            pronoun = _PRONOUNS[person][attribute.lower()]
            return Phrase(pronoun.capitalize() if attribute[0].isupper() else pronoun)
        phrase = self.bound.get(reference.rule) or self._alternative(reference.rule)
        if attribute in _FORMS:
            person = self._person(reference.subject) if reference.subject else "i"
            phrase = Phrase(inflect(phrase.text, attribute, person))
        elif attribute == "cap":
            phrase = Phrase(phrase.text[:1].upper() + phrase.text[1:])
        if reference.bind:
            self.bound[reference.bind] = phrase
        return phrase

    def _person(self, subject: str) -> str:
        if subject in self.bound:
            return self.bound[subject].person or "p"
        if subject not in _SUBJECTS:
            raise TemplateError(f"nobody is bound to {subject}")
        return _SUBJECTS[subject]

    def _alternative(self, name: str) -> Phrase:
        if name not in self.rules:
            raise TemplateError(f"no rule {name}")
        return self.expand(self.rng.choice(self.rules[name]))


def inflect(phrase: str, form: str, person: str) -> str:
    """A verb phrase in the form that its subject needs; see the module for "~" and "+"."""
    words = phrase.replace("~", _PRONOUNS[person]["his"]).split(" ")
    marked = [index for index, word in enumerate(words) if word.startswith("+")] or [0]
    for index in marked:
        words[index] = _inflect_verb(words[index].removeprefix("+"), form, person)
    return " ".join(words)


def _inflect_verb(verb: str, form: str, person: str) -> str:
    if form == "base" or (form == "pres" and person not in "mf"):
        return verb
    if form == "pres":
        if verb in ("have", "be", "do", "go"):
            return {"have": "has", "be": "is", "do": "does", "go": "goes"}[verb]
        if verb.endswith("y") and verb[-2] not in "aeiou":
            return verb[:-1] + "ies"
        return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")
    if form == "ing":
        if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
            return verb[:-1] + "ing"
        return verb + (verb[-1] if _DOUBLING.fullmatch(verb) else "") + "ing"
    if verb in _IRREGULAR:
        return _IRREGULAR[verb][form == "pp"]
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + (verb[-1] if _DOUBLING.fullmatch(verb) else "") + "ed"


def tidy(text: str) -> str:
    """Spaces, "a" or "an", a capital at each sentence's start and a mark at the end."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.!?;:])", r"\1", text)
    text = re.sub(r",([.!?])", r"\1", text)
    text = _AN.sub(r"\1n ", text)
    text = re.sub(r"(^|[.!?]\s+)(\"?)([a-z])", lambda match: match[1] + match[2] + match[3].upper(), text)
    return text if text[-1] in '.!?"' else text + "."
