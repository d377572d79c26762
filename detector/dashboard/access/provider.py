"""OpenID Connect: Authorization Code with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9207).

The browser is sent to the provider with a state, a nonce and the hash of a verifier; it comes back with a code, which
is redeemed together with the verifier. Of the ID token the signature, issuer, audience, times and nonce are checked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from detector.dashboard_settings import ROLES, OidcSettings, Role
from detector.errors import QuerywardenError, SettingsError

T = TypeVar("T")
TIMEOUT_S = 10.0
FRESH_S = 3_600.0  # for which what the provider says of itself is kept
CLOCKS_S = 60  # that the provider's clock may be off
# Never `none`, and never a shared secret, which could be the public key of a signature that was meant.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class ProviderAway(QuerywardenError):
    """It does not answer, or not as a provider does: try again later."""


class ProviderRefused(QuerywardenError):
    """It, or what it sent, does not let him in. who: whom it named, if it did."""

    def __init__(self, message: str, who: str = "") -> None:
        super().__init__(message)
        self.who = who


class Begun(NamedTuple):
    """What the browser is sent to, and what must be remembered until it is back."""

    url: str
    state: str
    nonce: str
    verifier: str


class Claimed(NamedTuple):
    """subject: the provider's id of a person, for ever the same; name: for people."""

    subject: str
    name: str
    role: Role


class Metadata(msgspec.Struct, frozen=True):
    """OpenID Connect Discovery 1.0, 3: the part that we need."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Tokens(msgspec.Struct, frozen=True):
    """What a code was redeemed for."""

    id_token: str
    access_token: str = ""


class Jwks(msgspec.Struct, frozen=True):
    keys: tuple[dict[str, Any], ...]


class Provider:
    """monotonic: seconds. Raises SettingsError for settings by which nobody, or anybody, could log in."""

    def __init__(
        self,
        settings: OidcSettings,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        client: httpx.Client | None = None,
    ) -> None:
        check(settings)
        self._settings = settings
        self._secret = settings.client_secret.reveal() if settings.client_secret else None
        self._now = now
        self._monotonic = monotonic
        self._client = client or httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
        self._lock = threading.Lock()
        self._metadata: Metadata | None = None
        self._keys: KeySet | None = None
        self._fresh_until = 0.0

    def begin(self, redirect_uri: str) -> Begun:
        metadata = self._known()[0]
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        joined = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return Begun(metadata.authorization_endpoint + joined + urlencode(asked), state, nonce, verifier)

    def finish(self, redirect_uri: str, answer: Mapping[str, str], begun: Begun) -> Claimed:
        """answer: the parameters with which the browser came back. Raises ProviderRefused, ProviderAway."""
        metadata = self._known()[0]
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise ProviderRefused("the answer is not to what this browser asked")
        issuer = answer.get("iss", None if metadata.authorization_response_iss_parameter_supported else metadata.issuer)
        if issuer != metadata.issuer:
            raise ProviderRefused("the answer is of another provider")
        if "error" in answer:
            raise ProviderRefused(f"the provider said: {answer['error'][:100]}")
        tokens = self._redeemed(metadata, redirect_uri, answer.get("code", ""), begun.verifier)
        claims = self._checked(tokens.id_token, begun.nonce)
        return self._claimed(claims, tokens, metadata)

    def close(self) -> None:
        self._client.close()

    # -- steps

    def _redeemed(self, metadata: Metadata, redirect_uri: str, code: str, verifier: str) -> Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        auth: httpx.Auth = httpx.Auth()  # none
        if self._secret is None:
            form["client_id"] = self._settings.client_id
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749, 2.3.1: both are form-encoded first
            auth = httpx.BasicAuth(_form(self._settings.client_id), _form(self._secret))
        else:
            form |= {"client_id": self._settings.client_id, "client_secret": self._secret}
        with _explained("redeem the code"):
            answer = self._client.post(metadata.token_endpoint, data=form, auth=auth)
        if 400 <= answer.status_code < 500:
            raise ProviderRefused(f"the provider does not take the code ({answer.status_code}: {_error_of(answer)})")
        return _read(answer, Tokens, "redeem the code")

    def _checked(self, id_token: str, nonce: str) -> dict[str, Any]:
        metadata, keys = self._known()
        try:
            try:
                token = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
            except InvalidKeyIdError:  # a key of a new kid: providers change them
                token = jwt.decode(id_token, self._known(anew=True)[1], algorithms=ALGORITHMS)
            rules = jwt.JWTClaimsRegistry(
                lambda: int(self._now()),
                leeway=CLOCKS_S,
                iss={"essential": True, "value": metadata.issuer},
                aud={"essential": True, "value": self._settings.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            rules.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise ProviderRefused(f"the provider's ID token does not hold: {error}") from error
        claims: dict[str, Any] = token.claims
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise ProviderRefused("the provider's ID token is for another client")
        return claims

    def _claimed(self, claims: dict[str, Any], tokens: Tokens, metadata: Metadata) -> Claimed:
        subject = str(claims["sub"])
        if not values_at(claims, self._settings.roles_claim) and metadata.userinfo_endpoint and tokens.access_token:
            claims = {**self._userinfo(metadata.userinfo_endpoint, tokens.access_token, subject), **claims}
        name = next((str(claims[key]) for key in ("preferred_username", "email", "name") if claims.get(key)), subject)
        held = {self._settings.roles.get(value) for value in values_at(claims, self._settings.roles_claim)}
        role = next((role for role in reversed(ROLES) if role in held), None)
        if role is None:
            raise ProviderRefused(f"{self._settings.roles_claim} holds no value that dashboard.oidc.roles knows", name)
        return Claimed(subject, name[:200], role)

    def _userinfo(self, url: str, access_token: str, subject: str) -> dict[str, Any]:
        with _explained("answer at its userinfo endpoint"):
            answer = self._client.get(url, headers={"Authorization": f"Bearer {access_token}"})
        told = _read(answer, dict[str, Any], "answer at its userinfo endpoint")
        if told.get("sub") != subject:
            raise ProviderRefused("the provider's userinfo is of another person")
        return told

    def _known(self, *, anew: bool = False) -> tuple[Metadata, KeySet]:
        """What the provider says of itself, and its keys."""
        with self._lock:
            if anew or self._metadata is None or self._keys is None or self._monotonic() >= self._fresh_until:
                self._metadata = self._discovered()
                with _explained("give its keys"):
                    answer = self._client.get(self._metadata.jwks_uri)
                self._keys = _keys(_read(answer, Jwks, "give its keys"))
                self._fresh_until = self._monotonic() + FRESH_S
            return self._metadata, self._keys

    def _discovered(self) -> Metadata:
        url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        with _explained(f"answer at {url}"):
            answer = self._client.get(url)
        metadata = _read(answer, Metadata, f"answer at {url}")
        if metadata.issuer != self._settings.issuer:
            raise ProviderAway(
                f"dashboard.oidc.issuer is {self._settings.issuer}, and the provider calls itself {metadata.issuer}"
            )
        ends = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri)
        if self._settings.issuer.startswith("https:") and not all(end.startswith("https:") for end in ends):
            raise ProviderAway("the provider names addresses without https")
        return metadata


def check(settings: OidcSettings) -> None:
    """Raises SettingsError."""
    if urlsplit(settings.issuer).scheme != "https" and urlsplit(settings.issuer).hostname not in _HERE:
        raise SettingsError("dashboard.oidc.issuer: https is needed, but on this machine")
    if not settings.roles:
        raise SettingsError(
            'dashboard.oidc.roles: it is empty, so that nobody could log in; such as { staff = "viewer" }'
        )
    if "openid" not in settings.scopes:
        raise SettingsError("dashboard.oidc.scopes: openid must be among them")


def challenge(verifier: str) -> str:
    """S256 (RFC 7636, appendix B).

    >>> challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def values_at(claims: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """The values of a claim: of that very name, or where its dots lead.

    >>> values_at({"realm_access": {"roles": ["soc"]}}, "realm_access.roles")
    ('soc',)
    """
    found: Any = claims.get(claim)
    if found is None:
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, str):
        return (found,)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


class _explained:  # noqa: N801  # reads as a word where it is used
    """Errors of the way to the provider, as ProviderAway."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (httpx.HTTPError, httpx.InvalidURL)):
            raise ProviderAway(f"the provider did not {self._what}: {error}") from error


def _keys(found: Jwks) -> KeySet:
    """Those that sign, of kinds that we know: one that we do not know must not hide the others."""
    signing = [key for key in found.keys if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"]
    try:
        return KeySet.import_key_set({"keys": signing})
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise ProviderAway(f"the provider's keys cannot be read: {error}") from error


def _read(answer: httpx.Response, type_: type[T], what: str) -> T:
    if answer.status_code != 200:
        raise ProviderAway(f"the provider did not {what}: {answer.status_code}")
    try:
        return msgspec.json.decode(answer.content, type=type_)
    except msgspec.DecodeError as error:
        raise ProviderAway(f"the provider did not {what}: {error}") from error


def _error_of(answer: httpx.Response) -> str:
    """RFC 6749, 5.2: a word of ASCII."""
    try:
        found = msgspec.json.decode(answer.content, type=dict[str, Any]).get("error", "")
    except msgspec.DecodeError:
        return ""
    return str(found)[:100]


def _form(text: str) -> str:
    return urlencode({"": text})[1:]


_HERE = ("localhost", "127.0.0.1", "::1")
