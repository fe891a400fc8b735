"""A gauge is read beside a measurement: every now and then, with gaps where nobody answered."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.figures import Rate
from bench.gauges import EVERY_S, MAX_SAMPLES, WAITING, Gauge, Samples
from gateway.batcher import Batcher
from gateway.metrics import Metrics


class Answers(BaseHTTPRequestHandler):
    """Metrics whose gauge counts the answers; the second is an error."""

    protocol_version = "HTTP/1.1"
    given = 0

    def do_GET(self) -> None:
        type(self).given += 1
        broken = self.given == 2
        text = "nothing" if broken else f"# TYPE {WAITING} gauge\n{WAITING} {self.given}.0\nx 9\n"
        self.send_response(500 if broken else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Answers.given = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_gauge_is_read_for_as_long_as_the_block(url: str) -> None:
    begins_s = time.perf_counter()
    with Gauge(url, WAITING) as gauge:
        while Answers.given < 4:
            time.sleep(0.01)
        took_s = time.perf_counter() - begins_s
    assert [value for _, value in gauge.samples.taken][:3] == [1, 3, 4]
    assert took_s >= 3 * EVERY_S * 0.9, "it does not ask more often than it says"
    given = Answers.given
    rate = Rate(1.0, (), (), begins_s, 4 * EVERY_S)
    assert gauge.during(rate)[0] == 1 and len(gauge.during(rate)) == 4
    time.sleep(1.5 * EVERY_S)
    assert Answers.given == given, "nothing is asked after it"


def test_a_server_that_is_not_there_leaves_gaps() -> None:
    with Gauge("http://127.0.0.1:9", WAITING) as gauge:
        time.sleep(0.05)
    assert gauge.during(Rate(1.0, (), (), 0.0, 1.0)) == [None] * 4


def test_steps_have_the_nearest_value_or_a_gap() -> None:
    samples = Samples(1.0)
    for at_s, value in ((0.4, 1.0), (1.6, 2.0), (6.0, 3.0)):
        samples.add(at_s, value)
    assert samples.steps(0.0, 6.0) == [1, 2, 2, None, None, 3]


def test_a_long_run_has_a_most_of_samples() -> None:
    samples = Samples(1.0)
    for at in range(MAX_SAMPLES + 1):
        samples.add(at, at)
    assert len(samples.taken) <= MAX_SAMPLES and samples.every_s == 2
    assert samples.steps(0, MAX_SAMPLES)[:2] == [0, 2]


def test_the_gateway_has_that_gauge() -> None:
    metrics = Metrics()
    Batcher(None, metrics, 1.0)  # type: ignore[arg-type]
    assert WAITING in metrics.gauges
