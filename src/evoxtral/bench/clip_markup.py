"""Clips for a page: both texts with what became of their words and tags, and players for their audio.

Knows one clip at a time, and HTML; texts are escaped here.
"""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evoxtral.bench.alignment import comparable
from evoxtral.bench.confusion import tag_fates
from evoxtral.bench.metrics.metric import ClipTexts
from evoxtral.bench.plots import number
from evoxtral.bench.rewards import clip_reward
from evoxtral.bench.roundtrip import Condition, RoundTrip
from evoxtral.bench.scoring import ScoredClip
from evoxtral.bench.testset import TestSet
from evoxtral.tags import Tag, TaggedText, Word


def clip_markup(clip: ScoredClip, testset: TestSet | None, spoken: tuple[RoundTrip, Path] | None) -> dict[str, Any]:
    """What the page shows of one clip.

    Args:
        testset: where its audio lies; without it there is no player for the recording.
        spoken: a round trip of the same clips, and the folder with its speech.
    """
    said, heard = _marked(clip.texts)
    players = []
    if testset is not None and clip.record.audio is not None:
        players.append(("original", _audio_uri(testset.audio_path(clip.record))))
    if spoken is not None:
        for one in spoken[0].clips:
            if one.id == clip.record.id and one.audio and one.condition in (Condition.TAGGED, Condition.UNTAGGED):
                players.append((f"spoken again, {one.condition}", _audio_uri(spoken[1] / one.audio)))
    about = [clip.record.slice_type, clip.record.domain, clip.record.voice]
    return {
        "id": clip.record.id,
        "about": " · ".join(part for part in about if part),
        "score": number(clip_reward(clip.texts, clip.counts)),
        "said": said,
        "heard": heard,
        "players": players,
    }


def _marked(clip: ClipTexts) -> tuple[str, str]:
    """Both texts as HTML: words and tags with classes that say what became of them."""
    reference, hypothesis = clip.reference, clip.hypothesis
    said_words, heard_words = ["missing"] * len(reference.words), []
    for index, target in enumerate(clip.alignment.to_reference):
        if target is None:
            heard_words.append("extra")
            continue
        right = comparable(hypothesis.words[index].text) == comparable(reference.words[target].text)
        said_words[target] = "" if right else "wrong"
        heard_words.append("" if right else "wrong")
    said_tags, heard_tags = [""] * len(reference.tags), [""] * len(hypothesis.tags)
    for said, heard in tag_fates(clip):
        if said is None and heard is not None:
            heard_tags[heard] = "extra"
        elif heard is None and said is not None:
            said_tags[said] = "missing"
        elif said is not None and heard is not None:
            right = reference.tags[said].name == hypothesis.tags[heard].name
            said_tags[said] = heard_tags[heard] = "" if right else "wrong"
    return _marked_text(reference, said_words, said_tags), _marked_text(hypothesis, heard_words, heard_tags)


def _marked_text(text: TaggedText, word_fates: Sequence[str], tag_fates: Sequence[str]) -> str:
    marked: list[tuple[Word | Tag, str]] = [
        *zip(text.words, word_fates, strict=True),
        *zip(text.tags, tag_fates, strict=True),
    ]
    parts = []
    for item, fate in sorted(marked, key=lambda one: one[0].start):
        if isinstance(item, Tag):
            kind = "unknown" if item.category is None else item.category
            parts.append(f'<span class="chip {kind} {fate}">{html.escape(item.name)}</span>')
        else:
            stress = " stress" if item.emphasis else ""
            parts.append(f'<span class="word {fate}{stress}">{html.escape(item.text)}</span>')
    return " ".join(parts) or '<span class="nothing">nothing</span>'


def _audio_uri(path: Path) -> str:
    """An audio file inside a page; what is not compressed is encoded as Opus first."""
    content = path.read_bytes()
    if path.suffix not in (".opus", ".ogg"):
        from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, write_audio

        encoded = io.BytesIO()
        write_audio(encoded, load_audio(path), SAMPLE_RATE_HZ, suffix=".opus")
        content = encoded.getvalue()
    return f"data:audio/ogg;base64,{base64.b64encode(content).decode()}"
