"""The running gateway of tests/gateway, over a backend in memory."""

from tests.gateway.conftest import gateway, start

__all__ = ["gateway", "start"]
