"""What Prometheus reads of a gateway and of what is behind it; and that nobody waits for the dead.

That the dashboard and the pages speak of the same names is `test_dashboard`'s.
"""

import asyncio
from collections.abc import Iterable

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from engine.status import Buckets
from gateway import vitals
from gateway.metrics import Metrics, exposition, histogram
from tests.actors.houses import settings, small_plan
from tests.gateway.client import new_id, until
from tests.gateway.conftest import Running, Start

Samples = dict[tuple[str, ...], float]


def samples_of(families: Iterable[Metric]) -> Samples:
    """(name, *values of the labels in the order of the labels' names) -> value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


async def scraped(gateway: Running, query: str = "") -> Samples:
    async with gateway.http.get(f"/metrics{query}") as response:
        assert response.status == 200
        return samples_of(text_string_to_metric_families(await response.text()))


def test_metrics_are_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.commands["hold", "held"] += 3
    metrics.commands["hold", "seat_taken"] += 1
    metrics.commands["scan", "ADMITTED"] += 5
    metrics.commands["scan", "ALREADY_USED"] += 2
    metrics.feed_frames["sent"] += 9
    metrics.batch.add(7)
    for value in (0.0005, 0.003, 99.0):
        metrics.latency["hold"].add(value)
    metrics.latency["scan"].add(0.0005)
    metrics.gauges["strapontin_sockets"] = ("Open", lambda: 4)
    metrics.gauges_by["strapontin_clients"] = ("Open", "client", lambda: {"buyer": 3, "device": 1})
    metrics.http.labels("GET", "/", 200).inc()
    samples = samples_of(text_string_to_metric_families(exposition(metrics.families()).decode()))
    assert samples["strapontin_commands_total", "hold", "held", "accepted"] == 3
    assert samples["strapontin_commands_total", "hold", "seat_taken", "refused"] == 1
    assert samples["strapontin_commands_total", "scan", "ADMITTED", "accepted"] == 5
    assert samples["strapontin_commands_total", "scan", "ALREADY_USED", "refused"] == 2
    assert samples["strapontin_feed_frames_total", "sent"] == 9
    assert samples["strapontin_sockets",] == 4
    assert samples["strapontin_clients", "buyer"] == 3
    assert samples["strapontin_command_seconds_bucket", "hold", "0.001"] == 1
    assert samples["strapontin_command_seconds_bucket", "hold", "0.005"] == 2
    assert samples["strapontin_command_seconds_bucket", "hold", "+Inf"] == 3
    assert samples["strapontin_command_seconds_count", "hold"] == 3
    assert samples["strapontin_command_seconds_count", "scan"] == 1
    assert samples["strapontin_batch_commands_sum",] == 7
    assert samples["strapontin_http_requests_total", "GET", "/", "200"] == 1


def test_a_value_on_an_edge_counts_below_it() -> None:
    buckets = Buckets((1.0, 2.0))
    for value in (1.0, 2.0, 2.5):
        buckets.add(value)
    counts = samples_of([histogram("x", "x", (), {(): buckets})])
    assert [counts["x_bucket", edge] for edge in ("1.0", "2.0", "+Inf")] == [1, 2, 3]
    assert counts["x_sum",] == 5.5


def test_latency_is_told_by_kind_and_of_all_together() -> None:
    latency = Metrics().latency
    assert not any(latency.counts)
    latency["hold"].add(0.0)
    latency["scan"].add(0.0)
    latency["scan"].add(99.0)
    assert (latency.counts[0], latency.counts[-1], sum(latency.counts)) == (2, 1, 3)


async def test_clients_are_counted_by_kind_while_they_are_there(gateway: Running) -> None:
    buyer = await gateway.socket()
    await gateway.socket(await gateway.fake.device_token("door 1"))
    await gateway.socket(await gateway.fake.operator_token("anna", "cashier"))
    samples = await scraped(gateway)
    kinds = ("buyer", "device", "operator")
    assert [samples["strapontin_clients", kind] for kind in kinds] == [1, 1, 1]
    await buyer.websocket.close()
    clients = gateway.edge.metrics.gauges_by["strapontin_clients"][2]
    await until(lambda: clients()["buyer"] == 0)
    assert clients()["device"] == 1


async def test_sheds_are_counted_by_reason(start: Start) -> None:
    gateway = await start(buyer_commands_per_s=1.0, retry_for_s=0.0)
    gateway.fake.add_performance(small_plan(), settings())
    gateway.fake.performances.down = True
    socket = await gateway.socket()
    await socket.send("hold", new_id(), 1, new_id(), [1])
    assert (await socket.next("shed"))[2] == "unavailable"
    for _ in range(2):
        await socket.send("hold", new_id(), 1, new_id(), [1])
    while (await socket.next("shed"))[2] != "rate":
        pass
    samples = await scraped(gateway)
    assert samples["strapontin_sheds_total", "unavailable"] >= 1
    assert samples["strapontin_sheds_total", "rate"] >= 1


async def test_the_engine_is_told_performance_by_performance(gateway: Running) -> None:
    fake = gateway.fake
    second = fake.add_performance(small_plan(), settings())
    socket = await gateway.socket()
    await socket.hold(1, 5, 6)
    fake.performances.restart(second)
    samples = await scraped(gateway)
    assert samples["strapontin_performances_active",] == 2
    assert samples["strapontin_performance_epoch", "1"] == 1
    assert samples["strapontin_performance_epoch", str(second)] == 2
    assert samples["strapontin_performance_events_total", "1"] >= 1
    assert samples["strapontin_seats", "1", "held"] == 2
    assert samples["strapontin_seats", str(second), "held"] == 0
    assert samples["strapontin_holds", "1"] == 1
    assert samples["strapontin_tickets_sold_total", "1"] == 0
    assert samples["strapontin_journal_commit_seconds_count",] >= 1
    assert samples["strapontin_process_resident_bytes", "gateway", ""] > 0
    assert samples["strapontin_process_cpu_seconds_total", "performance", "1"] > 0
    assert samples["strapontin_backend_up", "journal"] == 1


async def test_who_does_not_answer_has_no_figures(gateway: Running) -> None:
    gateway.fake.status.silent = {"journal"}
    samples = await scraped(gateway)
    assert samples["strapontin_backend_up", "journal"] == 0
    assert samples["strapontin_backend_up", "directory"] == 1
    names = {name for name, *_ in samples}
    assert not [name for name in names if name.startswith("strapontin_journal")]
    assert "strapontin_performance_epoch" in names


async def test_a_recovering_performance_tells_no_places(gateway: Running) -> None:
    gateway.fake.status.recovering = {1}
    samples = await scraped(gateway)
    assert samples["strapontin_performance_ready", "1"] == 0
    assert ("strapontin_holds", "1") not in samples


async def test_metrics_do_not_wait_for_the_dead(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "STATUS_TIMEOUT_S", 0.05)
    gateway.fake.status.hangs = True
    await (await gateway.socket()).hold(1, 5)
    async with asyncio.timeout(2):
        samples = await scraped(gateway)
    assert samples["strapontin_backend_up", ""] == 0
    assert samples["strapontin_commands_total", "hold", "held", "accepted"] == 1
    assert not [name for name, *_ in samples if name.startswith("strapontin_performance")]


async def test_many_who_ask_cost_the_engine_one_question(gateway: Running) -> None:
    await asyncio.gather(*(scraped(gateway) for _ in range(20)))
    assert gateway.fake.status.asked == 1


async def test_who_names_families_gets_those_and_asks_the_engine_for_its_own_alone(
    gateway: Running,
) -> None:
    waiting, up = "strapontin_commands_waiting", "strapontin_backend_up"
    assert await scraped(gateway, f"?name[]={waiting}") == {(waiting,): 0}
    assert gateway.fake.status.asked == 0
    both = await scraped(gateway, f"?name[]={waiting}&name[]={up}")
    assert {sample[0] for sample in both} == {waiting, up}
