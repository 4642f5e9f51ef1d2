"""What cannot be sought in (a pipe, a download), kept in memory or, if it is long, in a temporary file without a name.

Knows nothing of what the bytes are.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO, FileIO
from typing import BinaryIO, cast

from evoxtral.errors import AudioError

IN_MEMORY_BYTES = 32 * 2**20
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
        memory, file, size_bytes = BytesIO(), None, 0
        for piece in pieces:
            size_bytes += len(piece)
            try:
                if file is None and size_bytes > IN_MEMORY_BYTES:
                    # Unbuffered, so that nothing is left to be written when the file is closed after a failure.
                    file = stack.enter_context(tempfile.TemporaryFile(buffering=0))
                    _write(file, memory.getbuffer())
                    memory = BytesIO()
                if file is None:
                    memory.write(piece)
                else:
                    _write(file, memoryview(piece))
            except OSError as error:
                raise AudioError(
                    f"{name}: cannot be kept in a temporary file: {error.strerror or error}",
                    "make room, or set TMPDIR to a folder that has some",
                ) from error
        whole: BinaryIO = memory if file is None else cast(BinaryIO, file)
        whole.seek(0)
        yield whole


def _write(file: FileIO, rest: memoryview) -> None:
    while rest:
        rest = rest[file.write(rest) :]
