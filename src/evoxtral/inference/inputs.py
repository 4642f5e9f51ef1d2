"""What to transcribe and where to write it: files, folders, addresses, standard input; output names that never collide.

Knows paths; opens nothing.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from stat import S_ISDIR
from urllib.parse import unquote, urlsplit

from evoxtral.models.names import without_credentials

STANDARD_INPUT = "-"

# What is taken from a folder. A file that is named itself may have any name.
_MEDIA_NAME = re.compile(
    r"[^.].*\.(3gp|aac|ac3|aif[cf]?|amr|ape|au|avi|caf|dts|flac|flv|m2ts|m4[abv]|mk[av]|mov|mp[234]|mpe?g|mts|og[agv]"
    r"|opus|ra|snd|spx|ts|tta|vob|w64|wav|web[am]|wm[av]|wv)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Input:
    """One recording to transcribe.

    Attributes:
        path: as the user named it, or as found in a folder that the user named; "-" for standard input.
        output: where its outputs go, relative to the output folder and without a suffix.
    """

    path: str
    output: PurePath

    @property
    def name(self) -> str:
        """How messages and transcripts call it: its path; of an address, what may be shown."""
        return without_credentials(self.path) if is_address(self.path) else self.path


def find_inputs(paths: Iterable[str]) -> list[Input]:
    """The recordings that paths name: files as they are, folders with all media in them and below, each once.

    Outputs are named by their inputs: `talk.mp3` gives `talk`, `shows/one/talk.mp3` of the folder `shows` gives
    `one/talk`. Where two recordings would share a name, both keep their suffix (`talk.mp3`, `talk.wav`), and what
    still collides gets a number.
    """
    found: dict[str | Path, tuple[str, PurePath]] = {}  # by absolute path: "./a.wav" is a.wav
    for path in paths:
        if path == STANDARD_INPUT:
            found.setdefault(path, (path, PurePath("stdin")))
        elif is_address(path):
            found.setdefault(path, (path, PurePath(_file_name(path))))
        elif S_ISDIR(mode_of(path)):
            for file in sorted(_media_in(Path(path))):
                found.setdefault(file.absolute(), (str(file), file.relative_to(path)))
        else:
            found.setdefault(Path(path).absolute(), (path, PurePath(Path(path).name)))
    outputs = _output_names([name for _, name in found.values()])
    return [Input(path, output) for (path, _), output in zip(found.values(), outputs, strict=True)]


def mode_of(path: str) -> int:
    """What kind of thing a path names, as `stat` has it; 0 if nothing."""
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0


def is_address(path: str) -> bool:
    """Whether a path is an address, of whatever scheme."""
    return _ADDRESS.match(path) is not None


def is_media_name(name: str) -> bool:
    """Whether a file of that name is taken from a folder: its suffix is one of sound or video, and it is not hidden."""
    return _MEDIA_NAME.fullmatch(name) is not None


def _file_name(address: str) -> str:
    """What the file at an address is called: the last part of its path, or the host's name."""
    try:
        parts = urlsplit(address)
        name = PurePosixPath(unquote(parts.path)).name
        name = "".join(character for character in name if character.isprintable())
        return name if name.strip(". ") else parts.hostname or "address"
    except ValueError:
        return "address"


def _media_in(folder: Path) -> Iterable[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if is_media_name(name):
                yield Path(place) / name


def _output_names(names: Sequence[PurePath]) -> list[PurePath]:
    # Some file systems hold A.txt and a.txt to be the same.
    stems = Counter(_folded(name.with_suffix("")) for name in names)
    outputs: list[PurePath] = []
    taken: set[str] = set()
    for name in names:
        wanted = name.with_suffix("") if stems[_folded(name.with_suffix(""))] == 1 else name
        output, number = wanted, 2
        while _folded(output) in taken:
            output, number = wanted.with_name(f"{wanted.name}-{number}"), number + 1
        taken.add(_folded(output))
        outputs.append(output)
    return outputs


def _folded(path: PurePath) -> str:
    return str(path).casefold()
