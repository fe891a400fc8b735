"""Papers over HTTP: an order's by its key, the house's for whoever reads the books."""

from typing import Any

import pytest

from engine.ledger import Fact, FactKind
from gateway.session import Role
from tests.fakes.papers import check_papers
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for, paid_order
from tests.renderers.paper import letters, squeezed

LOOK = {
    "name": "Le Petit Théâtre",
    "legal_name": "Association des Amis du Petit Théâtre",
    "time_zone": "Europe/Zurich",
    "languages": ["fr"],
    "address": ["3 rue du Lac", "1200 Genève"],
    "country": "CH",
    "business_id": "CHE-123.456.789",
    "vat_number": "CHE-123.456.789 TVA",
    "bank_account": "IBAN CH93 0076 2011 6238 5295 7",
    "vat_bp": 260,
}


async def pdf_at(gateway: Running, path: str, token: str = "") -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with gateway.http.get(path, headers=headers) as response:
        body = await response.read()
        assert response.status == 200, body
        assert response.content_type == "application/pdf"
        assert response.headers["Cache-Control"] == "no-store"
        return body


async def refund(gateway: Running, order: dict[str, Any], *lines: int) -> None:
    admin = await gateway.fake.operator_token("Rita", Role.ADMIN)
    body = {"id": f"r{lines}".replace("(", "").replace(",", "").replace(")", "").replace(" ", "-")}
    path = f"/api/orders/{order['id']}/refund"
    await gateway.json("POST", path, body | {"lines": list(lines)}, admin)


async def test_the_contract(gateway: Running) -> None:
    paid = await paid_order(gateway, 5, 6)
    order = await gateway.fake.desk.get(paid["id"])
    assert order is not None
    await check_papers(gateway.fake.papers, 1, order, lambda: refund(gateway, paid, 2))


async def test_an_order_is_invoiced_once_and_its_refund_credited(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    await gateway.json("PUT", "/api/house", LOOK, admin)
    order = await paid_order(gateway, 5, 6)
    path = f"/api/orders/{order['id']}"
    assert await gateway.json("GET", f"{path}/papers") == []
    client = {"name": "Chaises SA", "address": ["4 bis, boulevard Long", "86000 Poitiers"]}
    invoice = await gateway.json("POST", f"{path}/invoice?lang=fr", client)
    assert (invoice["kind"], invoice["total"], invoice["order"]) == (
        *("invoice", 4_000),
        order["number"],
    )
    assert await gateway.json("POST", f"{path}/invoice", {}) == invoice
    shown = letters(await pdf_at(gateway, f"{path}/papers/{invoice['name']}?lang=en"))
    for words in (
        "Facture F2026-000001",
        "Association des Amis du Petit Théâtre",
        "Chaises SA",
        "4 bis, boulevard Long",
        "CHE-123.456.789 TVA",
        "TVA 2,6 %",
        "40,00",
        "1,01",
    ):
        assert squeezed(words) in shown, words
    await refund(gateway, order, 2)
    rows = await gateway.json("GET", f"{path}/papers")
    assert [row["total"] for row in rows] == [4_000, -2_000]
    note = letters(await pdf_at(gateway, f"{path}/papers/{rows[1]['name']}"))
    assert squeezed("Avoir A2026-000001") in note and squeezed("F2026-000001") in note


async def test_what_is_not_sold_is_not_invoiced(gateway: Running) -> None:
    body, token = await order_for(gateway, 5)
    await gateway.json("POST", "/api/orders", body, token, expect=201)
    path = f"/api/orders/{body['id']}"
    problem = await gateway.json("POST", f"{path}/invoice", {}, expect=409)
    assert (problem["code"], problem["detail"]) == ("invoice_not_ready", "open")
    wrong = {"address": ["x"] * 9}
    assert (await gateway.json("POST", f"{path}/invoice", wrong, expect=422))[
        "field"
    ] == "$.address"


async def test_an_orders_key_opens_its_own_papers_alone(gateway: Running) -> None:
    one, other = await paid_order(gateway, 5), await paid_order(gateway, 25)
    for order in (one, other):
        await gateway.json("POST", f"/api/orders/{order['id']}/invoice", {})
    theirs = f"/api/orders/{one['id']}/papers/F2026-000002"
    assert (await gateway.json("GET", theirs, expect=404))["code"] == "paper_unknown"
    unknown = f"/api/orders/{'0' * 32}/papers/F2026-000001"
    assert (await gateway.json("GET", unknown, expect=404))["code"] == "order_unknown"


async def test_who_reads_the_books_sees_all_papers(gateway: Running) -> None:
    report = await gateway.fake.operator_token("Rita", "report")
    for seat in (5, 25):
        order = await paid_order(gateway, seat)
        await gateway.json("POST", f"/api/orders/{order['id']}/invoice", {})
    rows = await gateway.json("GET", "/api/papers?series=invoice", token=report)
    assert [row["name"] for row in rows] == ["F2026-000001", "F2026-000002"]
    page = await gateway.json("GET", "/api/papers?after_name=F2026-000001&limit=1", token=report)
    assert page == rows[1:]
    assert await gateway.json("GET", "/api/papers?series=credit_note", token=report) == []
    told = await gateway.json("GET", "/api/papers/F2026-000001?format=json", token=report)
    assert told["name"] == "F2026-000001" and told["client"]["name"] == "Ada Lovelace"
    assert (await pdf_at(gateway, "/api/papers/F2026-000002", report)).startswith(b"%PDF")
    for wrong in ("series=x", "after_name=1"):
        await gateway.json("GET", f"/api/papers?{wrong}", token=report, expect=422)
    await gateway.json("GET", "/api/papers/F2026-000009", token=report, expect=404)


# Settlements ---------------------------------------------------------------------------


async def test_a_settlement_as_json_csv_and_pdf(gateway: Running) -> None:
    report = await gateway.fake.operator_token("Rita", "report")
    ledger = gateway.fake.ledger
    for amount in (1_000, 2_050):
        ledger.add(Fact(FactKind.SALE, amount, "CHF", order=1, line=1, performance=1,
                        price_type="=adult", channel="web"))  # fmt: skip
    query = "/api/settlement?from=2026-11-20&to=2026-11-20"
    told = await gateway.json("GET", query, token=report)
    assert (told.get("name", ""), len(told["sums"])) == ("", 2)
    headers = {"Authorization": f"Bearer {report}"}
    async with gateway.http.get(f"{query}&format=csv", headers=headers) as response:
        assert (response.content_type, response.charset) == ("text/csv", "utf-8")
        lines = (await response.read()).decode("utf-8-sig").splitlines()
    assert lines[1].startswith("CHF,sale,") and lines[1].endswith(",1,10.00")
    assert ",'=adult," in lines[1], "no formula of somebody else's"
    shown = letters(await pdf_at(gateway, f"{query}&format=pdf&lang=fr", report))
    assert squeezed("Décompte provisoire") in shown and squeezed("30,50") in shown


async def test_a_settlement_is_issued_by_an_admin_of_closed_days(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    ledger = gateway.fake.ledger
    ledger.add(Fact(FactKind.SALE, 1_000, "CHF", order=1, line=1, performance=1, channel="web"))
    days = {"from_day": "2026-11-20", "to_day": "2026-11-20"}
    problem = await gateway.json("POST", "/api/settlements", days, admin, expect=409)
    assert problem["code"] == "period_open"
    await ledger.close(1, early=True)
    row = await gateway.json("POST", "/api/settlements", days, admin)
    assert (row["name"], row["total"], row["currency"]) == ("D2026-000001", 1_000, "CHF")
    assert await gateway.json("POST", "/api/settlements", days, admin) == row
    told = await gateway.json("GET", "/api/settlement?from=2026-11-20&to=2026-11-20", token=admin)
    assert told["name"] == row["name"]
    assert squeezed(row["name"]) in letters(
        await pdf_at(gateway, "/api/papers/D2026-000001", admin)
    )
    acts = [entry["act"] for entry in await gateway.json("GET", "/api/audit", token=admin)]
    assert acts[0] == "issue_settlement"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("to=2026-11-20", "from"),
        ("from=2026-11-20", "to"),
        ("from=2026-02-30&to=2026-11-20", "from"),
        ("from=2026-11-20&to=9999-12-31", "to"),
        ("from=2026-11-21&to=2026-11-20", "to"),
        ("from=2026-11-20&to=2026-11-21&format=xml", "format"),
        ("from=2026-11-20&to=2026-11-21&performance=x", "performance"),
    ],
)
async def test_a_wrong_period_is_named(gateway: Running, query: str, field: str) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    problem = await gateway.json("GET", f"/api/settlement?{query}", token=admin, expect=422)
    assert problem["field"] == field
