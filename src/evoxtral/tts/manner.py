"""In physical terms, what is done to plain speech. Knows no tags and no sound."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    """What is done to plain speech; the defaults do nothing.

    Attributes:
        rate: speaking rate relative to the plain speech.
        pitch_st: shift of the pitch in semitones.
        pitch_range: factor on the deviation of the pitch (in semitones) from its median.
        fall_st: fall of the pitch from the start of the phrase to its end.
        word_fall_st: fall of the pitch within each word.
        smooth_s: time constant over which the contour is smoothed.
        gain_db: change of level.
        tilt_db: change of spectral tilt per octave, around 1 kHz.
        breath: share of voicing replaced by breath noise above 2 kHz, 0..1.
        tremor_st, tremor_hz: depth and rate of a pitch wobble (the level wobbles along).
        jitter_st: slow random wandering of the pitch.
        rough: strength of irregular, subharmonic voicing, 0..1.
        drive: strength of soft clipping, 0..1.
        accent_st: how much syllable nuclei stand out in pitch (and, in proportion, in level).
        unsteady: random variation of the rate, as a share of it.
        micro_pause: probability of a short break before a word.
        creak: how far the voice sinks into creak at the end of the phrase, 0..1.
        formant: factor on the formant frequencies.
        whisper: no voicing at all.
        stammer: number of words whose onset is repeated.
    """

    rate: float = 1.0
    pitch_st: float = 0.0
    pitch_range: float = 1.0
    fall_st: float = 0.0
    word_fall_st: float = 0.0
    smooth_s: float = 0.0
    gain_db: float = 0.0
    tilt_db: float = 0.0
    breath: float = 0.0
    tremor_st: float = 0.0
    tremor_hz: float = 6.0
    jitter_st: float = 0.0
    rough: float = 0.0
    drive: float = 0.0
    accent_st: float = 0.0
    unsteady: float = 0.0
    micro_pause: float = 0.0
    creak: float = 0.0
    formant: float = 1.0
    whisper: bool = False
    stammer: int = 0


NEUTRAL = Manner()
