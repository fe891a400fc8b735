"""A desk, the address of its webhooks, and a fake Stripe at the other end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from aiohttp import web

from engine.actors import ActorFault
from engine.actors.desk import OrderDesk
from engine.actors.payments import StripeGateway
from engine.orders import Order, OrderState
from engine.payments import WebhookRejected
from tests.actors.desks import World, placed, request
from tests.fakes.stripe_server import FakeStripe


class Shop:
    """A desk, the address of its webhooks, and Stripe at the other end."""

    def __init__(self, world: World, server: FakeStripe, gateway: StripeGateway) -> None:
        self.world, self.server, self.gateway = world, server, gateway
        self.desk = world.desk(stripe=gateway)

    async def restart(self, kind: type[OrderDesk] = OrderDesk, **ports: object) -> OrderDesk:
        await self.desk.close()
        self.desk = self.world.desk(kind, **{"stripe": self.gateway} | ports)
        return self.desk

    async def order(self, *seats: int) -> Order:
        return placed(await self.desk.place(request(await self.world.hold(1, *seats or (0,)))))

    async def page(self, order: Order, attempt: str = "a") -> str:
        """Where the buyer was sent; the id of Stripe's session."""
        answer = await self.desk.pay(order.id, "stripe", attempt)
        assert isinstance(answer, tuple), answer
        assert answer[1].startswith(self.server.url)
        return answer[1].rpartition("/")[2]

    async def bought(self, *seats: int) -> tuple[Order, str]:
        """An order that was paid, and its session."""
        order = await self.order(*seats)
        session = await self.page(order)
        self.server.pay(session)
        await self.server.drained()
        return await self.until(order, OrderState.PAID), session

    async def until(self, order: Order, state: OrderState, *, finished: bool = False) -> Order:
        async with asyncio.timeout(20):
            while True:
                stored = await self.world.orders.get(order.id)
                assert stored is not None
                if stored.state is state and (stored.finished or not finished):
                    return stored
                await asyncio.sleep(0.002)

    def kept(self, session: str) -> int:
        """What Stripe says the house has of a session's money."""
        charge = self.server.charges[self.server.sessions[session]["payment_intent"]]
        return charge["amount_captured"] - charge["amount_refunded"]

    async def receive(self, http: web.Request) -> web.Response:
        try:
            await self.desk.webhook(await http.read(), http.headers.get("Stripe-Signature", ""))
        except WebhookRejected:
            return web.Response(status=400)
        except ActorFault:
            return web.Response(status=503)
        return web.Response()


S = TypeVar("S", bound=Shop)


@asynccontextmanager
async def shop_of(world: World, kind: type[S]) -> AsyncIterator[S]:
    """What nobody may ever see is not there in the end."""

    async def receive(http: web.Request) -> web.Response:
        return await shop.receive(http)

    app = web.Application()
    app.router.add_post("/webhook", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    async with FakeStripe(webhook_url=url, now_s=lambda: world.now_ms // 1_000) as server:
        gateway = StripeGateway(server.api_key, server.webhook_secret, server.url)
        shop = kind(world, server, gateway)
        yield shop
        await server.drained()
        assert await world.violations() == []
        await gateway.close()
    await runner.cleanup()
