"""Speed of the local voice on one core, without and with tags, by base voice.

    OMP_NUM_THREADS=1 python benchmarks/speak_speed.py [VOICE ...]

Speaks the same sentences plainly and with tags and prints, for each voice, CPU seconds per second of speech (the
real-time factor of one core, whatever else the machine does) and how many times faster than real time that is. Neural
voices are measured twice: with the phrases synthesised anew, and found in a cache.
"""

import argparse
import tempfile
import time

from evoxtral.tts import load_speech_engine
from evoxtral.tts.speech_engine import SpeechEngine

PLAIN = (
    "I can't believe this happened! It was absolutely incredible. But don't tell anyone what I told you.",
    "We waited for an hour at the station. Nobody came, and then it began to rain.",
    "Please put the keys back on the table. I think someone is there. Everything is going to be fine.",
)
TAGGED = (
    "[excited] I can't BELIEVE this happened! [laughs] It was absolutely incredible. [whispers] But don't tell anyone.",
    "[sad] We waited for an hour at the station. [sighs] [pause] Nobody came... [crying] and then it began to rain.",
    "[angry] Please put the keys BACK! [nervous] I think [stammers] someone is there. [calm] Everything is fine.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", nargs="*", default=["espeak/amber", "espeak/carl"])
    options = parser.parse_args()
    print(f"{'voice':28} {'text':8} {'phrases':8} {'speech_s':>8} {'rtf':>7} {'x real time':>11}")
    for voice in options.voices:
        with tempfile.TemporaryDirectory() as cache:
            engine = load_speech_engine("local", cache_dir=cache)
            engine.speak("Hello.", voice=voice)  # loads the model and measures the speaker
            for kind, texts in (("plain", PLAIN), ("tagged", TAGGED)):
                report(voice, kind, "anew", *measure(engine, texts, voice))
                if voice.startswith("kokoro/"):
                    report(voice, kind, "cached", *measure(engine, texts, voice))


def measure(engine: SpeechEngine, texts: tuple[str, ...], voice: str) -> tuple[float, float]:
    start = time.process_time()
    spoken_s = sum(engine.speak(text, voice=voice, seed=seed).duration_s for seed, text in enumerate(texts))
    return spoken_s, time.process_time() - start


def report(voice: str, kind: str, phrases: str, spoken_s: float, cpu_s: float) -> None:
    print(f"{voice:28} {kind:8} {phrases:8} {spoken_s:8.1f} {cpu_s / spoken_s:7.3f} {spoken_s / cpu_s:11.1f}")


if __name__ == "__main__":
    main()
