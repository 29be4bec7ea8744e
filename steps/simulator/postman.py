"""Sends the webhooks that are due, one after the other."""

from __future__ import annotations

import http.client
import logging
from threading import Lock
from urllib.parse import urlsplit

from steps.simulator.mailbox import Envelope
from steps.simulator.simulation import Simulation

_log = logging.getLogger(__name__)


class Postman:
    """Carries envelopes from the simulation's mailbox to the webhook address.

    What is not taken with 2xx goes back. Thread-safe.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._round = Lock()
        self.delivered = 0

    def deliver_due(self) -> None:
        """Send all that is due now; when it returns nothing due is left, whoever sent it."""
        with self._round:
            while due := self._simulation.take_due_webhooks():
                for envelope, now in due:
                    if self._send(envelope, now):
                        self.delivered += 1
                    else:
                        self._simulation.webhook_failed(envelope)

    def _send(self, envelope: Envelope, now: float) -> bool:
        target = self._simulation.plan.webhook
        headers, body = envelope.headers_and_body(target.secret, now)
        parts = urlsplit(target.url or "")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=target.timeout_s)
        try:
            connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            _log.info("webhook %s attempt %d: %s", envelope.webhook_id, envelope.attempt, type(error).__name__)
            return False
        finally:
            connection.close()
        _log.info("webhook %s attempt %d: %d", envelope.webhook_id, envelope.attempt, status)
        return 200 <= status < 300
