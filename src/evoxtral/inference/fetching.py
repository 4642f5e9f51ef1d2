"""Recordings at http and https addresses: fetched whole into a temporary file before they are decoded.

Knows HTTP; knows nothing of sound. Names in messages never hold what stands before an "@": it may be a password.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import BinaryIO

import httpx

from evoxtral.audio.spooling import spooled
from evoxtral.errors import AudioError
from evoxtral.models.names import without_credentials
from evoxtral.retries import RetryPolicy, is_transient

# Some 35 hours of MP3 at 128 kbit/s. What is longer is better fetched by a program that resumes.
MAX_FETCHED_BYTES = 2 * 2**30

_TIMEOUT_S = httpx.Timeout(60.0, connect=10.0)
_RETRIES = RetryPolicy(attempts=3)


@contextmanager
def fetched(address: str, *, retries: RetryPolicy = _RETRIES, max_bytes: int = MAX_FETCHED_BYTES) -> Iterator[BinaryIO]:
    """Fetch what is at an address; gives an open file, at its start.

    Redirections are followed to http and https only.

    Args:
        retries: how often the whole file is tried.
        max_bytes: more than that is not fetched.

    Raises:
        AudioError: the address is of another scheme, is not answered, or answers something else than a file.
    """
    name = without_credentials(address)
    if not address.lower().startswith(("http://", "https://")):
        scheme = address.partition("://")[0]
        raise AudioError(f"{name}: nothing is fetched by {scheme}", "http and https addresses are; or name a file")
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(follow_redirects=True, timeout=_TIMEOUT_S))
        for failures in range(1, retries.attempts + 1):
            asked = None
            try:
                with client.stream("GET", address) as answer:
                    if not is_transient(answer.status_code):
                        _check(answer, name, max_bytes)
                        file = stack.enter_context(spooled(_bounded(answer, name, max_bytes), name))
                        break
                    cause, asked = f"answered {_status(answer)}", answer.headers.get("Retry-After")
            except httpx.InvalidURL as error:
                raise AudioError(f"{name}: is no address: {error}") from error
            except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.DecodingError) as error:
                raise AudioError(f"{name}: cannot be fetched: {error}") from error
            except httpx.TransportError as error:
                cause = str(error) or type(error).__name__
            if failures < retries.attempts:
                time.sleep(retries.wait_s(failures, asked))
        else:
            raise AudioError(
                f"{name}: cannot be fetched: {cause}, {retries.attempts} times in a row",
                "check the address and the network",
            )
        yield file


def _check(answer: httpx.Response, name: str, max_bytes: int) -> None:
    if not answer.is_success:
        raise AudioError(f"{name}: answered {_status(answer)}", "check the address; it may want a login")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise AudioError(f"{name}: is a page ({kind})", "give the address of the recording itself")
    declared = answer.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(name, max_bytes)


def _bounded(answer: httpx.Response, name: str, max_bytes: int) -> Iterator[bytes]:
    received_bytes = 0
    for piece in answer.iter_bytes():
        received_bytes += len(piece)
        if received_bytes > max_bytes:
            raise _too_large(name, max_bytes)
        yield piece


def _too_large(name: str, max_bytes: int) -> AudioError:
    return AudioError(
        f"{name}: is larger than the {max_bytes / 2**20:.4g} MiB that are fetched", "download it, and name the file"
    )


def _status(answer: httpx.Response) -> str:
    try:
        return f"{answer.status_code} ({HTTPStatus(answer.status_code).phrase})"
    except ValueError:
        return str(answer.status_code)
