"""Speech that many tests measure, spoken once, and the parts of it that they measure."""

import functools

import numpy as np

from evoxtral.audio import levels, measures
from evoxtral.tts import load_speech_engine

VOICES = ("espeak/amber", "espeak/carl", "espeak/edna")
SENTENCE = "We should really talk about this tomorrow morning."


@functools.cache
def spoken(text, voice, seed):
    return load_speech_engine("local").speak(text, voice=voice, seed=seed)


class Take:
    """One voice and seed."""

    def __init__(self, voice, seed):
        self.voice, self.seed = voice, seed

    def speak(self, text):
        return spoken(text, self.voice, self.seed)

    def words(self, text):
        """The sound from the first word to the last, and its rate."""
        speech = self.speak(text)
        return cut(speech, speech.words[0].start_s, speech.words[-1].end_s), speech.sample_rate_hz

    def tag(self, text, index=0):
        """The sound of one tag's stretch, and its rate."""
        speech = self.speak(text)
        return cut(speech, speech.tags[index].start_s, speech.tags[index].end_s), speech.sample_rate_hz


def cut(speech, start_s, end_s):
    return speech.samples[round(start_s * speech.sample_rate_hz) : round(end_s * speech.sample_rate_hz)]


def duration_s(sound):
    samples, rate_hz = sound
    return len(samples) / rate_hz


def level_db(sound):
    return levels.rms_db(sound[0])


def pitch_hz(sound):
    return measures.median_f0_hz(*sound)


def semitones(sound, reference):
    return 12 * np.log2(pitch_hz(sound) / pitch_hz(reference))


def voicing(sound):
    return measures.voiced_fraction(*sound)


def centroid_hz(sound):
    return measures.spectral_centroid_hz(*sound)


def tilt_db(sound):
    return measures.spectral_tilt_db_per_octave(*sound)


def spread_st(sound):
    return measures.f0_spread_st(*sound)


def tremor_st(sound, low_hz, high_hz):
    """How deep the pitch moves at between two rates: the contour of the voiced frames, gaps bridged."""
    f0_hz = measures.f0_track(*sound)
    at = np.flatnonzero(f0_hz > 0)
    contour = np.interp(np.arange(at[0], at[-1] + 1), at, 12 * np.log2(f0_hz[at]))
    return measures.modulation_depth(contour, measures.FRAME_S, low_hz, high_hz)
