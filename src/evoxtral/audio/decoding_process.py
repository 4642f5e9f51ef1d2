"""Decoding in a process of its own, with bounds of memory and time, for files of strangers.

FFmpeg is large and written in C: a made-up file may have it take all memory, run for hours, or crash. A server lets
it do so in a child that can be killed; the parent gets blocks of sound, or one line of what was wrong. The command
line decodes in its own process: it starts 0.3 s sooner, and a crash ends nobody else's work.

The child writes to its standard output, each after its length in four bytes: blocks of float32, then after an empty
one a JSON object with the holes and notes, or with the error. Knows nothing of speech.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.decoding import Hole, open_audio
from evoxtral.errors import AudioError

# What a child may take: libraries and buffers need about 500 MB of address space.
MEMORY_LIMIT_BYTES = 2 << 30
# A block of so much sound must come within so much time; FFmpeg decodes thousands of times faster.
_BLOCK_S = 10.0
BLOCK_TIMEOUT_S = 60.0


@dataclass
class DecodingProcess:
    """A recording that is decoded by a child, which lives while its blocks are read.

    Attributes:
        path: of the recording.
        name: how messages call it.
        track: as for `open_audio`.
        memory_limit_bytes: of the child's address space, where the system bounds it (not on macOS and Windows).
        block_timeout_s: how long a block may take.
        holes, notes: as of `AudioReader`, complete when the last block was read.
    """

    path: Path
    name: str
    track: int | None = None
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    block_timeout_s: float = BLOCK_TIMEOUT_S
    holes: list[Hole] = field(default_factory=list, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Blocks of at most 10 s, mono float32 at 16 kHz.

        Raises:
            AudioError: as `open_audio` and `AudioReader.blocks` do; or the child took too much memory or time, or
                crashed.
        """
        request = json.dumps(
            {"path": str(self.path), "name": self.name, "track": self.track, "memory": self.memory_limit_bytes}
        )
        child = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, "-m", "evoxtral.audio.decoding_process", request],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdout is not None
        try:
            while block := self._receive(child.stdout):
                yield np.frombuffer(block, np.float32)
            told: dict[str, Any] = json.loads(self._receive(child.stdout))
        finally:
            child.kill()
            child.stdout.close()
            child.wait()
        if "error" in told:
            raise AudioError(told["error"], told["hint"])
        self.holes += [Hole(**hole) for hole in told["holes"]]
        self.notes += told["notes"]

    def _receive(self, stream: Any) -> bytes:
        deadline_s = time.monotonic() + self.block_timeout_s
        length = int.from_bytes(self._exactly(stream, 4, deadline_s), "little")
        return self._exactly(stream, length, deadline_s)

    def _exactly(self, stream: Any, count: int, deadline_s: float) -> bytes:
        parts: list[bytes] = []
        while count > 0:
            ready, _, _ = select.select([stream], [], [], max(0.0, deadline_s - time.monotonic()))
            if not ready:
                raise AudioError(
                    f"{self.name}: is not decoded within {self.block_timeout_s:.0f} s", "export the recording again"
                )
            part = os.read(stream.fileno(), count)
            if not part:
                raise AudioError(
                    f"{self.name}: cannot be decoded: the decoder crashed or wanted more than "
                    f"{self.memory_limit_bytes >> 20} MB",
                    "export the recording again",
                )
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _main(request: dict[str, Any], output: BinaryIO) -> None:
    """The child: decode, and write blocks and what is to be told."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        limit = request["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def send(content: bytes) -> None:
        output.write(len(content).to_bytes(4, "little") + content)
        output.flush()

    told: dict[str, Any]
    try:
        with open_audio(request["path"], name=request["name"], track=request["track"]) as reader:
            for block in reader.blocks(_BLOCK_S):
                send(block.tobytes())
            holes = [
                {"start_s": hole.start_s, "end_s": hole.end_s, "is_damage": hole.is_damage} for hole in reader.holes
            ]
            told = {"holes": holes, "notes": reader.notes}
    except AudioError as error:
        told = {"error": error.message, "hint": error.hint}
    send(b"")
    send(json.dumps(told).encode())


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]), sys.stdout.buffer)
