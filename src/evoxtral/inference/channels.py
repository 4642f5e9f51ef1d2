"""A transcript whose speakers are channels, seen by channel. Knows transcripts; nothing of how channels are heard."""

import re
from dataclasses import replace

from evoxtral.inference.transcript import Transcript
from evoxtral.tags import parse

_LABEL = re.compile(r"CHANNEL_(\d+)")


def channel_label(index: int) -> str:
    """What the speaker of a channel is called; `index` counts from 0."""
    return f"CHANNEL_{index + 1}"


def channel_index(speaker: str | None) -> int | None:
    """Which channel a speaker's name is that of; None where it is another name."""
    found = _LABEL.fullmatch(speaker or "")
    return int(found[1]) - 1 if found else None


def by_channel(transcript: Transcript) -> list[Transcript]:
    """The transcript of each channel; of a recording that was heard as a whole, the transcript itself.

    Gaps of tags are in the channel's words; segments are counted anew.
    """
    if transcript.channels is None:
        return [transcript]
    parts = []
    for index in range(transcript.channels):
        own = [number for number, segment in enumerate(transcript.segments) if channel_index(segment.speaker) == index]
        place = {number: position for position, number in enumerate(own)}
        text = " ".join(transcript.segments[number].text for number in own)
        tags = [tag for tag in transcript.tags if tag.segment in place]
        gaps = [tag.gap for tag in parse(text).tags]
        parts.append(
            replace(
                transcript,
                text=text,
                plain_text=parse(text).plain_text,
                segments=tuple(transcript.segments[number] for number in own),
                words=tuple(
                    replace(word, segment=place[word.segment])
                    for word in transcript.words
                    if word.segment is not None and word.segment in place
                ),
                tags=tuple(
                    replace(tag, segment=place[tag.segment or 0], gap=gap) for tag, gap in zip(tags, gaps, strict=True)
                ),
                channels=None,
            )
        )
    return parts
