"""Text as people paste it, made into text that a plain voice can say: markdown, links, SSML, emoji, other scripts.

A plain voice reads an asterisk as "asterisk" and a Chinese word as "Chinese letter". Each rule here turns one kind of
sign into words, a tag or nothing; what is left out is said in a note. Ordinary tagged text comes back as it is. Knows
the tag language and Unicode; nothing of voices.
"""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from evoxtral.tags import parse

_MAX_SHOWN = 5  # of the things that a note names


@dataclass(frozen=True, slots=True)
class SpokenText:
    """Tagged text to be spoken, and one line for each kind of thing that was left out."""

    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rule:
    """What becomes of a kind of sign.

    Attributes:
        pattern: finds it; bounded, so that no text takes long.
        said: what stands in its place, as `re.sub` takes it; a function gets the match and may give it back unchanged.
        left_out: what a note calls it, or None where nothing that has a meaning is lost.
    """

    pattern: re.Pattern[str]
    said: str | Callable[[re.Match[str]], str]
    left_out: str | None = None


_SSML = (
    "audio|break|desc|emphasis|lang|lexicon|mark|meta|metadata|p|paragraph|phoneme|prosody|s|say-as|sentence|speak|sub"
    "|token|voice|w"
)
_HTML = (
    "a|b|blockquote|body|br|code|del|details|div|em|font|h[1-6]|head|hr|html|i|img|ins|kbd|li|mark|ol|p|pre|q|small"
    "|span|strong|summary|sup|table|tbody|td|th|thead|title|tr|u|ul"
)
_ATTRIBUTES = r"""(?:\s+[\w:.-]{1,40}\s*=\s*(?:"[^"<>]{0,500}"|'[^'<>]{0,500}'|[^\s"'<>]{1,200})){0,20}\s*/?"""
_WEB = r"(?:https?|ftp)://[^\s<>\]]{1,2000}|www\.[^\s<>\]]{1,2000}"
# Symbols that people write for a word.
_SYMBOLS = {
    "©": " copyright ",
    "®": "",
    "™": "",
    "→": " to ",
    "←": " from ",
    "×": " times ",
    "÷": " divided by ",
    "≈": " about ",
    "≠": " is not ",
    "≤": " at most ",
    "≥": " at least ",
    "•": ", ",
    "·": ", ",
    "‣": ", ",
    "✓": " yes ",
    "✔": " yes ",
    "✗": " no ",
    "✘": " no ",
}
_ALONE = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "<": "is less than",
    ">": "is more than",
    "<=": "is at most",
    ">=": "is at least",
    "@": "at",
}
# Of the category "other symbol", which is where emoji are, a voice knows these.
_SPOKEN_SYMBOLS = frozenset("°¦№℃℉")
_JOINERS = frozenset("\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff\u20e3")


def _stage_direction(match: re.Match[str]) -> str:
    """`(laughs)` and `*sighs*` are tags in other brackets; other words are words."""
    tag = parse(f"[{match['inside'].strip()}]").tags
    return tag[0].text if tag and tag[0].known else match[0]


def _emphasis(match: re.Match[str]) -> str:
    inside = _stage_direction(match)
    return match["inside"] if inside == match[0] else inside


def _address(match: re.Match[str]) -> str:
    """An address of the web by the name of its host."""
    end = len(match[0].rstrip(".,;:!?'\")"))
    host = re.sub(r"^\w+://|^www\.", "", match[0][:end]).split("/")[0].split("?")[0].split("@")[-1]
    return " dot ".join(host.removeprefix("www.").split(":")[0].split(".")) + match[0][end:]


def _mail(match: re.Match[str]) -> str:
    return match[0].replace("@", " at ").replace(".", " dot ").replace("_", " ")


def _link(match: re.Match[str]) -> str:
    target = match["target"]
    is_place = "/" in target or "." in target or target.startswith(("#", "mailto:"))
    return match["label"] if is_place else match[0]


def _greek_letter(match: re.Match[str]) -> str:
    name = unicodedata.name(match[0], "")
    return name.rsplit(" ", 1)[-1].lower() if " LETTER " in name and "WITH" not in name else match[0]


def _regex(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, flags)


# In this order: code and links before emphasis, because addresses hold underscores; single signs last.
_RULES: tuple[_Rule, ...] = (
    # Markdown's blocks.
    _Rule(_regex(r"^[ \t]*(?:```|~~~)[^\n]{0,200}$", re.M), ""),
    _Rule(_regex(r"^[ \t]*(?:[-*_=][ \t]?){3,}$", re.M), ""),
    _Rule(_regex(r"^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*(?:\|[ \t:|-]*)?$", re.M), ""),
    _Rule(_regex(r"^[ \t]*#{1,6}[ \t]+", re.M), ""),
    _Rule(_regex(r"^[ \t]*(?:>[ \t]?)+", re.M), ""),
    _Rule(_regex(r"^[ \t]*[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?", re.M), ""),
    # Markup.
    _Rule(_regex(r"<!--.{0,5000}?-->", re.S), "", "comments"),
    _Rule(_regex(r"<break(?:\s[^<>]{0,200})?/?>", re.I), " [pause] "),
    _Rule(_regex(r"<sub\b[^<>]{0,100}?alias=[\"']([^\"'<>]{1,200})[\"'][^<>]{0,100}>[^<>]{0,200}</sub>", re.I), r"\1"),
    _Rule(_regex(r"<br\s?/?>|</(?:p|li|h[1-6]|div|tr)>", re.I), "\n"),
    _Rule(_regex(rf"</?(?:{_SSML}|{_HTML}){_ATTRIBUTES}>", re.I), "", "markup"),
    _Rule(_regex(r"<\?xml[^<>]{0,200}>", re.I), "", "markup"),
    _Rule(_regex(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[0-9a-fA-F]{1,6});"), lambda match: html.unescape(match[0])),
    # Links and addresses.
    _Rule(_regex(r"!?\[(?P<label>[^\[\]\n]{0,300})\]\((?P<target>[^()\s]{1,2000})(?:\s+\"[^\"\n]{0,200}\")?\)"), _link),
    _Rule(_regex(r"\[\^?\d{1,3}\](?=[\s.,;:!?]|$)"), "", "marks of footnotes"),
    _Rule(_regex(rf"<(?P<web>{_WEB})>"), lambda match: match["web"]),
    _Rule(_regex(_WEB), _address, "all of an address but its host"),
    _Rule(_regex(r"\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,5}\b"), _mail),
    # Markdown's spans, and stage directions.
    _Rule(_regex(r"`{1,3}([^`\n]{1,500})`{1,3}"), r"\1"),
    _Rule(_regex(r"(\*\*|__|~~)(?=\S)([^\n]{1,500}?)(?<=\S)\1"), r"\2"),
    _Rule(_regex(r"\*(?=\S)(?P<inside>[^*\n]{1,300})(?<=\S)\*"), _emphasis),
    _Rule(_regex(r"(?<!\w)_(?=\S)(?P<inside>[^_\n]{1,300})(?<=\S)_(?!\w)"), _emphasis),
    _Rule(_regex(r"\((?P<inside>[A-Za-z][A-Za-z ]{1,30})\)"), _stage_direction),
    # Single signs; one that stands alone is no word of the tag language.
    _Rule(_regex(r"(?<=\w )(?:[&+=<>@]|<=|>=)(?= \w)"), lambda match: _ALONE[match[0]]),
    _Rule(_regex(r"(?<=\d) ?\* ?(?=\d)"), " times "),
    _Rule(_regex(r"#(?=\d)"), "number "),
    _Rule(_regex(r"~(?=\d)"), "about "),
    _Rule(_regex(r"(?<=\w)_+(?=\w)"), " "),
    _Rule(_regex(r"^[ \t]*\||\|[ \t]*$", re.M), ""),
    _Rule(_regex(r"[ \t]*\|[ \t]*"), ", "),
    _Rule(_regex(r"[*#_`~^\\]+"), " "),
    _Rule(_regex(f"[{''.join(_SYMBOLS)}]"), lambda match: _SYMBOLS[match[0]]),
    _Rule(_regex(r"(?<![^\W\d_])[\u0370-\u03ff](?![^\W\d_])"), _greek_letter),
)


def make_speakable(text: str) -> SpokenText:
    """The text as a plain voice can say it, and what was left out of it."""
    notes = []
    for rule in _RULES:
        text, found = _apply(rule, text)
        if found and rule.left_out is not None:
            notes.append(f"left out: {rule.left_out}")
    text, emoji, foreign = _without_what_no_voice_knows(text)
    if emoji:
        notes.append(f"left out: emoji and signs ({_listed(emoji)})")
    notes += [f"left out: words in {script} script ({_listed(words)})" for script, words in foreign.items()]
    return SpokenText(text, tuple(dict.fromkeys(notes)))


def _apply(rule: _Rule, text: str) -> tuple[str, bool]:
    """The text after a rule, and whether that changed it."""
    changed = False

    def replaced(match: re.Match[str]) -> str:
        nonlocal changed
        said = match.expand(rule.said) if isinstance(rule.said, str) else rule.said(match)
        changed |= said != match[0]
        return said

    return rule.pattern.sub(replaced, text), changed


def _without_what_no_voice_knows(text: str) -> tuple[str, Counter[str], dict[str, Counter[str]]]:
    """Without emoji and without words in other scripts than Latin; both as they were, words by script."""
    emoji: Counter[str] = Counter()
    foreign: dict[str, Counter[str]] = {}
    kept = []
    for piece, script in _runs(text):
        if script is None:
            kept.append(piece)
        elif script == "":
            emoji[piece] += 1
            kept.append(" ")
        else:
            foreign.setdefault(script, Counter())[piece] += 1
            kept.append(" ")
    return "".join(kept), emoji, foreign


def _runs(text: str) -> Iterator[tuple[str, str | None]]:
    """Stretches of one kind: None for what a voice knows, "" for emoji, else the name of a script."""
    begin, kind = 0, None
    for index, character in enumerate(text):
        # What joins or marks a letter or sign belongs to it.
        is_mark = character in _JOINERS or unicodedata.category(character) in ("Mn", "Me", "Mc")
        here = kind if is_mark else _kind(character)
        if is_mark and kind is None and character in _JOINERS:
            here = ""
        if here != kind:
            if index > begin:
                yield text[begin:index], kind
            begin, kind = index, here
    if text[begin:]:
        yield text[begin:], kind


def _kind(character: str) -> str | None:
    """None for what a voice knows, "" for an emoji or a sign without a name, else the script of a letter."""
    if character.isascii():
        return None
    category = unicodedata.category(character)
    if category in ("So", "Sk", "Cn", "Co", "Cs") and character not in _SPOKEN_SYMBOLS:
        return ""
    if category in ("Lu", "Ll", "Lt", "Lo", "Lm", "Nd", "Nl"):
        name = unicodedata.name(character, "UNKNOWN")
        script = "CJK" if name.startswith("CJK") else name.split(" ", 1)[0]
        if script not in ("LATIN", "FEMININE", "MASCULINE", "MODIFIER", "MICRO", "KELVIN", "ANGSTROM"):
            return {"CJK": "Chinese"}.get(script, script.capitalize())
    return None


def _listed(found: Counter[str]) -> str:
    shown = [piece.strip("".join(_JOINERS)) for piece in list(found)[:_MAX_SHOWN]]
    return " ".join(piece for piece in shown if piece) + (" ..." if len(found) > _MAX_SHOWN else "")
