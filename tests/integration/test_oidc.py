"""Tokens of an identity provider of our own, on loopback, with keys made here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from kiosk.adapters import oidc
from kiosk.adapters.oidc import OidcProvider
from kiosk.authentication import Authentication, ClaimNames
from kiosk.callers import Scope
from kiosk.errors import TransientError, Unauthenticated

AUDIENCE = "kiosk"


@dataclass
class Issuer:
    """Publishes keys and signs with them."""

    url: str = ""
    issuer_said: str = ""
    published: list[dict[str, Any]] = field(default_factory=list)
    private: dict[str, Any] = field(default_factory=dict)
    fetches: int = 0

    def add(self, kid: str, *, kind: str = "rsa", **more: str) -> None:
        algorithm: Any = RSAAlgorithm if kind == "rsa" else ECAlgorithm
        key: Any = (
            rsa.generate_private_key(65537, 2048)
            if kind == "rsa"
            else ec.generate_private_key(ec.SECP256R1())
        )
        public = json.loads(algorithm.to_jwk(key.public_key()))
        self.private[kid] = key
        self.published.append({**public, "kid": kid, "use": "sig", **more})

    def token(self, kid: str = "one", algorithm: str = "RS256", **changes: Any) -> str:
        now = time.time()
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "exp": now + 60, "iat": now}
        claims = {k: v for k, v in {**claims, **changes}.items() if v is not None}
        return jwt.encode(claims, self.private[kid], algorithm=algorithm, headers={"kid": kid})


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    known = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body: dict[str, Any] = {"keys": known.published}
            if self.path == "/.well-known/openid-configuration":
                said = known.issuer_said or known.url
                body = {"issuer": said, "jwks_uri": f"{known.url}/keys"}
            else:
                known.fetches += 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.url = f"http://127.0.0.1:{server.server_port}"
    known.add("one")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield known
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def provider(issuer: Issuer) -> OidcProvider:
    return OidcProvider(issuer.url, AUDIENCE)


async def test_a_token_says_who(provider: OidcProvider, issuer: Issuer) -> None:
    claims = await provider.claims(issuer.token(email="alice@lab.example"))
    assert (claims["sub"], claims["email"]) == ("alice", "alice@lab.example")
    assert (await provider.claims(issuer.token(aud=["other", AUDIENCE])))["sub"] == "alice"
    assert issuer.fetches == 1


async def test_a_token_is_somebody(provider: OidcProvider, issuer: Issuer) -> None:
    names = ClaimNames(owner="email", admin="groups", admin_value="admins")
    door = Authentication(None, provider, names, required=True)
    token = issuer.token(email="alice@lab.example", groups=["staff"])
    caller = await door.caller(f"Bearer {token}")
    assert (caller.owner, caller.scopes) == ("alice@lab.example", {Scope.READ, Scope.WRITE})
    token = issuer.token(email="root@lab.example", groups=["staff", "admins"])
    assert (await door.caller(f"Bearer {token}")).is_admin
    head, body, signature = token.split(".")
    for text in (f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}", f"kiosk_{token}"):
        with pytest.raises(Unauthenticated):
            await door.caller(f"Bearer {text}")


async def test_other_algorithms(issuer: Issuer) -> None:
    issuer.add("curve", kind="ec")
    issuer.add("pss", alg="PS256")
    provider = OidcProvider(issuer.url, AUDIENCE, f"{issuer.url}/keys")
    assert (await provider.claims(issuer.token("curve", "ES256")))["sub"] == "alice"
    assert (await provider.claims(issuer.token("pss", "PS256")))["sub"] == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another program"},
        {"aud": None},
        {"aud": ["another", "program"]},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"exp": time.time() - 3600},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": time.time() + 3600},
        {"iat": time.time() + 3600},
    ],
    ids=str,
)
async def test_claims_that_are_wrong(
    provider: OidcProvider, issuer: Issuer, changes: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        await provider.claims(issuer.token(**changes))


async def test_algorithms_that_anybody_could_use(provider: OidcProvider, issuer: Issuer) -> None:
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "root", "exp": time.time() + 60}
    public = issuer.private["one"].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = [jwt.encode(claims, None, algorithm="none", headers={"kid": "one"})]
    # The public key taken for a shared secret, which PyJWT refuses to sign with.
    head, body, _ = jwt.encode(claims, "x" * 32, "HS256", {"kid": "one"}).split(".")
    for secret in (pem, pem.strip(), json.dumps(issuer.published[0]).encode()):
        digest = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        forged.append(f"{head}.{body}.{signature}")
    for token in forged:
        with pytest.raises(Unauthenticated):
            await provider.claims(token)


async def test_a_key_in_the_token_itself_counts_for_nothing(
    provider: OidcProvider, issuer: Issuer
) -> None:
    own = rsa.generate_private_key(65537, 2048)
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "root", "exp": time.time() + 60}
    jwk = json.loads(RSAAlgorithm.to_jwk(own.public_key()))
    for headers in ({"kid": "one", "jwk": jwk}, {"jwk": jwk}, {"kid": "one", "jku": "http://x/"}):
        with pytest.raises(Unauthenticated):
            await provider.claims(jwt.encode(claims, own, "RS256", headers))


@pytest.mark.parametrize("use", ["enc", "sig"])
async def test_keys_for_other_uses(issuer: Issuer, use: str) -> None:
    issuer.add("two", use=use)
    provider = OidcProvider(issuer.url, AUDIENCE)
    if use == "sig":
        assert await provider.claims(issuer.token("two"))
    else:
        with pytest.raises(Unauthenticated):
            await provider.claims(issuer.token("two"))


async def test_keys_that_change(
    provider: OidcProvider, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await provider.claims(issuer.token())
    issuer.published.clear()
    issuer.add("two")
    with pytest.raises(Unauthenticated):  # strangers cannot have us fetch the keys at will
        await provider.claims(issuer.token("two"))
    assert issuer.fetches == 1
    monkeypatch.setattr(oidc, "PAUSE_S", 0.0)
    assert (await provider.claims(issuer.token("two")))["sub"] == "alice"
    with pytest.raises(Unauthenticated):  # what is published no more counts no more
        await provider.claims(issuer.token("one"))


async def test_unknown_keys_do_not_hammer_the_provider(
    provider: OidcProvider, issuer: Issuer
) -> None:
    for number in range(20):
        issuer.private[f"unknown{number}"] = issuer.private["one"]
        with pytest.raises(Unauthenticated):
            await provider.claims(issuer.token(f"unknown{number}"))
    assert issuer.fetches == 1


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c", "....", "é.é.é", "A" * 7000, "\udcff"])
async def test_what_is_no_token(provider: OidcProvider, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await provider.claims(text)


async def test_a_discovery_document_of_somebody_else(issuer: Issuer) -> None:
    issuer.issuer_said = "https://elsewhere.example"
    with pytest.raises(TransientError):
        await OidcProvider(issuer.url, AUDIENCE).claims(issuer.token())


async def test_a_provider_that_is_away(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = OidcProvider(issuer.url, AUDIENCE)
    token = issuer.token()
    assert await provider.claims(token)
    away = OidcProvider(issuer.url, AUDIENCE, "http://127.0.0.1:1/keys")
    for _ in range(2):
        with pytest.raises(TransientError):
            await away.claims(token)
    # Keys that are known stay good while the provider is away.
    monkeypatch.setattr(oidc, "KEEP_S", 0.0)
    monkeypatch.setattr(oidc, "PAUSE_S", 0.0)
    monkeypatch.setattr(provider, "_jwks_url", "http://127.0.0.1:1/keys")
    assert await provider.claims(token)
