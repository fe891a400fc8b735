"""The fake Stripe itself: its page, its program, and where it is as strict as the real one."""

import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.stripe_server import FakeStripe

ROOT = Path(__file__).resolve().parents[2]
FORM = {
    "mode": "payment",
    "success_url": "http://127.0.0.1:1/o?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://127.0.0.1:1/basket",
    "line_items[0][quantity]": "2",
    "line_items[0][price_data][currency]": "eur",
    "line_items[0][price_data][unit_amount]": "2500",
    "line_items[0][price_data][product_data][name]": "Loge <2>",
}


@pytest.fixture
async def server():
    async with FakeStripe() as server:
        yield server


@pytest.fixture
async def client(server):
    headers = {"Authorization": f"Bearer {server.api_key}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as client:
        yield client


async def create(client, key="k1", **changes):
    async with client.post(
        "/v1/checkout/sessions", data=FORM | changes, headers={"Idempotency-Key": key}
    ) as response:
        return response, await response.json()


async def test_the_page_is_paid_by_its_button_and_leads_back(server, client):
    _, session = await create(client)
    async with client.get(f"/pay/{session['id']}") as response:
        page = await response.text()
    assert "2 × Loge &lt;2&gt;" in page
    assert "5000 EUR" in page
    async with client.post(f"/pay/{session['id']}/pay", allow_redirects=False) as response:
        assert response.headers["Location"] == f"http://127.0.0.1:1/o?session={session['id']}"
    assert server.sessions[session["id"]]["payment_status"] == "paid"
    async with client.post(f"/pay/{session['id']}/pay") as response:
        assert "This page is complete." in await response.text()
    assert len(server.charges) == 1


async def test_the_page_is_left_by_its_other_button(server, client):
    _, session = await create(client)
    async with client.post(f"/pay/{session['id']}/cancel", allow_redirects=False) as response:
        assert response.headers["Location"] == "http://127.0.0.1:1/basket"
    assert server.sessions[session["id"]]["status"] == "open"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "blue"}, "unknown parameter: colour"),
        ({"expires_at": "1"}, "30 minutes to 24 hours"),
        ({"line_items[0][price_data][unit_amount]": "25.00"}, "Invalid integer: 25.00"),
        ({"line_items[0][price_data][currency]": "EUR"}, "Invalid currency: EUR"),
        (
            {"line_items[0][price_data][currency]": "isk"}
            | {"line_items[0][price_data][unit_amount]": "2550"},
            "Invalid amount 2550 for isk",
        ),
    ],
)
async def test_requests_stripe_would_refuse_are_refused(client, changes, said):
    response, answer = await create(client, **changes)
    assert response.status == 400
    assert said in answer["error"]["message"]


async def test_a_refused_request_does_not_use_up_its_key(client):
    response, _ = await create(client, expires_at="1")
    assert response.status == 400
    response, _ = await create(client)
    assert response.status == 200
    assert "Idempotent-Replayed" not in response.headers
    response, _ = await create(client)
    assert response.headers["Idempotent-Replayed"] == "true"


async def test_two_requests_at_once_under_one_key_are_carried_out_once(server, client):
    server.hang_next(0.1)
    (first, _), (second, answer) = await asyncio.gather(create(client), create(client))
    assert sorted((first.status, second.status)) == [200, 409]
    assert answer["error"]["code"] == "idempotency_key_in_use"
    assert len(server.sessions) == 1


async def test_the_program_serves_on_its_port():
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fakes.stripe_server", "--port", "0"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said = (await asyncio.wait_for(program.stdout.readline(), 20)).decode()
        url = said.split()[-1]
        async with aiohttp.ClientSession() as client, client.get(f"{url}/pay/cs_0") as response:
            assert (response.status, await response.text()) == (404, "No such payment page.")
    finally:
        program.terminate()
        await program.communicate()
