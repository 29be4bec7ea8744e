"""Tests here that need a store share the fixtures of the stores' tests."""

from tests.stores.conftest import shared_url, url

__all__ = ["shared_url", "url"]
