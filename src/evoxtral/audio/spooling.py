"""What cannot be sought in (a pipe, a download), kept in a temporary file without a name, which goes with the process.

Knows nothing of what the bytes are.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from evoxtral.errors import AudioError

_PIECE_BYTES = 256 * 1024


def pieces_of(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """What a stream holds, piece by piece.

    Raises:
        AudioError: it cannot be read.
    """
    while True:
        try:
            piece = stream.read(_PIECE_BYTES)
        except OSError as error:
            raise AudioError(f"{name}: cannot be read: {error.strerror or error}") from error
        if not piece:
            return
        yield piece


@contextmanager
def spooled(pieces: Iterable[bytes], name: str) -> Iterator[BinaryIO]:
    """Give an open file, at its start, that holds all the pieces.

    Raises:
        AudioError: the temporary folder has no room for them, or cannot be written.
    """
    with ExitStack() as stack:
        try:
            # Unbuffered, so that nothing is left to be written when the file is closed after a failure.
            file = stack.enter_context(tempfile.TemporaryFile(buffering=0))
        except OSError as error:
            raise _no_room(name, error) from error
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                try:
                    rest = rest[file.write(rest) :]
                except OSError as error:
                    raise _no_room(name, error) from error
        file.seek(0)
        yield file


def _no_room(name: str, error: OSError) -> AudioError:
    return AudioError(
        f"{name}: cannot be kept in a temporary file: {error.strerror or error}",
        "make room, or set TMPDIR to a folder that has some",
    )
