"""What keywords gain on rare names and terms, and what they cost on speech that has none.

    python benchmarks/keywords.py [--model edge] [--output benchmarks/results/keywords.json]

Six local voices say thirty names and terms, each in two sentences, and 28 sentences without any; then there is
silence and noise. Each is transcribed without keywords, with the right one, with ten and with all thirty, of which at
most one is said. Told are the names that are right, keywords that stand where nobody said them, the word error rate
apart from names, plain texts that changed, and the time.
"""

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import ctranslate2
import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.inference import load_engine
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.pipeline import transcribe
from evoxtral.tags import parse
from evoxtral.tts import load_speech_engine

KEYWORDS = (
    *("Kowalczyk", "Okafor", "Siobhan", "Dvořák", "Thibodeaux", "Evoxtral", "Priyanka", "Zbigniew", "Xiomara"),
    *("Kubernetes", "Caoimhe", "Featherstonehaugh", "Anaximander", "Quetzalcoatl", "Vercingetorix", "Nakamura"),
    *("Szymanski", "Mbeki", "Papadopoulos", "Yevgenia", "Tchaikovsky", "Ouagadougou", "Reykjavik", "Ljubljana"),
    *("Metoprolol", "Ibuprofen", "Terraform", "Grafana", "Oluwaseun", "Bhattacharya"),
)
SENTENCES = (
    "Yesterday {} was on the list again, as always.",
    "[excited] I have NEVER seen {} so happy before!",
    "We should send the report on {} by Friday.",
    "She asked him about {}, and he had no answer. [sighs]",
)
PLAIN = (
    "The train leaves at seven, and we have to be there early.",
    "[laughs] You will never guess who called me this morning!",
    "He put the key under the mat and walked away.",
    "Could you please tell the doctor that I will be late?",
    "[whispers] There is somebody behind the door.",
    "My sister has bought a house near the sea.",
    "They were talking about the weather all evening.",
    "I can not remember the name of that small village.",
    "The report was finished, but nobody had read a page of it.",
    "A young man in a coffee shop asked me for the time.",
    "We took the long way round, through the village and over the bridge.",
    "There are three things to remember: the key, the number and the name of the dog.",
    "Peter and Mary went to London with their cousin George.",
    "The terrain was rough, and the cafe at the top was closed.",
)
TAKES = 6
SILENT_S = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="edge")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    engine, voice = load_engine(arguments.model), load_speech_engine("local")
    voices = [found.name for found in voice.voices()][:TAKES]

    def say(text: str, number: int) -> np.ndarray:
        speech = voice.speak(text, voice=voices[number % len(voices)], seed=number)
        return resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)

    named = [
        (keyword, SENTENCES[(number + take) % len(SENTENCES)].format(keyword), 2 * number + take)
        for number, keyword in enumerate(KEYWORDS)
        for take in range(2)
    ]
    plain = [(text, number + take) for number, text in enumerate(PLAIN) for take in range(2)]
    noise = np.random.default_rng(0)
    names_said = [(keyword, text, say(text, seed)) for keyword, text, seed in named]
    plain_said = [(text, say(text, seed)) for text, seed in plain]
    silent = [
        (level * noise.standard_normal(SILENT_S * SAMPLE_RATE_HZ)).astype(np.float32) for level in (0, 1e-4, 1e-2, 0.1)
    ]

    def keywords_of(keyword: str | None, number: int, count: int) -> tuple[str, ...]:
        """So many of the list, the right one among them."""
        first = KEYWORDS.index(keyword) if keyword else number % len(KEYWORDS)
        return tuple(KEYWORDS[(first + step) % len(KEYWORDS)] for step in range(count))

    def hear(sound: np.ndarray, keywords: tuple[str, ...]) -> str:
        return transcribe(sound, engine=engine, options=TranscribeOptions(times=False, keywords=keywords)).text

    report = {}
    without: list[str] = []
    for count in (0, 1, 10, len(KEYWORDS)):
        started_s = time.monotonic()
        right = false = 0
        references, hypotheses = [], []
        for number, (keyword, text, sound) in enumerate(names_said):
            given = keywords_of(keyword, number, count)
            heard = hear(sound, given)
            is_right = has(heard, keyword)
            right += is_right
            false += sum(has(heard, other) for other in given if other != keyword)
            # The rest of the sentence is judged by itself.
            references.append(bare(text.replace(keyword, "")))
            hypotheses.append(bare(heard.replace(keyword, "")))
        named_s = time.monotonic() - started_s
        texts = [hear(sound, keywords_of(None, number, count)) for number, (_, sound) in enumerate(plain_said)]
        if count == 0:
            without = texts
        report[f"{count} keywords"] = {
            "names_right": right,
            "names_said": len(names_said),
            "wrong_keywords_in_name_sentences": false,
            "wer_without_the_names": round(jiwer.wer(references, hypotheses), 4),
            "plain_sentences": len(texts),
            "plain_sentences_changed": sum(text != before for text, before in zip(texts, without, strict=True)),
            "plain_sentences_with_a_keyword": sum(any(has(text, word) for word in KEYWORDS) for text in texts),
            "plain_wer": round(jiwer.wer([bare(text) for text, _ in plain_said], [bare(text) for text in texts]), 4),
            "silence_and_noise_with_text": sum(
                any(has(hear(sound, keywords_of(None, 0, count)), word) for word in KEYWORDS) for sound in silent
            ),
            "name_sentences_s": round(named_s, 1),
        }
        print(count, json.dumps(report[f"{count} keywords"], indent=2), flush=True)
    if arguments.output:
        about = {
            "date": datetime.now(UTC).date().isoformat(),
            "command": "python benchmarks/keywords.py",
            "model": arguments.model,
            "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg(),
            "versions": {"python": platform.python_version(), "ctranslate2": ctranslate2.__version__},
            "evoxtral": version("evoxtral"),
            "runs": report,
        }
        arguments.output.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


_normalise = EnglishTextNormalizer()


def bare(text: str) -> str:
    return str(_normalise(parse(text).plain_text)) or "-"


def has(text: str, keyword: str) -> bool:
    return f" {bare(keyword)} " in f" {bare(text)} "


if __name__ == "__main__":
    main()
