"""MPEG audio and ADTS files, which are rows of frames and nothing else: does the last frame end where the file ends?

No header states how long such a file is; that its last frame is cut off is all that tells of a broken download. Looks
at frame headers in the end of the file; decodes nothing.
"""

import os
from typing import Final

from evoxtral.audio.containers import FileView

# What FFmpeg calls them; the first also holds layers I and II.
FRAME_STREAMS: Final = {"mp3", "aac"}

# Enough for a chain of the longest frames (ADTS: 13 bits of length) to be found in.
_TAIL_BYTES: Final = 1 << 16
# So many headers, each where the one before it says, are no accident.
_CHAIN: Final = 4
_HEADER_BYTES: Final = 6

# ISO/IEC 11172-3, section 2.4.2.3, and 13818-3: kbit/s by (MPEG-1 or not, layer), for indices 1 to 14.
_BITRATES_KBPS: Final = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ: Final = (44_100, 48_000, 32_000)
# MPEG-1, -2 and -2.5, by the two bits of the version.
_RATE_DIVISORS: Final = {3: 1, 2: 2, 0: 4}


def ends_in_a_cut_frame(file: FileView) -> bool:
    """Whether the bytes at the end of a file begin a frame that is longer than they are.

    False where anything else stands there: whole frames, tags, zeros.
    """
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - _TAIL_BYTES)
    file.seek(start)
    tail = file.read()
    at = 0
    while at + _HEADER_BYTES <= len(tail):
        frames, end = _follow(tail, at)
        is_row = frames >= _CHAIN or (frames > 0 and start == at == 0)
        if not is_row:
            at += 1
            continue
        rest = tail[end:]
        if not rest:
            return False
        if len(rest) < _HEADER_BYTES:
            # Too little for a header: it is one if it begins as the last frame's did.
            return tail[at : at + min(len(rest), 2)] == rest[:2]
        if _frame_bytes(rest) is not None:
            return True
        at = end + 1
    return False


def _follow(data: bytes, at: int) -> tuple[int, int]:
    """How many whole frames stand in a row from here, and where the row ends."""
    frames = 0
    while (length := _frame_bytes(data[at : at + _HEADER_BYTES])) is not None and at + length <= len(data):
        frames += 1
        at += length
    return frames, at


def _frame_bytes(header: bytes) -> int | None:
    """The length of the frame that a header begins; None if it is no header, or one that states no length."""
    if len(header) < _HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    if header[1] & 0xF6 == 0xF0:  # ISO/IEC 14496-3, section 1.A.2: twelve bits of ones, layer 0
        length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        rate_index = header[2] >> 2 & 15
        return length if rate_index < 13 and length > 7 else None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate_index, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or not 0 < bitrate_index < 15 or rate_index == 3:
        return None
    bits_per_s = _BITRATES_KBPS[version == 3, layer][bitrate_index - 1] * 1000
    rate_hz = _RATES_HZ[rate_index] // _RATE_DIVISORS[version]
    if layer == 1:
        return (12 * bits_per_s // rate_hz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits_per_s // rate_hz + padding
