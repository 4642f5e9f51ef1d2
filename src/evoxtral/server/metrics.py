"""What the server counts, in Prometheus' form. Knows names and labels; each is counted where it happens."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

REQUEST_SECONDS = Histogram(
    "evoxtral_request_seconds",
    "Time of a request, by its route.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=_SECONDS,
)
AUDIO_SECONDS = Counter("evoxtral_audio_seconds", "Sound that was transcribed.", registry=REGISTRY)
SPOKEN_SECONDS = Counter("evoxtral_spoken_seconds", "Sound that was spoken.", ("engine",), registry=REGISTRY)
REQUESTS_ADMITTED = Gauge("evoxtral_requests_admitted", "Transcriptions under way and waiting.", registry=REGISTRY)
WINDOWS_QUEUED = Gauge("evoxtral_windows_queued", "Windows that wait for the engine.", registry=REGISTRY)
STREAMS = Gauge("evoxtral_streams", "Live streams that are open.", registry=REGISTRY)

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition() -> bytes:
    """All counts as Prometheus reads them."""
    return generate_latest(REGISTRY)
