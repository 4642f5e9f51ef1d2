"""Spoken sentences on one timeline: one after the other, or each where the original's starts.

Knows samples and times; nothing of texts or voices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.levels import sounding_span
from evoxtral.audio.tempo import change_tempo

Samples = NDArray[np.float32]

# Between sentences as people breathe; sentences that must fit into a place come no closer than the second.
_PAUSE_S = 0.35
_LEAST_PAUSE_S = 0.05
# Speech played faster than this sounds hurried.
_MOST_TEMPO = 1.25
# Later than this is heard as late.
_LATE_S = 0.2
# Kept around what sounds, and faded, so that nothing clicks.
_EDGE_S = 0.02


@dataclass(frozen=True, slots=True)
class Piece:
    """A spoken sentence.

    Attributes:
        samples: mono, shape (n,).
        start_s: where it should start; None for after the one before.
    """

    samples: Samples
    start_s: float | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """All of them joined.

    Attributes:
        spans: start and end of the sound of each piece, in seconds.
        notes: what could not be as it was asked for.
    """

    samples: Samples
    spans: tuple[tuple[float, float], ...]
    notes: tuple[str, ...] = ()


def join(pieces: Sequence[Piece], sample_rate_hz: int) -> Placed:
    """One after the other, a breath between."""
    return _lay_out([Piece(_trimmed(piece.samples, sample_rate_hz)) for piece in pieces], sample_rate_hz, _PAUSE_S, 0)


def keep_timing(pieces: Sequence[Piece], sample_rate_hz: int, duration_s: float) -> Placed:
    """Each where it should start, silence between, the whole at least `duration_s` long.

    One that is too long for its place is played faster, by a quarter at most; what is still too long makes the next
    start late, which is said.
    """
    fitted = []
    trimmed = [_trimmed(piece.samples, sample_rate_hz) for piece in pieces]
    end_s = 0.0
    for index, (piece, samples) in enumerate(zip(pieces, trimmed, strict=True)):
        begin_s = end_s if piece.start_s is None else max(piece.start_s, end_s)
        following_s = next((later.start_s for later in pieces[index + 1 :] if later.start_s is not None), None)
        # Those between this one and the next that has a place share the room before it.
        sharing = [samples]
        for later, sound in zip(pieces[index + 1 :], trimmed[index + 1 :], strict=True):
            if later.start_s is not None:
                break
            sharing.append(sound)
        if following_s is not None:
            room_s = following_s - begin_s - len(sharing) * _LEAST_PAUSE_S
            needed_s = sum(map(len, sharing)) / sample_rate_hz
            tempo = needed_s / room_s if room_s > 0 else _MOST_TEMPO
            if tempo > 1:
                samples = change_tempo(samples, sample_rate_hz, min(tempo, _MOST_TEMPO))
        fitted.append(Piece(samples, piece.start_s))
        end_s = begin_s + len(samples) / sample_rate_hz + _LEAST_PAUSE_S
    return _lay_out(fitted, sample_rate_hz, _LEAST_PAUSE_S, duration_s)


def _lay_out(pieces: Sequence[Piece], sample_rate_hz: int, pause_s: float, duration_s: float) -> Placed:
    spans: list[tuple[int, int]] = []
    late_s = []
    for piece in pieces:
        at = spans[-1][1] + round(pause_s * sample_rate_hz) if spans else 0
        if piece.start_s is not None:
            wanted = round(piece.start_s * sample_rate_hz)
            late_s.append((at - wanted) / sample_rate_hz)
            at = max(at, wanted)
        spans.append((at, at + len(piece.samples)))
    samples = np.zeros(max([round(duration_s * sample_rate_hz), *(end for _, end in spans)]), np.float32)
    for (start, end), piece in zip(spans, pieces, strict=True):
        samples[start:end] = piece.samples
    notes = []
    late = [seconds for seconds in late_s if seconds > _LATE_S]
    if late:
        begin = "sentence starts" if len(late) == 1 else "sentences start"
        notes.append(
            f"{len(late)} {begin} late, by up to {max(late):.1f} s: what comes before is too long for its place, "
            "even played faster by a quarter"
        )
    return Placed(samples, tuple((start / sample_rate_hz, end / sample_rate_hz) for start, end in spans), tuple(notes))


def _trimmed(samples: Samples, sample_rate_hz: int) -> Samples:
    """Without the silence at both ends, which is faded out."""
    first, last = sounding_span(samples, sample_rate_hz)
    edge = round(_EDGE_S * sample_rate_hz)
    kept = samples[max(0, first - edge) : last + edge].copy()
    ramp = np.linspace(0, 1, min(edge, len(kept) // 2), dtype=np.float32)
    if len(ramp):
        kept[: len(ramp)] *= ramp
        kept[-len(ramp) :] *= ramp[::-1]
    return kept
