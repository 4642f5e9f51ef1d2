"""What ElevenLabs made of requests whose answers were lost, looked up in the accounts' histories before paying again.

The service keeps what it has spoken, with the text and the voice, but not the seed: an item is taken for a request if
text, voice (in a dialogue: all of them) and model are the same, it is not older than the request, and no other request
is known to have got it. Its audio comes as the service keeps it, which may be MP3 whatever format was asked for.
Knows the SDK's history; nothing of keys or budgets.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio
from evoxtral.errors import AudioError
from evoxtral.tts.speech_engine import LostRequest, PaidSpeech, Speech

if TYPE_CHECKING:
    from elevenlabs.client import AsyncElevenLabs
    from elevenlabs.types import SpeechHistoryItemResponse

_log = logging.getLogger(__name__)

_PAGE = 1_000  # the most that the service gives at once
# The service's clock need not be ours.
_CLOCKS_DIFFER_S = 120


@dataclass(frozen=True, slots=True)
class _Found:
    client: "AsyncElevenLabs"
    item: "SpeechHistoryItemResponse"


async def recall(
    clients: Sequence["AsyncElevenLabs"],
    lost: Sequence[LostRequest],
    *,
    model: str,
    voice_id: Callable[[str], str],
    known_request_ids: Collection[str],
) -> list[PaidSpeech | None]:
    """What each request had made, or None where no account has anything of it. Nothing is charged.

    An account whose key may not read the history is passed over, with a warning.

    Args:
        clients: one an account.
        voice_id: the service's name for a voice of ours.
        known_request_ids: requests whose speech has arrived.

    Raises:
        ApiError, httpx.TransportError: the service does not answer.
    """
    since_unix = int(min(request.sent_unix_s for request in lost)) - _CLOCKS_DIFFER_S
    kept: dict[_Spoken, list[_Found]] = defaultdict(list)
    for client in clients:
        for item in await _items(client, since_unix):
            if item.model_id in (None, model) and item.request_id not in known_request_ids:
                kept[_spoken_in(item)].append(_Found(client, item))
    return [
        await _fetch(found, request, model) if (found := _take(kept[_asked_by(request, voice_id)], request)) else None
        for request in lost
    ]


_Spoken = tuple[tuple[str | None, str | None], ...]
"""Texts with the voices that speak them: one, or those of a dialogue."""


def _spoken_in(item: "SpeechHistoryItemResponse") -> _Spoken:
    if item.dialogue:  # its own text and voice are empty then
        return tuple((turn.text, turn.voice_id) for turn in item.dialogue)
    return ((item.text, item.voice_id),)


def _asked_by(request: LostRequest, voice_id: Callable[[str], str]) -> _Spoken:
    if request.turns:
        return tuple((turn.text, voice_id(turn.voice)) for turn in request.turns)
    return ((request.text, voice_id(request.voice)),)


def _take(candidates: list[_Found], request: LostRequest) -> _Found | None:
    """The oldest item that can be the request's; it then belongs to no other."""
    fitting = [found for found in candidates if found.item.date_unix >= request.sent_unix_s - _CLOCKS_DIFFER_S]
    if not fitting:
        return None
    oldest = min(fitting, key=lambda found: found.item.date_unix)
    candidates.remove(oldest)
    return oldest


async def _items(client: "AsyncElevenLabs", since_unix: int) -> list["SpeechHistoryItemResponse"]:
    from elevenlabs.core.api_error import ApiError

    items: list[SpeechHistoryItemResponse] = []
    last: str | None = None
    while True:
        try:
            page = await client.history.list(
                page_size=_PAGE, date_after_unix=since_unix, start_after_history_item_id=last
            )
        except ApiError as error:
            if error.status_code not in (401, 402, 403):
                raise
            _log.warning("an ElevenLabs key may not read its history: what it paid for and lost is paid again")
            return []
        items += [item for item in page.history if item.state in (None, "created")]
        last = page.last_history_item_id
        if not page.has_more or last is None:
            return items


async def _fetch(found: _Found, request: LostRequest, model: str) -> PaidSpeech | None:
    data = b"".join([chunk async for chunk in found.client.history.get_audio(found.item.history_item_id)])
    try:
        samples = load_audio(BytesIO(data), name=f"ElevenLabs' history item {found.item.history_item_id}")
    except AudioError as error:
        _log.warning("%s; its text is spoken again", error)
        return None
    cost = found.item.character_count_change_to - found.item.character_count_change_from
    return PaidSpeech(
        Speech(samples, SAMPLE_RATE_HZ, f"elevenlabs/{model}", request.voice),
        cost if cost > 0 else len(request.text),
        found.item.request_id,
    )
