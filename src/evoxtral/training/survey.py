"""What the corpora of a recipe hold: clips, hours, tags and a digest of their content, before any model is loaded.

Reads texts and audio headers and decodes nothing, so that hours are surveyed in seconds. Knows no models.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from evoxtral.data.clips import ListedClip
from evoxtral.errors import RecipeError
from evoxtral.tags import parse
from evoxtral.training.clips import READERS, duration_s, list_clips, read_audio
from evoxtral.training.recipe import Recipe, Source


@dataclass(frozen=True, slots=True)
class Survey:
    """One source of a recipe.

    Attributes:
        role: "train", "validation" or "preference".
        dataset: hub id under which it is published.
        clips: how many are used; `too_long` more are left out.
        tagged_clips: how many of them have tags; `tags` counts these by canonical name.
        sha256: over names, texts and audio of all clips, in order.
    """

    role: str
    path: str
    split: str
    dataset: str | None
    clips: int
    too_long: int
    audio_s: float
    tagged_clips: int
    tags: Mapping[str, int]
    sha256: str


def check_sources(recipe: Recipe) -> None:
    """Make sure that no corpus folder is missing, before the first is read.

    Raises:
        RecipeError: naming all that are missing, and the command that makes them if the recipe has it.
    """
    command = recipe.data.made_by
    paths = list(dict.fromkeys(source.path for _, source in _sources(recipe)))
    missing = [path for path in paths if not Path(path).exists() and (command is not None or not _may_be_hub_id(path))]
    if missing:
        how = f"make them: {command}" if command else "data.made_by in the recipe can name the command that makes them"
        raise RecipeError(f"{len(missing)} of {len(paths)} corpora are missing: {', '.join(missing)}", how)


def survey_sources(recipe: Recipe, *, max_clip_s: float | None) -> list[Survey]:
    """Look through all sources of a recipe, in order.

    Args:
        max_clip_s: longer clips are not used.

    Raises:
        RecipeError: a source is missing, is malformed, has no clip in its split, or names unreadable audio.
    """
    check_sources(recipe)
    return [_survey(role, source, max_clip_s) for role, source in _sources(recipe)]


def _sources(recipe: Recipe) -> Iterator[tuple[str, Source]]:
    preferred: Sequence[Source] = recipe.preference.sources if recipe.preference is not None else ()
    for role, sources in (
        ("train", recipe.data.train),
        ("validation", recipe.data.validation),
        ("preference", preferred),
    ):
        for source in sources:
            yield role, source


def _survey(role: str, source: Source, max_clip_s: float | None) -> Survey:
    listed = list_clips(source)
    digest = hashlib.sha256()
    tags: Counter[str] = Counter()
    clips = tagged = 0
    audio_s = 0.0
    with ThreadPoolExecutor(READERS) as readers:
        for clip, (length_s, audio_sha256) in zip(listed, readers.map(_look, listed), strict=True):
            digest.update(f"{clip.id}\0{clip.text}\0".encode() + audio_sha256)
            if max_clip_s is not None and length_s > max_clip_s:
                continue
            names = [tag.name for tag in parse(clip.text).tags]
            clips += 1
            audio_s += length_s
            tagged += bool(names)
            tags.update(names)
    return Survey(
        role=role,
        path=source.path,
        split=source.split,
        dataset=source.dataset or (source.path if not Path(source.path).exists() else None),
        clips=clips,
        too_long=len(listed) - clips,
        audio_s=round(audio_s, 1),
        tagged_clips=tagged,
        tags=dict(sorted(tags.items())),
        sha256=digest.hexdigest(),
    )


def _look(clip: ListedClip) -> tuple[float, bytes]:
    """Duration in seconds and SHA-256 of a clip's audio."""
    content = read_audio(clip)
    return duration_s(clip, content), hashlib.sha256(content).digest()


def _may_be_hub_id(path: str) -> bool:
    """Whether a path has the form NAME or OWNER/NAME of a dataset's hub id."""
    parts = path.split("/")
    return len(parts) <= 2 and all(part and not part.startswith(".") for part in parts)
