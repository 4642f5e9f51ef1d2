"""How soon live speech is seen, is certain and is final, for one to eight streams in real time on one server.

    python benchmarks/streaming.py [--streams 1 2 4 8] [--seconds 40] [--output FILE.json] [SET.jsonl ...]

A server in a process of its own (`evoxtral serve`) gets streams over real sockets. Each packet of 50 ms is sent at an
absolute deadline: when its last sample would have been spoken. Each stream is another sequence of recordings with a
second of silence after each: clips of SET.jsonl (a manifest of recordings with its tar beside it, split "test"), or
without it the packaged test set. Goals on two cores: first visible text p95 <= 1.0 s, final
p95 <= 0.5 s after the endpoint, eight streams at real time.

    first_visible_s   from the start of speech (as the server's endpointer places it) to the first text of the utterance
    first_committed_s the same to the first text that will not change
    final_s           from the endpoint's deadline (the packet that completes the closing silence) to the final text
    final_after_speech_s  the same from the end of speech: with the half second of silence that ends an utterance
    lag_at_end_s      from the last packet of a stream to its end, at which all is final
    unstable_words, tag_flicker   words and tags that were shown and are not in the next text, per 100 shown
    wer, tag_f1       of the finals, of what offline transcription makes of the same streams, and the difference
"""

import argparse
import asyncio
import json
import os
import platform
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio
from evoxtral.bench.scoring import score
from evoxtral.bench.testset import PACKAGED_FOLDER
from evoxtral.client import Client, Done, Final, Partial, SpeechStarted
from evoxtral.data.json_lines import read_records
from evoxtral.data.recording_sets import RecordingSet
from evoxtral.data.records import Reference
from evoxtral.inference import load_engine, transcribe
from evoxtral.inference.endpointing import END_SILENCE_S
from evoxtral.tags import parse

PACKET_S = 0.05
PAUSE_S = 1.0
EXAMPLE = Path(__file__).parents[1] / "examples" / "reading.opus"

Samples = NDArray[np.float32]
Clip = tuple[Samples, str]  # with what is said in it, tagged


@dataclass
class Utterance:
    """When what of an utterance was seen, in seconds from the start of the stream; its texts in order."""

    started_s: float
    first_visible_s: float | None = None
    first_committed_s: float | None = None
    final_s: float | None = None
    end_s: float | None = None
    is_cut: bool = False
    by_silence: bool = True
    texts: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", type=Path, help="manifests of recordings")
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=40.0, help="length of each stream, at least")
    parser.add_argument("--model", default="edge")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    clips = recorded(options.sets) if options.sets else packaged()
    spoken = [sequence(clips, options.seconds, number) for number in range(max(options.streams))]
    sounds, references = [sound for sound, _ in spoken], [text for _, text in spoken]
    offline = offline_texts(sounds, options.model)
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("evoxtral", "ctranslate2", "numpy", "onnxruntime", "websockets")},
        "model": options.model,
        "material": [path.stem for path in options.sets] or ["the packaged test set"],
        "streams": {},
    }
    for count in options.streams:
        # A server of its own for each count, so that its peak memory is that count's.
        with subprocess.Popen(
            [sys.executable, "-m", "evoxtral.cli.main", "serve", "--port", "0", "--model", options.model, "--no-store"],
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                address = await_address(server)
                before = os.getloadavg()
                streams = asyncio.run(speak_all(address, sounds[:count]))
                figures = evaluate(streams, sounds[:count], offline[:count], references[:count])
                figures["server_peak_mb"] = peak_mb(server.pid)
            finally:
                server.terminate()
        figures["load_average_before_and_after"] = [round(before[0], 2), round(os.getloadavg()[0], 2)]
        report["streams"][str(count)] = figures
        print(count, json.dumps(figures), flush=True)
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def recorded(manifests: list[Path]) -> list[Clip]:
    found = []
    for manifest in manifests:
        recordings = RecordingSet(manifest)
        chosen = [item for item in recordings.recordings if item.split == "test" and item.transcript]
        found += [(recordings.read(item), item.transcript) for item in chosen]
    return found


def packaged() -> list[Clip]:
    references = [item for item in read_records(PACKAGED_FOLDER / "references.jsonl", Reference) if item.audio][::7]
    return [(load_audio(PACKAGED_FOLDER / str(item.audio)), item.text) for item in references]


def sequence(clips: list[Clip], seconds: float, number: int) -> Clip:
    """Clips in an order of their own with pauses after each, at least so long; streams do not begin together."""
    order = iter(np.random.default_rng(number).permutation(len(clips)))
    parts = [np.zeros(round((0.3 + 0.37 * number % 1.0) * SAMPLE_RATE_HZ), np.float32)]
    texts = []
    while sum(map(len, parts)) < seconds * SAMPLE_RATE_HZ:
        sound, text = clips[next(order)]
        parts += [sound, np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)]
        texts.append(text)
    return np.concatenate(parts), " ".join(texts)


def offline_texts(sounds: list[Samples], model: str) -> list[str]:
    engine = load_engine(model)
    return [transcribe(sound, engine=engine, times=False).text for sound in sounds]


def await_address(server: "subprocess.Popen[str]") -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"http://\S+", line):
            return found[0]
    sys.exit("the server did not start")


async def speak_all(address: str, sounds: list[Samples]) -> list[tuple[list[Utterance], Done, float]]:
    async with Client(address) as client:
        await client.transcribe(EXAMPLE)  # the server is warm, as after a minute
        return await asyncio.gather(*(speak(client, sound) for sound in sounds))


async def speak(client: Client, sound: Samples) -> tuple[list[Utterance], Done, float]:
    """Send a stream in real time; gives its utterances, its last event and when that came after the last packet."""
    loop = asyncio.get_running_loop()
    utterances: list[Utterance] = []
    async with client.stream() as live:
        began_s = loop.time()

        async def send() -> None:
            step = round(PACKET_S * SAMPLE_RATE_HZ)
            for start in range(0, len(sound), step):
                packet = sound[start : start + step]
                await asyncio.sleep(max(0.0, began_s + (start + len(packet)) / SAMPLE_RATE_HZ - loop.time()))
                await live.send(packet)
            await live.stop()

        sender = asyncio.create_task(send())
        by_id: dict[int, Utterance] = {}
        async for event in live:
            now_s = loop.time() - began_s
            match event:
                case SpeechStarted():
                    utterances.append(Utterance(event.at_s))
                case Partial() | Final():
                    # Ids count the utterances that began, as their starts are told; a cut begins one without.
                    own = by_id.get(event.utterance_id)
                    if own is None:
                        open_ones = [one for one in utterances if one not in by_id.values()]
                        own = open_ones[0] if open_ones else Utterance(now_s)
                        if not open_ones:
                            utterances.append(own)
                        by_id[event.utterance_id] = own
                    if isinstance(event, Partial):
                        shown = f"{event.committed} {event.tentative}".strip()
                        own.texts.append(shown)
                        if shown and own.first_visible_s is None:
                            own.first_visible_s = now_s
                        if event.committed and own.first_committed_s is None:
                            own.first_committed_s = now_s
                    else:
                        own.final_s, own.end_s, own.is_cut = now_s, event.end_s, event.is_cut
                        own.texts.append(event.text)
                        own.first_visible_s = own.first_visible_s or now_s
                        own.first_committed_s = own.first_committed_s or now_s
                case Done():
                    done = event
        await sender
        lag_s = loop.time() - began_s - len(sound) / SAMPLE_RATE_HZ
    return utterances, done, lag_s


def evaluate(
    streams: list[tuple[list[Utterance], Done, float]],
    sounds: list[Samples],
    offline: list[str],
    references: list[str],
) -> dict[str, object]:
    heard = [one for utterances, _, _ in streams for one in utterances if one.final_s is not None]
    ended = [one for one in heard if not one.is_cut]
    shown = changed = tags_shown = tags_changed = 0
    for one in heard:
        for before, after in zip(one.texts, one.texts[1:], strict=False):
            words, tags = pieces(before)
            words_after, tags_after = pieces(after)
            shown, changed = shown + words.total(), changed + (words - words_after).total()
            tags_shown, tags_changed = tags_shown + tags.total(), tags_changed + (tags - tags_after).total()
    finals = [" ".join(one.texts[-1] for one in utterances if one.final_s is not None) for utterances, _, _ in streams]
    live, whole = against(references, finals), against(references, offline)
    return {
        "audio_s": round(sum(map(len, sounds)) / SAMPLE_RATE_HZ, 1),
        "utterances": len(heard),
        "first_visible_s": spread([(one.first_visible_s or 0.0) - one.started_s for one in heard]),
        "first_committed_s": spread([(one.first_committed_s or 0.0) - one.started_s for one in heard]),
        "final_s": spread([(one.final_s or 0.0) - (one.end_s or 0.0) for one in ended]),
        "final_after_speech_s": spread([(one.final_s or 0.0) - (one.end_s or 0.0) + END_SILENCE_S for one in ended]),
        "lag_at_end_s": spread([lag_s for _, _, lag_s in streams]),
        "skipped_partials": sum(done.stats.skipped_partials for _, done, _ in streams),
        "partials": sum(done.stats.partials for _, done, _ in streams),
        "unstable_words_per_100": round(100 * changed / max(1, shown), 2),
        "tag_flicker_per_100": round(100 * tags_changed / max(1, tags_shown), 2),
        **{
            name: {"streaming": live[name], "offline": whole[name], "difference": round(live[name] - whole[name], 4)}
            for name in live
        },
    }


def against(references: list[str], hypotheses: list[str]) -> dict[str, float]:
    """Word error rate and tag F1 over all streams; an F1 of no tags at all is 0."""
    report = score(*({str(number): text for number, text in enumerate(texts)} for texts in (references, hypotheses)))
    figures = report.to_json()
    return {
        "wer": round(figures["wer_normalized"]["value"], 4),
        "tag_f1": round(figures["tags"]["f1"]["value"] or 0.0, 4),
    }


def pieces(text: str) -> tuple[Counter[str], Counter[str]]:
    parsed = parse(text)
    words = Counter("".join(sign for sign in word.text.lower() if sign.isalnum()) for word in parsed.words)
    return words, Counter(tag.name for tag in parsed.tags)


def spread(values: list[float]) -> dict[str, float]:
    return {name: round(float(np.quantile(values, at)), 3) for name, at in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))}


def processor() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def peak_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return round(int(found[1]) / 1024) if found else float("nan")


if __name__ == "__main__":
    main()
