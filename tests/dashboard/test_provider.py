"""The way to an OIDC provider and back: with one that answers what a test wants it to, and with a real one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from detector.dashboard.access.provider import Claimed, Provider, ProviderAway, ProviderRefused, challenge, check
from detector.dashboard_settings import OidcSettings
from detector.errors import SettingsError
from detector.secret import Secret
from tests.dashboard.conftest import Clock, Make, Scene
from tests.servers import oidc

ISSUER = "http://127.0.0.1:9"
BACK = "http://127.0.0.1:9465/oidc/callback"
KEY = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
OTHER = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
SETTINGS = OidcSettings(
    issuer=ISSUER, client_id="querywarden", roles={"soc": "viewer", "soc-leads": "admin"}, roles_claim="groups"
)


class Fake:
    """A provider: what it says of itself, its keys, and the ID token that it gives next."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.key: Any = KEY
        self.published: list[Any] = [KEY]
        self.alg = "RS256"
        self.claims: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.status = 200
        self.forms: list[dict[str, list[str]]] = []
        self.authorization = ""
        self.nonce = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx.Response(self.status, json=self._metadata())
            case "/keys":
                return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.published]})
            case "/userinfo":
                return httpx.Response(200, json=self.userinfo)
            case "/token":
                self.forms.append(parse_qs(request.content.decode()))
                self.authorization = request.headers.get("Authorization", "")
                return httpx.Response(200, json={"id_token": self._token(), "access_token": "a"})
        return httpx.Response(404)

    def _metadata(self) -> dict[str, Any]:
        ends = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
        usual = {"issuer": ISSUER, **{name: f"{ISSUER}/{end}" for name, end in ends.items()}}
        return {**usual, **self.metadata}

    def _token(self) -> str:
        now = int(self.clock())
        usual = {
            "iss": ISSUER, "aud": "querywarden", "sub": "8f3a", "iat": now, "exp": now + 60, "nonce": self.nonce,
            "preferred_username": "anna", "groups": ["soc"],
        }  # fmt: skip
        claims = {name: value for name, value in {**usual, **self.claims}.items() if value is not None}
        return jwt.encode({"alg": self.alg, "kid": "one"}, claims, self.key)


@pytest.fixture
def fake() -> Fake:
    return Fake(Clock())


def provider(fake: Fake, **changed: Any) -> Provider:
    client = httpx.Client(transport=httpx.MockTransport(fake))
    return Provider(msgspec.structs.replace(SETTINGS, **changed), fake.clock, fake.clock, client)


def logged_in(fake: Fake, found: Provider | None = None, **answer: str) -> Claimed:
    found = found or provider(fake)
    begun = found.begin(BACK)
    fake.nonce = fake.nonce or begun.nonce
    return found.finish(BACK, {"state": begun.state, "code": "c0de", **answer}, begun)


def test_the_browser_is_sent_with_state_nonce_and_the_hash_of_a_verifier(fake: Fake) -> None:
    begun = provider(fake).begin(BACK)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    assert asked == {
        "response_type": "code",
        "client_id": "querywarden",
        "redirect_uri": BACK,
        "scope": "openid profile email",
        "state": begun.state,
        "nonce": begun.nonce,
        "code_challenge": challenge(begun.verifier),
        "code_challenge_method": "S256",
    }
    assert len({begun.state, begun.nonce, begun.verifier}) == 3


def test_who_comes_back_is_let_in_with_the_highest_of_his_roles(fake: Fake) -> None:
    assert logged_in(fake) == Claimed("8f3a", "anna", "viewer")
    fake.nonce, fake.claims = "", {"groups": ["others", "soc", "soc-leads"]}
    assert logged_in(fake) == Claimed("8f3a", "anna", "admin")


def test_the_code_is_redeemed_with_the_verifier_and_our_secret(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S", "p:w d")
    logged_in(fake, provider(fake, client_secret=Secret(env="S")))
    assert set(fake.forms[0]) == {"grant_type", "code", "redirect_uri", "code_verifier"}
    assert base64.b64decode(fake.authorization.removeprefix("Basic ")) == b"querywarden:p%3Aw+d"


def test_a_public_client_names_itself(fake: Fake) -> None:
    logged_in(fake)
    assert (fake.forms[0]["client_id"], fake.authorization) == (["querywarden"], "")


BAD: dict[str, Callable[[Fake], object]] = {
    "of another key": lambda fake: setattr(fake, "key", OTHER),
    "of another issuer": lambda fake: fake.claims.update(iss="http://127.0.0.1:8"),
    "for another client": lambda fake: fake.claims.update(aud="other"),
    "handed on by another client": lambda fake: fake.claims.update(aud=["querywarden", "x"], azp="x"),
    "expired": lambda fake: fake.claims.update(exp=int(fake.clock()) - 61),
    "of later": lambda fake: fake.claims.update(iat=int(fake.clock()) + 61),
    "of another login": lambda fake: setattr(fake, "nonce", "another"),
    "without nonce": lambda fake: fake.claims.update(nonce=None),
    "without subject": lambda fake: fake.claims.update(sub=None),
    "without expiry": lambda fake: fake.claims.update(exp=None),
}


@pytest.mark.parametrize("why", BAD)
def test_an_id_token_that_does_not_hold_lets_nobody_in(fake: Fake, why: str) -> None:
    BAD[why](fake)
    with pytest.raises(ProviderRefused):
        logged_in(fake)


def test_a_token_signed_with_a_shared_secret_lets_nobody_in(fake: Fake) -> None:
    fake.key, fake.alg = OctKey.generate_key(256, {"kid": "one"}), "HS256"
    fake.published = [fake.key, KEY]
    with pytest.raises(ProviderRefused):
        logged_in(fake)


def test_an_unsigned_token_lets_nobody_in(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').rstrip(b"=").decode()
    body = fake._token().split(".")[1]
    monkeypatch.setattr(fake, "_token", lambda: f"{head}.{body}.")
    with pytest.raises(ProviderRefused):
        logged_in(fake)


def test_an_answer_to_another_browser_lets_nobody_in(fake: Fake) -> None:
    with pytest.raises(ProviderRefused, match="this browser"):
        logged_in(fake, state="another")


def test_an_answer_of_another_provider_lets_nobody_in(fake: Fake) -> None:
    with pytest.raises(ProviderRefused, match="another provider"):
        logged_in(fake, iss="http://127.0.0.1:8")
    fake.metadata = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(ProviderRefused, match="another provider"):
        logged_in(fake)


def test_who_has_no_role_here_is_refused_by_name(fake: Fake) -> None:
    fake.claims = {"groups": ["canteen"]}
    with pytest.raises(ProviderRefused) as raised:
        logged_in(fake)
    assert raised.value.who == "anna"


def test_roles_may_come_from_userinfo_of_the_same_person(fake: Fake) -> None:
    fake.claims = {"groups": None}
    fake.metadata = {"userinfo_endpoint": f"{ISSUER}/userinfo"}
    fake.userinfo = {"sub": "8f3a", "groups": ["soc-leads"]}
    assert logged_in(fake).role == "admin"
    fake.userinfo["sub"], fake.nonce = "another", ""
    with pytest.raises(ProviderRefused, match="another person"):
        logged_in(fake)


def test_a_new_key_of_the_provider_is_fetched(fake: Fake) -> None:
    found = provider(fake)
    logged_in(fake, found)
    new = ECKey.generate_key("P-256", {"kid": "two"}, private=True)
    fake.published, fake.nonce = [new], ""
    fake.key, fake.alg = new, "ES256"
    fake_token = fake._token
    fake._token = lambda: fake_token()  # type: ignore[method-assign]
    with pytest.raises(ProviderRefused):  # its header still names the key of before
        logged_in(fake, found)
    fake._token = lambda: jwt.encode(  # type: ignore[method-assign]
        {"alg": "ES256", "kid": "two"}, jwt.decode(fake_token(), new).claims, new
    )
    fake.nonce = ""
    assert logged_in(fake, found).name == "anna"


def test_a_key_of_a_kind_that_we_do_not_know_hides_no_other(fake: Fake) -> None:
    fake.published = [OctKey.generate_key(256), KEY]
    assert logged_in(fake).name == "anna"


@pytest.mark.parametrize(
    "changed", [{"status": 500}, {"metadata": {"issuer": "http://127.0.0.1:8"}}, {"metadata": {"jwks_uri": 5}}]
)
def test_a_provider_that_does_not_answer_as_one_is_away(fake: Fake, changed: dict[str, Any]) -> None:
    for name, value in changed.items():
        setattr(fake, name, value)
    with pytest.raises(ProviderAway):
        provider(fake).begin(BACK)


def test_a_provider_that_cannot_be_reached_is_away() -> None:
    clock = Clock()
    with pytest.raises(ProviderAway):
        Provider(msgspec.structs.replace(SETTINGS, issuer="http://127.0.0.1:1"), clock, clock).begin(BACK)


@pytest.mark.parametrize(
    "changed", [{"issuer": "http://idp.example"}, {"roles": {}}, {"scopes": ("email",)}]
)  # fmt: skip
def test_settings_by_which_nobody_or_anybody_could_log_in_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=rf"dashboard\.oidc\.{next(iter(changed))}"):
        check(msgspec.structs.replace(SETTINGS, **changed))


# -- over HTTP


def through(scene: Scene, fake: Fake) -> Any:
    """The dashboard's way to the fake provider, as a browser goes it; what the last answer of ours was."""
    found = provider(fake)
    object.__setattr__(scene.house, "provider", found)
    sent = scene.anybody.get("/oidc/login", follow_redirects=False)
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    fake.nonce = asked["nonce"][0]
    answer = {"state": asked["state"][0], "code": "c0de"}
    return scene.anybody.get("/oidc/callback", params=answer, follow_redirects=False)


def test_a_person_goes_there_and_comes_back_logged_in(scene: Scene) -> None:
    back = through(scene, Fake(scene.clock))
    assert (back.status_code, back.headers["location"]) == (303, "/")
    session = scene.anybody.look("/session").json()
    assert (session["user"], session["role"]) == ("anna", "viewer")
    assert scene.audited() == ["login"]


def test_the_cookie_of_the_way_there_is_for_that_way_alone(scene: Scene) -> None:
    object.__setattr__(scene.house, "provider", provider(Fake(scene.clock)))
    cookie = scene.anybody.get("/oidc/login", follow_redirects=False).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert scene.anybody.look("/session").status_code == 401


def test_a_callback_is_answered_once_and_to_that_browser(scene: Scene) -> None:
    back = through(scene, Fake(scene.clock))
    again = str(back.request.url)
    for browser in (scene.anybody, scene.new()):
        assert browser.get(again, follow_redirects=False).headers["location"] == "/?login=failed"


def test_who_is_refused_is_told_so_and_written_down(scene: Scene) -> None:
    fake = Fake(scene.clock)
    fake.claims = {"groups": []}
    assert through(scene, fake).headers["location"] == "/?login=refused"
    assert scene.anybody.look("/session").status_code == 401
    assert scene.audited() == ["login.failed"]


def test_a_provider_that_is_away_leaves_the_account(scene: Scene) -> None:
    assert scene.anybody.get("/oidc/login", follow_redirects=False).headers["location"] == "/?login=away"


def test_without_a_provider_there_is_no_way_there(make: Make) -> None:
    assert make(oidc=None).anybody.get("/oidc/login").status_code == 404


# -- a real one


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    with oidc.oidc_provider(BACK) as issuer:
        yield issuer


@pytest.fixture
def with_real(make: Make, real: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("OIDC_SECRET", oidc.CLIENT_SECRET)
    return make(oidc=msgspec.structs.replace(SETTINGS, issuer=real, client_secret=Secret(env="OIDC_SECRET")), real=True)


@pytest.mark.server
@pytest.mark.parametrize(("account", "role"), [("anna.soc", "viewer"), ("bob.soc.soc-leads", "admin")])
def test_a_certified_provider_lets_in_whom_it_knows(with_real: Scene, account: str, role: str) -> None:
    browser = with_real.anybody
    there = browser.get("/oidc/login", follow_redirects=False).headers["location"]
    back = browser.get(oidc.logged_in(there, account), follow_redirects=False)
    assert back.headers["location"] == "/"
    session = browser.look("/session").json()
    assert (session["user"], session["role"]) == (account.split(".")[0], role)
    entry = with_real.browser("viewer").look("/audit").json()["items"][-1]
    assert (entry["what"], entry["who"]) == ("login", f"{session['user']} [oidc:{account}]")


@pytest.mark.server
def test_a_certified_provider_lets_nobody_in_who_has_no_role(with_real: Scene) -> None:
    browser = with_real.anybody
    there = browser.get("/oidc/login", follow_redirects=False).headers["location"]
    back = browser.get(oidc.logged_in(there, "carl.canteen"), follow_redirects=False)
    assert back.headers["location"] == "/?login=refused"
    assert browser.look("/session").status_code == 401


@pytest.mark.server
def test_a_certified_provider_takes_no_code_without_its_verifier(with_real: Scene, real: str) -> None:
    """What was stolen on the way back is worth nothing to whoever began another login."""
    victim, thief = with_real.anybody, with_real.new()
    there = victim.get("/oidc/login", follow_redirects=False).headers["location"]
    stolen = parse_qs(urlsplit(oidc.logged_in(there, "anna.soc")).query)["code"][0]
    own = parse_qs(urlsplit(thief.get("/oidc/login", follow_redirects=False).headers["location"]).query)["state"][0]
    answer = thief.get("/oidc/callback", params={"code": stolen, "state": own, "iss": real}, follow_redirects=False)
    assert answer.headers["location"] == "/?login=failed"
    assert thief.look("/session").status_code == 401
