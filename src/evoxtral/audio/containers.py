"""Containers of sound: what each declares of its length, and whether the file holds all that it declares.

Looks at bytes and headers; decodes nothing.
"""

import os
from typing import BinaryIO

from evoxtral.errors import AudioError

# Containers whose header states the length. FFmpeg only guesses it from the bit rate in the others.
FORMATS_DECLARING_LENGTH = {
    "aiff",
    "asf",
    "au",
    "avi",
    "caf",
    "flac",
    "matroska,webm",
    "mov,mp4,m4a,3gp,3g2,mj2",
    "w64",
    "wav",
}

# Recorders that write to a pipe leave the size in the header of a WAV file at 0 or at about 2 or 4 GiB.
_WAV_SIZE_UNKNOWN_BYTES = 0x7FFF_0000


def truncated(name: str, how: str) -> AudioError:
    return AudioError(f"{name}: is truncated: {how}", "copy or download it again")


def check_wav_is_whole(file: BinaryIO, head: bytes, name: str) -> None:
    """Compare the size of a WAV file's data chunk with the file, which FFmpeg adjusts without a word."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return
    size = file.seek(0, os.SEEK_END)
    position = 12
    while True:
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8:
            return
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            missing = position + 8 + length - size
            if length < _WAV_SIZE_UNKNOWN_BYTES and missing > 0:
                raise truncated(name, f"{missing} of its {length} bytes of sound are missing")
            return
        position += 8 + length + length % 2


def check_last_ogg_page_is_whole(file: BinaryIO, head: bytes, name: str) -> None:
    """Check that the last page of an Ogg file holds the bytes that its segment table promises (RFC 3533, section 6)."""
    if head[:4] != b"OggS":
        return
    size = file.seek(0, os.SEEK_END)
    # A page has at most 27 + 255 + 255 * 255 bytes.
    file.seek(max(0, size - 65_307))
    tail = file.read()
    page = tail.rfind(b"OggS")
    segments = tail[page + 27 :][: tail[page + 26]] if page >= 0 and len(tail) > page + 26 else b""
    promised = 27 + len(segments) + sum(segments)
    if page < 0 or not segments or len(segments) < tail[page + 26] or promised > len(tail) - page:
        raise truncated(name, "its last page is cut off")


def counts_mp3_frames(file: BinaryIO, head: bytes) -> bool:
    """Whether the first frame of an MP3 file, after an ID3v2 tag, is the kind that states how many frames follow."""
    tag_bytes = 0
    if head[:3] == b"ID3":
        # ID3v2.4, section 3.1: four bytes of seven bits each, without the ten of the tag's header.
        tag_bytes = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(tag_bytes)
    first_frame = file.read(1441)
    return any(mark in first_frame for mark in (b"Xing", b"Info", b"VBRI"))
