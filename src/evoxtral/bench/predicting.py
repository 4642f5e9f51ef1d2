"""Having a model transcribe a benchmark set, many clips at once and each once: what it wrote is kept and used again.

Knows test sets, engines and predictions; nothing of scores.
"""

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import evoxtral
from evoxtral.bench.testset import TestSet
from evoxtral.data.files import write_atomically
from evoxtral.data.journal import Journal
from evoxtral.data.records import Prediction
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.models import HUB_CACHE, ModelStore, resolve_model, split_model_name

Progress = Callable[[int, int], None]
_BLOCK_BYTES = 1 << 20


def run_model(
    testset: TestSet,
    output: Path,
    *,
    model: str = "edge",
    adapter: str | None = None,
    language: str = "en",
    load: Callable[[str, str | None], TranscriptionEngine] | None = None,
    store: ModelStore = HUB_CACHE,
    on_progress: Progress | None = None,
) -> list[Prediction]:
    """Transcribe a benchmark set, one prediction a clip, in the order of the references.

    Predictions are appended to `output` as they are made, so a killed run goes on where it was. A line is used again
    if model, adapter, options, audio and, for local weights, their content are the same. In the end the file holds
    the predictions of this run only.

    Args:
        output: JSON lines of `Prediction`.
        language: what is spoken, where the reference names no other language.
        load: makes the engine of a model and an adapter, by default `evoxtral.inference.load_engine`; called only if
            something is left to do.
        store: where models are looked up and fetched to.
        on_progress: told how many clips are done, and how many there are.

    Raises:
        ModelError: the model cannot be loaded; AudioError, ScoreError: a clip cannot be used.
    """
    from evoxtral.inference import load_engine
    from evoxtral.inference.many import ManyTranscriber, Recording
    from evoxtral.inference.options import TranscribeOptions

    def tell() -> None:
        if on_progress is not None:
            on_progress(len(kept), len(testset.references))

    journal = Journal(output, Prediction)
    known = journal.latest(lambda prediction: prediction.id)
    digest = model_digest(model, adapter, store)
    kept: dict[str, Prediction] = {}
    wanted: dict[str, Recording] = {}
    sha256s: dict[str, str] = {}
    for reference in testset.references:
        audio = testset.audio_path(reference)
        spoken = reference.language or language
        sha256s[reference.id] = hashlib.sha256(audio.read_bytes()).hexdigest()
        prediction = known.get(reference.id)
        made_by = (model, adapter, digest, {"language": spoken}, sha256s[reference.id])
        if prediction is not None and _made_by(prediction) == made_by:
            kept[reference.id] = prediction
        else:
            options = TranscribeOptions(language=spoken, times=False)
            wanted[reference.id] = Recording(reference.id, str(audio), partial(_as_it_is, audio), options)
    tell()
    if wanted:
        engine = load(model, adapter) if load else load_engine(model, adapter, store=store)
        with ManyTranscriber(engine, TranscribeOptions(), store=store) as transcriber:
            before_s = time.perf_counter()
            for outcome in transcriber.transcribe(wanted.values()):
                if isinstance(outcome.result, Exception):
                    raise outcome.result
                done_s = time.perf_counter()
                kept[outcome.key] = Prediction(
                    id=outcome.key,
                    text=outcome.result.text,
                    model=model,
                    model_digest=digest,
                    adapter=adapter,
                    engine=engine.name,
                    options={"language": outcome.result.language},
                    time=datetime.now(UTC).isoformat(timespec="seconds"),
                    compute_s=round(done_s - before_s, 3),
                    audio_sha256=sha256s[outcome.key],
                    version=evoxtral.__version__,
                )
                before_s = done_s
                journal.append([kept[outcome.key]])
                tell()
    predictions = [kept[reference.id] for reference in testset.references]
    write_atomically(output, "".join(prediction.model_dump_json() + "\n" for prediction in predictions).encode())
    return predictions


def _as_it_is(audio: Path) -> AbstractContextManager[Path]:
    return nullcontext(audio)


def _made_by(prediction: Prediction) -> tuple[object, ...]:
    return (
        prediction.model,
        prediction.adapter,
        prediction.model_digest,
        prediction.options,
        prediction.audio_sha256,
    )


def model_digest(model: str, adapter: str | None = None, store: ModelStore = HUB_CACHE) -> str | None:
    """SHA-256 over names and contents of the files of what is local of a model and its adapter; None if nothing is."""
    if "://" in model:  # a server's weights lie elsewhere
        return None
    names = [*split_model_name(model, store), adapter]
    folders = [folder for folder in (resolve_model(name, store) for name in names if name) if isinstance(folder, Path)]
    if not folders:
        return None
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"):
            digest.update(str(path.relative_to(folder)).encode() + b"\0")
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
    return digest.hexdigest()
