"""The other side of `decoding_process`: a program that forks a child for each recording, and what such a child does.

It has imported what decodes, so that a child costs milliseconds; it opens no file of a stranger itself. A child is
given the recording and a pipe as open files, and may then open nothing else: no file, no address. It writes to the
pipe, each after its kind and its length in four bytes: `T`, a JSON object (what the recording is; holes, as they are
met; at the end the notes, or an error), and `S`, a block of float32 samples.
"""

import io
import json
import os
import signal
import socket
import sys
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from evoxtral.audio.decoding import open_audio
from evoxtral.errors import AudioError

# The parent gives a child up first; this ends one whose parent is gone.
_PATIENCE_S = 10.0


def serve(control: socket.socket) -> None:
    """Fork a child for each request, and end those that are no longer wanted, until the other side closes."""
    _import_all()
    while True:
        head, files, _, _ = socket.recv_fds(control, 4, 2)
        if len(head) < 4:
            return
        request = json.loads(_exactly(control, int.from_bytes(head, "little")))
        if (pid := request.get("end")) is not None:
            # Nobody else waits for it, so that the number is still its own.
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            continue
        pid = os.fork()
        if pid == 0:
            _be_child(request, *files)
        for file in files:
            os.close(file)
        control.sendall(pid.to_bytes(4, "little"))


def _exactly(control: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count and (part := control.recv(count - len(parts))):
        parts += part
    return bytes(parts)


def _import_all() -> None:
    """Decode a little sound: what is imported on the way could not be by a child, which may open no file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((2, 2, 8_000, 0, "NONE", ""))
        sound.writeframes(bytes(4_000))
    file.seek(0)
    with open_audio(file, name="") as reader:
        list(reader.blocks())


def _be_child(request: dict[str, Any], recording: int, pipe: int) -> NoReturn:
    try:
        _bound(request, recording, pipe)
        with os.fdopen(recording, "rb") as file, os.fdopen(pipe, "wb") as output:
            _decode(request, file, output)
    finally:  # whatever happened, nothing of the parent's is run here
        os._exit(1)


def _bound(request: dict[str, Any], recording: int, pipe: int) -> None:
    """Let this process have so much memory and time, and no other file than the two."""
    import resource

    os.dup2(1, 0)  # the control socket, in the place of which there is now nothing
    last = max(recording, pipe)
    while (unused := os.dup(0)) < last:  # no number below the bound is left free
        pass
    os.close(unused)
    pages = 0
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    if pages:  # elsewhere (macOS) the address space cannot be bounded
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + request["memory_bytes"])
    _limit(resource.RLIMIT_CPU, request["cpu_s"])
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, last + 1)


def _limit(what: int, most: int) -> None:
    import resource

    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _decode(request: dict[str, Any], file: BinaryIO, output: BinaryIO) -> None:
    def send(kind: bytes, content: bytes) -> None:
        # While the parent reads no further, time does not count.
        signal.setitimer(signal.ITIMER_REAL, 0)
        output.write(kind + len(content).to_bytes(4, "little") + content)
        output.flush()
        signal.setitimer(signal.ITIMER_REAL, request["block_s"] + _PATIENCE_S)

    def tell(**told: Any) -> None:
        send(b"T", json.dumps(told).encode())

    try:
        with open_audio(file, name=request["name"], track=request["track"], channel=request["channel"]) as reader:
            tell(declared_duration_s=reader.declared_duration_s, channels=reader.channels)
            told = 0
            for block in reader.blocks():
                if len(reader.holes) > told:
                    new = reader.holes[told:]
                    told += len(new)
                    tell(holes=[(hole.start_s, hole.end_s, hole.is_damage) for hole in new])
                send(b"S", block.tobytes())
            rest = [(hole.start_s, hole.end_s, hole.is_damage) for hole in reader.holes[told:]]
            tell(holes=rest, notes=reader.notes, done=True)
    except AudioError as error:
        tell(error=error.message, hint=error.hint)


if __name__ == "__main__":
    with socket.socket(fileno=sys.stdin.fileno()) as _control:
        serve(_control)
