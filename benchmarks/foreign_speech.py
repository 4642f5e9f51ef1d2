"""Is foreign speech told from English? The language guard on voices of other languages and on English recordings.

    python benchmarks/foreign_speech.py [SET.jsonl ...] [--most 40] [--model edge] [--output F.json]

Voices of espeak-ng speak two sentences in each of twelve languages; each SET.jsonl is a manifest of English recordings
with its tar beside it. Prints how many foreign windows pass as English, how many English ones do not, and the
probabilities of English nearest to the threshold.
"""

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.data.recording_sets import RecordingSet
from evoxtral.inference import load_engine
from evoxtral.inference.chunking import cut_windows
from evoxtral.inference.language_guard import is_foreign
from evoxtral.inference.second_ear import find_language_detector
from evoxtral.tts.espeak import SAMPLE_RATE_HZ as ESPEAK_RATE_HZ
from evoxtral.tts.espeak import synthesize

SENTENCES = {
    "cmn": "大家早上好,会议九点钟在大厅开始。请不要忘记今天晚上离开之前关门。",
    "de": "Guten Morgen, die Besprechung beginnt um neun Uhr im großen Saal. Vergessen Sie die Tür nicht.",
    "es": "Buenos días, la reunión empieza a las nueve en la sala grande. No olvide cerrar la puerta antes de salir.",
    "fr": "Bonjour à tous, la réunion commence à neuf heures dans la grande salle. N'oubliez pas de fermer la porte.",
    "hi": "सभी को सुप्रभात, बैठक नौ बजे बड़े हॉल में शुरू होगी। कृपया जाने से पहले दरवाज़ा बंद करना न भूलें।",
    "it": "Buongiorno a tutti, la riunione comincia alle nove nella sala grande. Non dimenticate di chiudere la porta.",
    "nl": "Goedemorgen allemaal, de vergadering begint om negen uur in de grote zaal. Vergeet niet de deur te sluiten.",
    "pl": "Dzień dobry wszystkim, spotkanie zaczyna się o dziewiątej w dużej sali. Proszę nie zapomnieć zamknąć drzwi.",
    "pt": "Bom dia a todos, a reunião começa às nove horas na sala grande. Não se esqueça de fechar a porta.",
    "ru": "Доброе утро, собрание начинается в девять часов в большом зале. Пожалуйста, не забудьте закрыть дверь.",
    "sv": "God morgon allihopa, mötet börjar klockan nio i den stora salen. Glöm inte att stänga dörren innan du går.",
    "tr": "Herkese günaydın, toplantı saat dokuzda büyük salonda başlıyor. Lütfen kapıyı kapatmayı unutmayın.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", type=Path, metavar="SET.jsonl")
    parser.add_argument("--most", type=int, default=40, help="clips of a set, evenly spaced")
    parser.add_argument("--model", default="edge")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    engine = load_engine(options.model)
    detector = find_language_detector(engine)
    rows = []
    for source, is_english, samples in [*foreign(), *english(options.sets, options.most)]:
        for window in cut_windows([samples]):
            (hypothesis,) = engine.transcribe_windows([window.samples])
            (found,) = detector.detect_languages([window.samples])
            told = is_foreign(hypothesis, found, "en", window.speech_s)
            probability = None if found is None else round(found["en"], 4)
            rows.append({"source": source, "english": is_english, "told": told, "probability": probability})
            print(json.dumps(rows[-1]), flush=True)
    summary = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": options.model,
        "foreign windows": sum(not row["english"] for row in rows),
        "foreign windows that passed": sum(not row["english"] and not row["told"] for row in rows),
        "English windows": sum(row["english"] for row in rows),
        "English windows that did not pass": sum(row["english"] and row["told"] for row in rows),
        "highest probability of a foreign window": max(
            (row["probability"] or 0.0 for row in rows if not row["english"]), default=None
        ),
        "lowest probability of an English window": min(
            (row["probability"] or 0.0 for row in rows if row["english"]), default=None
        ),
    }
    print(json.dumps(summary, indent=1))
    if options.output is not None:
        options.output.write_text(json.dumps(summary | {"windows": rows}, indent=1) + "\n", encoding="utf-8")


def foreign() -> Iterator[tuple[str, bool, NDArray[np.float32]]]:
    for language, text in SENTENCES.items():
        for variant in ("", "+f2"):
            samples, _ = synthesize(text, language + variant)
            yield f"espeak {language}{variant}", False, resample(samples, ESPEAK_RATE_HZ, SAMPLE_RATE_HZ)


def english(sets: list[Path], most: int) -> Iterator[tuple[str, bool, NDArray[np.float32]]]:
    for manifest in sets:
        recordings = RecordingSet(manifest)
        spoken = [item for item in recordings.recordings if len(item.transcript.split()) >= 4]
        chosen = [item for item in spoken if item.split == "test"] or spoken
        for place in np.linspace(0, len(chosen) - 1, min(most, len(chosen))).round().astype(int):
            yield recordings.name, True, recordings.read(chosen[place])


if __name__ == "__main__":
    main()
