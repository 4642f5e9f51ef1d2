"""The texts that the offline writer is made of: situations by domain, and rules that fit any situation.

Reads the files under `texts/` and knows their form; knows nothing of how scripts are made of them.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from evoxtral.data.records import Domain

# Ends the key of a name that stands for who speaks or listens: nobody tells people about themselves.
PRESENT = "!"
_WANT = "want"  # heads the sentences of a situation in which somebody says what they want


@dataclass(frozen=True)
class Situation:
    """A situation of a domain: themes, what it is about, names that it binds, sentences by mood and of wants."""

    domain: Domain
    name: str
    themes: tuple[str, ...]
    topic: str
    names: tuple[tuple[str, str], ...]
    sentences: Mapping[str, tuple[str, ...]]

    @property
    def wants(self) -> tuple[str, ...]:
        """Sentences in which somebody says what they want."""
        return self.sentences.get(_WANT, ())

    def told(self, mood: str) -> tuple[str, ...]:
        """Its sentences of a mood in the order in which it tells them: what is wanted last."""
        return (*self.sentences.get(mood, ()), *(self.wants if mood == "neutral" else ()))


def _read_text(name: str) -> list[str]:
    text = (resources.files("evoxtral.corpus.writers") / "texts" / f"{name}.txt").read_text("utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@cache
def load_rules() -> dict[str, tuple[str, ...]]:
    """Alternatives by rule: words, events and sentences for any situation."""
    rules: dict[str, list[str]] = defaultdict(list)
    for name in ("words", "events", "frames", "talk"):
        rule = ""
        for line in _read_text(name):
            if line.startswith("== "):
                rule = line[3:]
            else:
                rules[rule].append(line)
    return {rule: tuple(lines) for rule, lines in rules.items()}


@cache
def load_situations() -> dict[Domain, tuple[Situation, ...]]:
    """All situations by domain."""
    return {domain: tuple(_read_situations(domain)) for domain in Domain}


def _read_situations(domain: Domain) -> list[Situation]:
    situations: list[Situation] = []
    names: list[tuple[str, str]] = []
    sentences: dict[str, list[str]] = {}
    header: list[str] = []
    mood = ""
    for line in [*_read_text(domain.value), "== end"]:
        if line.startswith("== "):
            if header:
                title, themes, topic = header
                moods = {key: tuple(lines) for key, lines in sentences.items()}
                situations.append(Situation(domain, title, tuple(themes.split()), topic, tuple(names), moods))
            header, names, sentences = [part.strip() for part in line[3:].split("|")], [], defaultdict(list)
        elif line.startswith("@ "):
            key, _, template = line[2:].partition("=")
            names.append((key.strip(), template.strip()))
        elif line.startswith("% "):
            mood = line[2:].strip()
        else:
            sentences[mood].append(line)
    return situations


@cache
def word_list(rule: str) -> frozenset[str]:
    """The words of a rule that is a plain list."""
    return frozenset(word for line in load_rules()[rule] for word in line.split())


@cache
def proper_names() -> frozenset[str]:
    rules = load_rules()
    lists = " ".join(" ".join(rules[name]) for name in ("name", "surname", "town", "day", "month", "street"))
    found = re.findall(r"[A-Z][a-z]+", lists)
    return frozenset((*found, *(f"{name}'s" for name in found)))
