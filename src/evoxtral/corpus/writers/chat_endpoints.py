"""Chat endpoints in two dialects of HTTP, OpenAI's and Anthropic's, and asking one until it answers.

Knows the form of the answer that is asked for; knows nothing of what scripts are. Keys appear in request headers only.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from evoxtral.corpus.writers.acceptance import Answer
from evoxtral.data.corpus_config import ScriptsConfig
from evoxtral.errors import CorpusError
from evoxtral.retries import RetryPolicy, is_transient
from evoxtral.settings import read_secret

if TYPE_CHECKING:
    import httpx

_RETRIES = RetryPolicy(attempts=6)
_MAX_ANSWER_TOKENS = 4_096
# Used where the endpoint does not say what it counted.
_CHARACTERS_PER_TOKEN = 4


class Endpoint(ABC):
    """A chat endpoint: how it is asked, and how its answers read.

    Attributes:
        url: where requests go.
        headers: what they carry, the key among it.
        key_variable: the variable that the key comes from, if any.
    """

    def __init__(self, url: str, model: str, headers: dict[str, str], key: str, key_variable: str | None) -> None:
        self.url = url
        self.headers = headers
        self.key_variable = key_variable
        self._model = model
        self._key = key

    @abstractmethod
    def body(self, system: str, prompt: str) -> dict[str, Any]:
        """The request."""

    @abstractmethod
    def read(self, answer: Any) -> tuple[str | None, int]:
        """What the model wrote (None: it refused) and the tokens in both directions (0: not told).

        Raises:
            KeyError, IndexError, TypeError, AttributeError: it is no answer of this API.
        """

    def simplify(self, body: Mapping[str, Any], status: int, message: str) -> bool:
        """After a refusal of `body`: ask for less if that was the reason; whether it is worth asking again."""
        return False

    def redact(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key, "[key]") if self._key else text


class OpenAIEndpoint(Endpoint):
    """`/chat/completions` as OpenAI, Mistral, vLLM and Ollama understand it."""

    # How the form of the answer is asked for; not every server knows the first two.
    _FORMATS: tuple[dict[str, Any], ...] = (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "scripts", "strict": True, "schema": Answer.model_json_schema()},
            }
        },
        {"response_format": {"type": "json_object"}},
        {},
    )

    def __init__(self, base_url: str, model: str, key: str, key_variable: str | None) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        super().__init__(f"{base_url.rstrip('/')}/chat/completions", model, headers, key, key_variable)
        self._format = 0

    def body(self, system: str, prompt: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
        return {"model": self._model, "messages": messages, **self._FORMATS[self._format]}

    def read(self, answer: Any) -> tuple[str | None, int]:
        message = answer["choices"][0]["message"]
        usage = answer.get("usage") or {}
        return message["content"], usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)

    def simplify(self, body: Mapping[str, Any], status: int, message: str) -> bool:
        asked = body.get("response_format")
        if status not in (400, 422) or asked is None:
            return False
        if "response_format" not in message and asked["type"] not in message:
            return False
        if asked == self._FORMATS[self._format].get("response_format"):  # else a request beside this one was faster
            self._format += 1
        return True


class AnthropicEndpoint(Endpoint):
    """`/v1/messages`; the answer is the input of a tool that the model must call."""

    def __init__(self, base_url: str, model: str, key: str, key_variable: str | None) -> None:
        headers = {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
        super().__init__(f"{base_url.rstrip('/')}/v1/messages", model, headers, key, key_variable)

    def body(self, system: str, prompt: str) -> dict[str, Any]:
        return {
            "model": self._model,
            "max_tokens": _MAX_ANSWER_TOKENS,
            "system": system,
            "messages": [{"role": "user", "content": prompt}],
            "tools": [
                {"name": "scripts", "description": "Hand in scripts.", "input_schema": Answer.model_json_schema()}
            ],
            "tool_choice": {"type": "tool", "name": "scripts"},
        }

    def read(self, answer: Any) -> tuple[str | None, int]:
        tokens = answer["usage"]["input_tokens"] + answer["usage"]["output_tokens"]
        if answer.get("stop_reason") == "refusal":
            return None, tokens
        for block in answer["content"]:
            if block["type"] == "tool_use":
                return json.dumps(block["input"]), tokens
        return "".join(block.get("text", "") for block in answer["content"]), tokens


# By the writer's name in the configuration.
_KINDS = {
    "openai": (OpenAIEndpoint, "https://api.openai.com/v1"),
    "anthropic": (AnthropicEndpoint, "https://api.anthropic.com"),
}


def endpoint_for(config: ScriptsConfig) -> Endpoint:
    """The endpoint that a configuration names.

    Raises:
        CorpusError: the model or the key is missing.
    """
    if config.model is None:
        raise CorpusError(f"the writer {config.writer} needs a model", "name one: scripts.model")
    variable = config.api_key_variable
    if variable is None and config.base_url is None:  # an endpoint of the user's own gets no key meant for another
        variable = f"{config.writer.upper()}_API_KEY"
    key = read_secret(variable) if variable else None
    if variable and key is None:
        raise CorpusError(f"there is no key in {variable}", "set it, or use the writer grammar")
    kind, base_url = _KINDS[config.writer]
    return kind(config.base_url or base_url, config.model, key.get_secret_value() if key else "", variable)


async def ask(
    client: "httpx.AsyncClient",
    endpoint: Endpoint,
    system: str,
    prompt: str,
    *,
    sleep: Callable[[float], Awaitable[None]],
) -> tuple[str | None, int]:
    """What the model answers (None: it refuses) and the tokens in both directions, estimated where it does not say.

    Args:
        sleep: how pauses between attempts are made.

    Raises:
        CorpusError: the request is refused, or not answered in any attempt.
    """
    import httpx

    failures = 0
    while True:
        body = endpoint.body(system, prompt)
        asked: str | None = None
        try:
            response = await client.post(endpoint.url, headers=endpoint.headers, json=body)
            if response.status_code == 200:
                content, tokens = endpoint.read(response.json())
                return content, tokens or (len(system + prompt) + len(content or "")) // _CHARACTERS_PER_TOKEN
            reason = f"{response.status_code}: {endpoint.redact(response.text)[:300]}"
            if endpoint.simplify(body, response.status_code, response.text):
                continue
            if not is_transient(response.status_code):
                raise CorpusError(f"{endpoint.url} refuses the request: {reason}", _hint(endpoint, response))
            asked = response.headers.get("retry-after")
        except httpx.TransportError as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
        except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
            reason = "an answer that is none of the API's"
        failures += 1
        if failures == _RETRIES.attempts:
            raise CorpusError(f"{endpoint.url} does not answer as it should ({reason})", "the same command resumes")
        await sleep(_RETRIES.wait_s(failures, asked))


def _hint(endpoint: Endpoint, response: "httpx.Response") -> str:
    if response.status_code not in (401, 403):
        return "check the model's name and base_url"
    if endpoint.key_variable is None:
        return "name the variable that holds the key: scripts.api_key_variable"
    return f"check the key in {endpoint.key_variable}, or name its variable: scripts.api_key_variable"
