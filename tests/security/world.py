"""A served house with one of everybody in it, for the tests of rights."""

from typing import Any, Final

from engine.commands import Channel
from engine.tills import OpenTill, TillRefused
from tests.fakes.backend import FakeBackend
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for
from tests.security.endpoints import OPERATORS, Endpoint

BAD_TOKENS: Final = ("o.x", "d.x", "b.x", "x", "o." + "A" * 43)


class World:
    """`tokens` by kind of person, and `names` that stand in paths."""

    def __init__(self, gateway: Running) -> None:
        self.gateway = gateway
        self.tokens: dict[str, str] = {"nobody": ""}
        self.names: dict[str, str] = {}

    async def fill(self) -> "World":
        gateway, fake = self.gateway, self.gateway.fake
        for role in OPERATORS:
            self.tokens[role] = await fake.operator_token(f"the {role}", role)
        self.tokens["device"] = await fake.device_token("the device")
        self.tokens["buyer"] = gateway.buyer_token()
        web, _ = await order_for(gateway, 5)
        await gateway.json("POST", "/api/orders", web, self.tokens["buyer"], expect=201)
        till, _ = await order_for(gateway, 25, token=self.tokens["cashier"])
        placed = await gateway.json("POST", "/api/orders", till, self.tokens["cashier"], expect=201)
        assert placed["channel"] == Channel.BOX_OFFICE
        shift = OpenTill("e" * 32, "Till 9", "EUR", 0, "somebody else")
        assert not isinstance(await fake.tills.open(shift, 1), TillRefused)
        (plan,) = await fake.catalogue.list_plans()
        self.names = {
            "performance": "1",
            "order": web["id"],
            "till_order": till["id"],
            "hash": plan.hash,
            "language": "en",
            "name": "nothing.js",
            "operator": "99",
            "period": "1",
            "device": "99",
            "mail": "99",
            "code": "0" * 16,
            "till": "e" * 32,
            "reader": "tmr_1",
            "paper": "F2026-000001",
        }
        return self

    def path(self, endpoint: Endpoint) -> str:
        names = self.names | {name: as_.format(**self.names) for name, as_ in endpoint.fill}
        return endpoint.path.format(**names) + (f"?{endpoint.query}" if endpoint.query else "")

    async def ask(self, endpoint: Endpoint, token: str) -> tuple[int, Any]:
        """Status and problem code ("" where there is none) of a request with this token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        http = self.gateway.http.request(
            endpoint.method, self.path(endpoint), json=endpoint.body, headers=headers
        )
        async with http as response:
            is_problem = response.content_type == "application/problem+json"
            await response.read()  # to its end, so that nothing of it goes on afterwards
            return response.status, (await response.json(content_type=None))["code"] if (
                is_problem
            ) else ""

    def fingerprint(self) -> object:
        """What a request that is turned away must not have changed."""
        fake: FakeBackend = self.gateway.fake
        access, catalogue = fake.access, fake.catalogue
        return (
            list(access.operators),
            dict(access.devices),
            set(access.sessions),
            dict(catalogue.plans),
            dict(catalogue.productions),
            {number: entry.settings for number, entry in catalogue.performances.items()},
            catalogue.the_house,
            dict(fake.desk.orders.by_id),
            dict(fake.mails.rows),
            dict(fake.papers.kept),
            dict(fake.tills.sessions),
            {session: tuple(entries) for session, entries in fake.tills.entries.items()},
            fake.performances.live[1].feed.seq,
        )
