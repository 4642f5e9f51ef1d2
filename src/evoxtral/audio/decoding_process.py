"""Decoding in processes of their own, with bounds of memory and time, for files of strangers.

FFmpeg is large and written in C: a made-up file may have it take all memory, run for hours, or crash. A server lets
it do so in a child that can be killed; the parent gets blocks of sound, or one line of what was wrong. Children are
forked by a program that has everything imported (`decoding_child`), one for each recording, and what one did dies with
it. The command line decodes in its own process: a crash there ends nobody else's work. Knows nothing of speech.
"""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.decoding import Hole, open_audio, open_file
from evoxtral.errors import AudioError

# What a child may take beside its libraries, in address space.
MEMORY_LIMIT_BYTES = 1 << 30
# A block of so much sound must come within so much time; FFmpeg decodes thousands of times faster.
BLOCK_TIMEOUT_S = 60.0
# Of the processor, for a whole recording: slow codecs take about a minute for four hours.
CPU_LIMIT_S = 900
_EXPORT_AGAIN = "export the recording again"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may take.

    Attributes:
        memory_bytes: of address space, beside what it has when it is forked; where the system bounds it (Linux).
        block_s: how long it may be at one block.
        cpu_s: of the processor, in all.
    """

    memory_bytes: int = MEMORY_LIMIT_BYTES
    block_s: float = BLOCK_TIMEOUT_S
    cpu_s: int = CPU_LIMIT_S


@dataclass
class DecodedRecording:
    """A recording that a child decodes; see `Recording`."""

    name: str
    declared_duration_s: float | None
    channels: int
    holes: list[Hole] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    messages: Iterator[dict[str, Any] | NDArray[np.float32]] = field(default_factory=lambda: iter(()), repr=False)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `Recording`. Raises AudioError also where the child took too much memory or time, or crashed."""
        for message in self.messages:
            if isinstance(message, dict):
                self.holes += [Hole(*hole) for hole in message["holes"]]
                self.notes += message.get("notes", ())
            else:
                yield message


class DecodingProcesses:
    """Opens recordings, each in a child. Any number of threads may use it; `close` ends what it started.

    Args:
        limits: of each child.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._forker: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start what forks, so that the first recording need not wait for it."""
        if hasattr(os, "fork"):
            with self._lock:
                self._ensure_forker()

    def close(self) -> None:
        """End everything that was started."""
        with self._lock:
            self._stop()

    @contextmanager
    def open(
        self,
        source: str | Path | BinaryIO,
        *,
        name: str | None = None,
        track: int | None = None,
        channel: int | None = None,
    ) -> "Iterator[Any]":
        """As `open_audio`, which decodes where the system cannot fork (Windows).

        Raises:
            AudioError: as `open_audio` does; or the child took too much memory or time, or crashed.
        """
        if not hasattr(os, "fork"):
            with open_audio(source, name=name, track=track, channel=channel) as reader:
                yield reader
            return
        with ExitStack() as stack:
            file, name = open_file(source, name, stack)
            request = {
                "name": name,
                "track": track,
                "channel": channel,
                "memory_bytes": self._limits.memory_bytes,
                "block_s": self._limits.block_s,
                "cpu_s": self._limits.cpu_s,
            }
            pid, pipe = self._fork(request, _number_of(file, stack))
            stack.callback(self._end, pid)
            stack.callback(os.close, pipe)
            messages = self._messages(pipe, name)
            about = next(messages)
            assert isinstance(about, dict)
            yield DecodedRecording(name, about["declared_duration_s"], about["channels"], messages=messages)

    # --- the program that forks --------------------------------------------------------------------------------------

    def _fork(self, request: dict[str, Any], recording: int) -> tuple[int, int]:
        """The new child's number, and the end of its pipe."""
        content = json.dumps(request).encode()
        with self._lock:
            for attempt in range(2):
                control = self._ensure_forker()
                ours, its = os.pipe()
                try:
                    socket.send_fds(control, [len(content).to_bytes(4, "little")], [recording, its])
                    control.sendall(content)
                    answer = control.recv(4, socket.MSG_WAITALL)
                    if len(answer) == 4:
                        return int.from_bytes(answer, "little"), ours
                except OSError:
                    pass
                finally:
                    os.close(its)
                os.close(ours)
                self._stop()  # somebody killed it; a new one is started, once
                if attempt:
                    break
        raise AudioError(f"{request['name']}: no process can be started to decode it", "try again")

    def _end(self, pid: int) -> None:
        content = json.dumps({"end": pid}).encode()
        with self._lock, suppress(OSError):
            if self._control is not None:
                self._control.sendall(len(content).to_bytes(4, "little") + content)

    def _ensure_forker(self) -> socket.socket:
        if self._control is None or self._forker is None or self._forker.poll() is not None:
            self._stop()
            self._control, its = socket.socketpair()
            with its:
                self._forker = subprocess.Popen(
                    [sys.executable, "-m", "evoxtral.audio.decoding_child"],
                    stdin=its.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the server, which then ends this
                )
        return self._control

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._forker is not None:
            self._forker.kill()
            self._forker.wait()
        self._control = self._forker = None

    # --- what a child says -------------------------------------------------------------------------------------------

    def _messages(self, pipe: int, name: str) -> Iterator[dict[str, Any] | NDArray[np.float32]]:
        """What a child tells, up to its last message."""
        while True:
            deadline_s = time.monotonic() + self._limits.block_s
            head = self._exactly(pipe, 5, deadline_s, name)
            content = self._exactly(pipe, int.from_bytes(head[1:], "little"), deadline_s, name)
            if head[:1] == b"S":
                yield np.frombuffer(content, np.float32)
                continue
            told: dict[str, Any] = json.loads(content)
            if "error" in told:
                raise AudioError(told["error"], told["hint"])
            yield told
            if told.get("done"):
                return

    def _exactly(self, pipe: int, count: int, deadline_s: float, name: str) -> bytes:
        parts: list[bytes] = []
        while count > 0:
            poll = select.poll()  # select takes no numbers from 1024 on
            poll.register(pipe, select.POLLIN)
            if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                raise AudioError(f"{name}: is not decoded within {self._limits.block_s:.0f} s", _EXPORT_AGAIN)
            part = os.read(pipe, count)
            if not part:
                raise AudioError(
                    f"{name}: cannot be decoded: the decoder crashed, or wanted more than "
                    f"{self._limits.memory_bytes >> 20} MB or {self._limits.cpu_s} s",
                    _EXPORT_AGAIN,
                )
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _number_of(file: BinaryIO, stack: ExitStack) -> int:
    """The number of an open file; what has none is copied into one first."""
    try:
        number = file.fileno()
    except OSError:
        copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        copyfileobj(file, copy)
        copy.seek(0)
        file, number = copy, copy.fileno()
    file.flush()
    os.lseek(number, 0, os.SEEK_SET)
    return number
