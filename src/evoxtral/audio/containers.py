"""Containers of sound, seen as bytes: what each declares, whether it is whole, how joined and damaged ones are read on.

Looks at headers and boxes; decodes nothing and knows no FFmpeg.
"""

import io
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
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

# Containers that give each packet its time. In the others FFmpeg counts it from the lengths of the packets before.
FORMATS_WITH_TIMES = {"asf", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mpegts", "ogg"}

# Recorders that write to a pipe leave the size in a RIFF header at 0 or at about 2 or 4 GiB.
_RIFF_SIZE_UNKNOWN_BYTES = 0x7FFF_0000
_TS_PACKET_BYTES = 188
_SCAN_BYTES = 1 << 20
# ISO/IEC 14496-12: a movie fragment begins with a header box of 16 bytes.
_FRAGMENT = re.compile(rb".{4}moof\0\0\0\x10mfhd", re.DOTALL)
_BOX_TYPE = re.compile(rb"[A-Za-z0-9 _\-]{4}")

# More lost bytes than this are not made up for.
_MOST_LOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Piece:
    """What a view reads for some of its bytes: a stretch of the file, given bytes, or `length` zeros.

    Attributes:
        start: of the stretch in the file; None for zeros or given bytes.
    """

    length: int
    start: int | None = None
    given: bytes | None = None


def truncated(name: str, how: str) -> AudioError:
    return AudioError(f"{name}: is truncated: {how}", "copy or download it again")


class FileView(io.RawIOBase):
    """Pieces of a seekable file, read as a file of their own. The file stays open; others that read it must seek."""

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        self._file, self._pieces = file, tuple(pieces)
        self._starts = [0, *accumulate(piece.length for piece in pieces)]
        self._size = self._starts.pop()
        self._position = self._furthest = 0

    @property
    def is_read(self) -> bool:
        """Whether its last byte was asked for."""
        return self._furthest >= self._size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        left = left if size < 0 else min(size, left)
        parts: list[bytes] = []
        while left > 0:
            index = bisect_right(self._starts, self._position) - 1
            piece, offset = self._pieces[index], self._position - self._starts[index]
            count = min(left, piece.length - offset)
            if piece.given is not None:
                data = piece.given[offset : offset + count]
            elif piece.start is None:
                data = bytes(count)
            else:
                self._file.seek(piece.start + offset)
                data = self._file.read(count)
            if not data:  # the file became shorter
                break
            parts.append(data)
            self._position += len(data)
            left -= len(data)
        self._furthest = max(self._furthest, self._position)
        return b"".join(parts)


def check_is_whole(file: BinaryIO, head: bytes, name: str) -> None:
    """Compare sizes that a header declares with the file, where FFmpeg adjusts them or reads on without a word.

    Raises:
        AudioError: bytes are missing.
    """
    size = file.seek(0, os.SEEK_END)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        _check_wav(file, size, name)
    elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        declared = int.from_bytes(head[4:8], "little")
        if 0 < declared < _RIFF_SIZE_UNKNOWN_BYTES and 8 + declared > size:
            raise truncated(name, f"{8 + declared - size} of its {8 + declared} bytes are missing")
    elif head[:4] == b"caff":
        _check_caf(file, size, name)
    # ISO/IEC 13818-1: a transport stream is a row of packets of 188 bytes that begin with 0x47.
    elif head[: 3 * _TS_PACKET_BYTES : _TS_PACKET_BYTES] == b"GGG" and size % _TS_PACKET_BYTES:
        raise truncated(name, "its last packet is cut off")


def _check_wav(file: BinaryIO, size: int, name: str) -> None:
    position = 12
    while True:
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8:
            return
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            missing = position + 8 + length - size
            if length < _RIFF_SIZE_UNKNOWN_BYTES and missing > 0:
                raise truncated(name, f"{missing} of its {length} bytes of sound are missing")
            return
        position += 8 + length + length % 2


def _check_caf(file: BinaryIO, size: int, name: str) -> None:
    """Walk the chunks of a Core Audio file: a type and a signed size of 8 bytes, -1 for the rest of the file."""
    position = 8
    while position + 12 <= size:
        file.seek(position)
        chunk = file.read(12)
        length = int.from_bytes(chunk[4:], "big", signed=True)
        if length < 0:
            return
        missing = position + 12 + length - size
        if missing > 0:
            raise truncated(
                name, f"{missing} of the {length} bytes of its chunk {chunk[:4].decode('latin-1')!r} are missing"
            )
        position += 12 + length


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


def recordings_in(file: BinaryIO, head: bytes, name: str) -> list[FileView]:
    """The recordings in a file, mostly one: joined ones apart, and damaged fragments made readable.

    Raises:
        AudioError: the file's last fragment is cut off.
    """
    if head[4:8] == b"ftyp":
        return [FileView(file, _mended_fragments(file, name))]
    starts = _starts_of_joined(file, head)
    ends = [*starts[1:], file.seek(0, os.SEEK_END)]
    return [FileView(file, [Piece(end - start, start)]) for start, end in zip(starts, ends, strict=True)]


def _starts_of_joined(file: BinaryIO, head: bytes) -> list[int]:
    """Where joined recordings begin: FFmpeg ends with the first WAV file, and in Ogg where the codec changes."""
    size = file.seek(0, os.SEEK_END)
    starts = [0]
    if head[:4] == b"OggS":
        starts = list(_ogg_links(file, size)) or [0]
    elif head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        while True:
            file.seek(starts[-1])
            header = file.read(12)
            length = int.from_bytes(header[4:8], "little")
            following = starts[-1] + 8 + length + length % 2
            file.seek(following)
            header = file.read(12)
            if header[:4] != b"RIFF" or header[8:] != b"WAVE":
                break
            starts.append(following)
    return starts


def _ogg_links(file: BinaryIO, size: int) -> Iterator[int]:
    """Where the links of a chained Ogg file begin: with first pages of streams after pages that are none (RFC 3533)."""
    position, data_seen = 0, True
    while position + 27 <= size:
        file.seek(position)
        page = file.read(27 + 255)
        if page[:4] != b"OggS":
            file.seek(position)
            found = file.read(_SCAN_BYTES).find(b"OggS")
            # The mark may lie across the border of two scans.
            position += found if found >= 0 else _SCAN_BYTES - 3
            continue
        is_first = bool(page[5] & 2) and page[18:22] == b"\0\0\0\0"
        if is_first and data_seen:
            yield position
        data_seen = not is_first
        position += 27 + page[26] + sum(page[27 : 27 + page[26]])


def _mended_fragments(file: BinaryIO, name: str) -> list[Piece]:
    """An MP4 file, where fragments behind a damaged one are found too.

    Where bytes are lost, a box claims those of the next fragments, and a reader that goes by its size falls between
    boxes and gives up. Such a box is made to end where the next fragment begins (ISO/IEC 14496-12, section 4.2). Where
    that fragment says where in the file it stood, zeros stand for the lost bytes, so that its own offsets hold.
    """
    size = file.seek(0, os.SEEK_END)
    pieces: list[Piece] = []
    kept = 0  # up to where the file is in the pieces
    added = 0  # zeros so far
    last = position = 0  # the box that was read last, and the one that is read now
    is_fragmented = False
    while position + 8 <= size:
        file.seek(position)
        box = file.read(16)
        length = int.from_bytes(box[:4], "big")
        is_box = _BOX_TYPE.fullmatch(box[4:8]) is not None
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        if is_box and length == 0:  # to the end of the file
            break
        if is_box and length >= 8 and position + length <= size:
            is_fragmented = is_fragmented or box[4:8] == b"moof"
            last, position = position, position + length
            continue
        if not is_fragmented:
            break
        following = _find_fragment(file, last + 8, size)
        if following is None:
            if is_box and length >= 8:
                raise truncated(name, f"{position + length - size} bytes of its last fragment are missing")
            break
        # The box that was read last, or the one that runs over the end of the file, swallowed a fragment.
        damaged = last if following < position else position
        lost = _stated_place(file, following) - (following + added)
        lost = lost if 0 < lost <= _MOST_LOST_BYTES else 0
        pieces += [
            Piece(damaged - kept, kept),
            Piece(4, given=(following - damaged + lost).to_bytes(4, "big")),
            Piece(following - damaged - 4, damaged + 4),
            Piece(lost),
        ]
        added += lost
        kept = last = position = following
    return [piece for piece in [*pieces, Piece(size - kept, kept)] if piece.length > 0]


def _stated_place(file: BinaryIO, fragment: int) -> int:
    """Where a fragment says that its data are counted from (`tfhd`, base_data_offset); -1 if it does not."""
    file.seek(fragment)
    header = file.read(256)
    at = header.find(b"tfhd")
    has_place = at >= 0 and header[at + 7 : at + 8] != b"" and header[at + 7] & 1
    return int.from_bytes(header[at + 12 : at + 20], "big") if has_place else -1


def _find_fragment(file: BinaryIO, position: int, size: int) -> int | None:
    while position < size:
        file.seek(position)
        data = file.read(_SCAN_BYTES)
        if (found := _FRAGMENT.search(data)) is not None:
            return position + found.start()
        position += _SCAN_BYTES - 16
    return None


def counts_mp3_frames(file: BinaryIO, head: bytes) -> bool:
    """Whether an MP3 file states how many frames it has, and no more follow, as they do in joined files.

    The first frame, after an ID3v2 tag, then holds the mark Xing or Info, flags, the frames and the bytes; or VBRI.
    """
    tag_bytes = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        # ID3v2.4, section 3.1: four bytes of seven bits each, without the ten of the tag's header.
        tag_bytes = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    size = file.seek(0, os.SEEK_END)
    file.seek(tag_bytes)
    first_frame = file.read(1441)
    found = re.search(rb"Xing|Info", first_frame)
    if found is None:
        return b"VBRI" in first_frame
    flags, _, stated_bytes = (int.from_bytes(first_frame[found.end() + at :][:4], "big") for at in (0, 4, 8))
    # FFmpeg guesses the length from the bit rate where the file is a sixteenth longer than stated.
    has_bytes = flags & 3 == 3 and stated_bytes > 0
    return not has_bytes or size - tag_bytes <= stated_bytes + stated_bytes // 16
