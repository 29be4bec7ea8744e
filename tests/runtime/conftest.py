"""Tests here that need a store share the fixtures of the stores' tests."""

from tests.stores.conftest import server, shared_url

__all__ = ["server", "shared_url"]
