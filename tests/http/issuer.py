"""An issuer of tokens, as a real HTTP server."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.http.conftest import ANA

AUDIENCE = "bookings"


class Issuer:
    """An issuer of tokens: a real HTTP server with its discovery document and its keys."""

    def __init__(self) -> None:
        self.keys = {"k1": rsa.generate_private_key(65537, 2048)}
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/.well-known/openid-configuration":
                    body: Any = {"jwks_uri": f"{issuer.url}/keys"}
                else:
                    issuer.asked += 1
                    body = {"keys": [issuer.public(name) for name in issuer.keys]}
                raw = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def public(self, name: str) -> dict[str, Any]:
        key = self.keys[name].public_key()
        found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
        return {**found, "kid": name, "use": "sig", "alg": "RS256"}

    def token(self, *, key: Any = None, kid: str | None = "k1", algorithm: str = "RS256", **changes: Any) -> str:
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": ANA, "scope": "bookings:read bookings:write"}
        claims |= {"iat": int(time.time()), "exp": int(time.time()) + 300, **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": kid} if kid is not None else {}
        return jwt.encode(claims, key or self.keys[kid or "k1"], algorithm=algorithm, headers=headers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
