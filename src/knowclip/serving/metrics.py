"""What a service counts of itself, in the text format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        kept = {"registry": self._registry}
        self._requests = Counter(
            "knowclip_requests", "Requests, by path and HTTP status.", ["path", "status"], **kept
        )
        self._seconds = Histogram(
            "knowclip_request_seconds", "From a request to the end of its answer.", ["path"], **kept
        )
        self._batches = Histogram(
            "knowclip_batch_items", "Items done by one call, by kind.", ["kind"], buckets=_SIZES, **kept
        )
        self.in_flight = Gauge("knowclip_requests_in_flight", "Requests being answered.", **kept)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, kind: str, items: int) -> None:
        """Count a batch."""
        self._batches.labels(kind).observe(items)

    def text(self) -> bytes:
        """All of them, as a scraper reads them."""
        return generate_latest(self._registry)
