"""Recorded human speech as clips of a corpus: subtitles become tagged text, sounds become tags or nothing.

Knows how people write sounds into transcripts; knows nothing of how clips are trained on.
"""

import re
from collections.abc import Iterable

from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.files import write_atomically
from evoxtral.data.recording_sets import Recording, RecordingSet
from evoxtral.data.records import Clip, Domain, SliceType
from evoxtral.tags import lookup, parse

# A sound between brackets or angle brackets, such as "(sigh)" or "<ahem>".
_SOUND = re.compile(r"[(<]\s*([a-z ]{3,20})\s*[)>]", re.IGNORECASE)
# A text that is nothing but laughter spelled out, or a cleared throat.
_LAUGHTER = re.compile(r"(?:n?y?a*h?[ ,]*)?(?:(?:ha+r?|ho+|he+h?|hee+)\b[ ,.!-]*){2,}", re.IGNORECASE)
_THROAT = re.compile(r"a+hem+\W*", re.IGNORECASE)
# Recordings of these labels that stand alone carry exactly this text; labels not named here carry no certain text.
_SOUND_TEXTS = {
    "laughs": "[laughs]",
    "sighs": "[sighs]",
    "gasps": "[gasps]",
    "crying": "[crying]",
    "baby_cry": "",
    "sneeze": "",
}


def tagged_transcript(recording: Recording) -> str | None:
    """The tagged text of a recording, or None where nobody can say what is to be heard in it.

    Texts that are all capitals (subtitles) are written as sentences; "(sigh)" becomes [sighs]; spelled-out laughter
    that stands alone becomes [laughs].
    """
    text = " ".join(recording.transcript.split())
    if not text:
        return _SOUND_TEXTS.get(recording.tag)
    if _LAUGHTER.fullmatch(text):
        return "[laughs]"
    if _THROAT.fullmatch(text):
        return "[clears throat]"
    text = _SOUND.sub(_tag_of, text).strip()
    if text.isupper() and len(text.split()) > 1:
        text = _sentence_case(text)
    return text or None


def _tag_of(sound: re.Match[str]) -> str:
    """The tag for a written sound; nothing for one that the language has no tag for."""
    found = lookup(sound[1])
    return f"[{found.name}]" if found is not None and found.use is not None else ""


def _sentence_case(text: str) -> str:
    lowered = re.sub(r"\bi(?=\b|')", "I", text.lower())
    lowered = re.sub(r"(^|[.!?]\s+)([a-z])", lambda match: match[1] + match[2].upper(), lowered)
    return lowered if lowered[-1] in ".!?" else lowered + "."


def import_recordings(
    folder: CorpusFolder, recordings: RecordingSet, chosen: Iterable[Recording], *, domain: Domain
) -> list[Clip]:
    """Copy recordings into a corpus as clips, the audio as it is; those without a certain text are left out.

    Clips that the corpus holds already are not copied again. The speaker becomes the clip's voice and the set's name
    its engine.

    Returns:
        The clips that were added.
    """
    held = {clip.id for clip in folder.read_clips()}
    clips = []
    for recording in chosen:
        text = tagged_transcript(recording)
        name = re.sub(r"[^A-Za-z0-9_-]", "-", recording.file.rsplit(".", 1)[0])
        if text is None or name in held:
            continue
        audio = folder.audio_path / f"{name}.{recording.file.rsplit('.', 1)[1]}"
        write_atomically(audio, recordings.read_bytes(recording))
        clips.append(
            Clip(
                id=name,
                script_id=name,
                tagged_text=text,
                audio=str(audio.relative_to(folder.path)),
                duration_s=recording.duration_s,
                voice=recording.speaker,
                engine=f"recording/{recordings.name}",
                seed=0,
                slice_type=SliceType.LIGHT if parse(text).tags else SliceType.PLAIN,
                domain=domain,
                split=recording.split,
            )
        )
    folder.append_clips(clips)
    return clips
