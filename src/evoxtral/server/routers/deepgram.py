"""Deepgram's `/v1/listen`: a recording in the body of a POST, or live sound over a WebSocket.

Names of fields and messages are those of the SDK `deepgram-sdk` 7.17. Transcripts are tagged texts; `words` are words
only. Knows messages; nothing of how speech becomes text.
"""

import hashlib
import secrets
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, BinaryIO, cast

from anyio import to_thread
from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import JSONResponse, Response

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference.channels import by_channel, channel_index
from evoxtral.inference.transcript import Transcript
from evoxtral.server.live import Done, Failed, Final, Flushed, Partial, Started, StreamEvent
from evoxtral.server.problems import Problem
from evoxtral.server.query import Query
from evoxtral.server.routers.transcribe import PROBLEMS, options_of
from evoxtral.server.sockets import (
    INVALID,
    MAX_SAMPLE_RATE_HZ,
    MIN_SAMPLE_RATE_HZ,
    Microphone,
    StreamEndError,
    converse,
    json_object,
    open_ears,
    open_stream,
    receive,
)
from evoxtral.server.transcribing import Transcriber

router = APIRouter(tags=["Deepgram"])

# What this model does always (punctuation, numerals as they are written), or has no use for.
_UNUSED = (
    *("model", "version", "punctuate", "smart_format", "numerals", "paragraphs", "dictation", "filler_words", "tag"),
    *("measurements", "profanity_filter", "language_hint", "mip_opt_out", "utt_split", "extra"),
)
_REFUSED = (
    *("callback", "callback_method", "redact", "search", "replace", "summarize", "sentiment", "topics"),
    *("custom_topic", "custom_topic_mode", "intents", "custom_intent", "custom_intent_mode", "detect_entities"),
    "detect_language",
)
# Of live streams: ends of turns are found as everywhere in this server.
_UNUSED_LIVE = (*_UNUSED, "endpointing", "no_delay")
_REFUSED_LIVE = (*_REFUSED, "utterance_end_ms", "multichannel")
_SPOOL_BYTES = 2**20
_QUERY = {
    "parameters": [
        {"name": name, "in": "query", "schema": {"type": kind}, "description": description}
        for name, kind, description in (
            ("language", "string", "Spoken language; of en-GB the first part counts."),
            ("diarize", "boolean", "Tell speakers apart."),
            ("keyterm", "string", "A name or term that is likely; there may be several, and keywords means the same."),
            ("multichannel", "boolean", "Each channel is one speaker's."),
            ("utterances", "boolean", "Give segments with their times too."),
        )
    ],
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}


@router.post("/v1/listen", responses=PROBLEMS, openapi_extra=_QUERY, response_class=JSONResponse)
async def listen(request: Request) -> Response:
    """Transcribe the recording in the body as Deepgram's `listen.v1.media.transcribe_file` does.

    Deepgram's other parameters are taken where they change nothing here, and refused where they would.
    """
    query = Query(request.query_params, unused=_UNUSED, refused=_REFUSED)
    options = options_of(
        language=_language(query),
        diarize=_diarize(query),
        keywords=keyterms(query),
        channels=query.flag("multichannel"),
    )
    with_utterances = query.flag("utterances")
    if query.text("encoding", "") or query.text("sample_rate", ""):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "encoding: raw samples are taken live only", "send a WAV or FLAC file"
        )
    query.nothing_else()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "url: this server fetches nothing from other servers",
            "download the recording and send its bytes as the body",
        )
    transcriber: Transcriber = request.app.state.transcriber
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as file:
        digest = await _receive_body(request, file)
        heard = await transcriber.transcribe(cast(BinaryIO, file), "recording", options, request.is_disconnected)
    return JSONResponse(_answer(heard, digest, with_utterances))


async def _receive_body(request: Request, file: "tempfile.SpooledTemporaryFile[bytes]") -> str:
    """Write the body to a file and go back to its start; gives its SHA-256."""
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
        await to_thread.run_sync(file.write, piece)
    file.seek(0)
    return digest.hexdigest()


def _language(query: Query) -> str:
    """ISO 639-1 of what Deepgram's clients send, such as en-US."""
    return query.text("language", "en").partition("-")[0].lower()


def keyterms(query: Query) -> tuple[str, ...]:
    """Deepgram's keyterms and its older keywords, which may have a weight after a colon that changes nothing here."""
    weighted = [text.rpartition(":") for text in query.texts("keywords")]
    older = [word if word and _is_number(weight) else f"{word}{colon}{weight}" for word, colon, weight in weighted]
    return tuple(dict.fromkeys([*query.texts("keyterm"), *older]))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _diarize(query: Query) -> bool:
    return query.flag("diarize") or query.text("diarize_model", "") != ""


def _answer(heard: Transcript, digest: str, with_utterances: bool) -> dict[str, Any]:
    words = _words(heard)
    channels = by_channel(heard)
    results: dict[str, Any] = {
        "channels": [{"alternatives": [_alternative(one.text, _words(one))]} for one in channels]
    }
    if with_utterances:
        results["utterances"] = [
            {
                "id": f"utterance-{number}",
                "start": segment.start_s,
                "end": segment.end_s,
                "confidence": _confidence(words),
                "channel": channel_index(segment.speaker) or 0,
                "transcript": segment.text,
                "words": [
                    word
                    for word in _words(channels[channel_index(segment.speaker) or 0])
                    if segment.start_s <= word["start"] < segment.end_s
                ],
                **({"speaker": _speaker(segment.speaker)} if _is_speaker(segment.speaker) else {}),
            }
            for number, segment in enumerate(heard.segments)
        ]
    info = {"name": heard.model, "version": heard.engine, "arch": heard.engine}
    return {
        "metadata": {
            "transaction_key": "deprecated",
            "request_id": secrets.token_hex(16),
            "sha256": digest,
            "created": _now(),
            "duration": heard.duration_s,
            "channels": len(channels),
            "models": [heard.model],
            "model_info": {heard.model: info},
        },
        "results": results,
    }


def _alternative(transcript: str, words: list[dict[str, Any]]) -> dict[str, Any]:
    return {"transcript": transcript, "confidence": _confidence(words), "words": words}


def _words(heard: Transcript, by_s: float = 0.0) -> list[dict[str, Any]]:
    """Words with their times, moved by the start of their utterance."""
    return [
        {
            "word": word.word.strip(".,!?;:\"'…“”‘’()").lower() or word.word,
            "punctuated_word": word.word,
            "start": round(by_s + word.start_s, 3),
            "end": round(by_s + word.end_s, 3),
            "confidence": 0.0 if word.confidence is None else word.confidence,
            **({"speaker": _speaker(word.speaker)} if _is_speaker(word.speaker) else {}),
        }
        for word in heard.words
        if word.start_s is not None and word.end_s is not None
    ]


def _confidence(words: list[dict[str, Any]]) -> float:
    return round(sum(word["confidence"] for word in words) / len(words), 4) if words else 0.0


def _is_speaker(name: str | None) -> bool:
    """Whether somebody told speakers apart; a channel is known anyway."""
    return name is not None and channel_index(name) is None


def _speaker(name: str | None) -> int:
    """Deepgram counts speakers from 0; this project from SPEAKER_1."""
    number = (name or "").rpartition("_")[2]
    return int(number) - 1 if number.isdecimal() else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- live ------------------------------------------------------------------------------------------------------------


@router.websocket("/v1/listen")
async def listen_live(socket: WebSocket) -> None:
    """Live transcription for Deepgram's clients."""
    async with open_stream(socket, _end_message):
        try:
            query = Query(socket.query_params, unused=_UNUSED_LIVE, refused=_REFUSED_LIVE)
            options = options_of(language=_language(query), keywords=keyterms(query))
            diarize = _diarize(query)
            query.choice("encoding", ("linear16",), "linear16")
            query.choice("channels", ("1",), "1")
            rate_hz = query.whole("sample_rate", SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ)
            with_interim, with_vad = query.flag("interim_results"), query.flag("vad_events")
            query.nothing_else()
        except Problem as problem:
            raise StreamEndError("INVALID_QUERY", f"{problem.detail}: {problem.hint}", INVALID) from None
        stream = open_ears(socket, lambda: options, diarize=diarize)
        microphone = Microphone(stream, rate_hz)

        async def read() -> None:
            while True:
                message = await receive(socket)
                if isinstance(message, bytes):
                    if not message:  # how older clients end a stream
                        break
                    await microphone.feed(message)
                    continue
                kind = (json_object(message) or {}).get("type")
                if kind == "CloseStream":
                    break
                if kind == "Finalize":
                    await stream.flush()
                elif kind != "KeepAlive":
                    raise StreamEndError(
                        "INVALID_MESSAGE", "Messages are KeepAlive, Finalize and CloseStream, and sound.", INVALID
                    )
            await microphone.end()

        session = _Live(socket.app.state.transcriber.engine.model, with_interim=with_interim, with_vad=with_vad)
        await converse(socket, stream, read, session.tell)


def _end_message(end: StreamEndError) -> dict[str, Any]:
    return {"type": "Error", "variant": end.code, "code": end.code, "description": end.message, "message": end.message}


class _Live:
    """Events of one stream as Deepgram's messages."""

    def __init__(self, model: str, *, with_interim: bool, with_vad: bool) -> None:
        self._metadata = {
            "request_id": secrets.token_hex(16),
            "model_info": {"name": model, "version": "1", "arch": "evoxtral"},
            "model_uuid": model,
        }
        self._with_interim, self._with_vad = with_interim, with_vad
        self._starts_s: dict[int, float] = {}
        self._end_s = 0.0

    def tell(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """The messages for an event."""
        match event:
            case Started(utterance_id, at_s):
                self._starts_s[utterance_id] = at_s
                if self._with_vad:
                    yield {"type": "SpeechStarted", "channel": [0, 1], "timestamp": round(at_s, 3)}
            case Partial(utterance_id, _, committed, tentative, _):
                if self._with_interim:
                    text = f"{committed} {tentative}".strip()
                    start_s = self._starts_s.get(utterance_id, self._end_s)
                    yield self._results(start_s, start_s, _alternative(text, []), is_final=False)
            case Final(utterance_id, start_s, end_s, is_cut, heard):
                self._starts_s.pop(utterance_id, None)
                self._end_s = end_s
                best = _alternative(heard.text, _words(heard, start_s))
                yield self._results(start_s, end_s, best, is_final=True, speech_final=not is_cut)
            case Failed():
                text = str(event.error)
                yield {"type": "Error", "variant": "TRANSCRIPTION", "description": text, "message": text}
            case Flushed():
                # Clients wait for the answer to Finalize, whether anything was being said or not.
                empty = _alternative("", [])
                yield self._results(
                    self._end_s, self._end_s, empty, is_final=True, speech_final=True, from_finalize=True
                )
            case Done():
                yield {
                    "type": "Metadata",
                    "transaction_key": "deprecated",
                    "request_id": self._metadata["request_id"],
                    "created": _now(),
                    "duration": round(event.audio_s, 3),
                    "channels": 1,
                }

    def _results(
        self,
        start_s: float,
        end_s: float,
        alternative: dict[str, Any],
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> dict[str, Any]:
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": round(start_s, 3),
            "duration": round(end_s - start_s, 3),
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]},
            "metadata": self._metadata,
        }
