"""A server with a certificate: who believes it, who does not, and what is told of one that cannot be used."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
import trustme

from tests.processes.processes import House, Serving
from tests.processes.terminal import Terminal
from tests.processes.test_bad_input import refused_by_both

pytestmark = pytest.mark.xdist_group("tls")


class Papers:
    """A certificate with its key, and who signed it."""

    def __init__(self, folder: Path, name: str, *names: str, expires: datetime | None = None) -> None:
        folder.mkdir(exist_ok=True)
        ca = trustme.CA()
        issued = ca.issue_cert(*names, not_after=expires)
        self.ca, self.certificate, self.key = (
            folder / f"{name}.{kind}.pem" for kind in ("ca", "certificate", "key")
        )
        ca.cert_pem.write_to_path(str(self.ca))
        # as those are given out: one's own, and behind it that of who signed it
        chain = [*issued.cert_chain_pems, ca.cert_pem]
        self.certificate.write_bytes(b"".join(each.bytes() for each in chain))
        issued.private_key_pem.write_to_path(str(self.key))
        self.key.chmod(0o600)

    def settings(self) -> str:
        return f'[server]\ntls_certificate = "{self.certificate}"\ntls_key = "{self.key}"\n'


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"), "ours", "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def secured(
    papers: Papers, tmp_path_factory: pytest.TempPathFactory, _upstream_server: object
) -> Iterator[Serving]:
    house = House(tmp_path_factory.mktemp("house"), _upstream_server.base_url)  # type: ignore[attr-defined]
    house.settings(papers.settings())
    with house.serve() as serving:
        yield serving


def read(serving: Serving, *arguments: str, house: House | None = None) -> None:
    """A view is had, whole."""
    done = (house or serving.house).run("view", *arguments)
    assert (done.code, done.stderr) == (0, ""), done
    assert msgspec.json.decode(done.stdout)["epoch"]


def test_the_address_is_https_everywhere(secured: Serving) -> None:
    assert secured.url.startswith("https://127.0.0.1:")
    assert json.loads((secured.house.data / "maitred.lock").read_text())["url"] == secured.url


def test_the_commands_of_this_machine_need_nothing(secured: Serving) -> None:
    port = secured.port
    for address in ([], [secured.url], [f"127.0.0.1:{port}"], [f"https://localhost:{port}"]):
        read(secured, *address)
    assert secured.house.run("do", "resume", "all").code == 0


def test_clients_talk_through_it(secured: Serving, papers: Papers) -> None:
    trust = ssl.create_default_context(cafile=papers.ca)
    body = {"model": "count-3", "messages": [{"role": "user", "content": "x"}], "stream": True}
    with httpx.Client(base_url=secured.url, verify=trust, trust_env=False) as http:
        page = {"origin": secured.url}
        assert http.get("/healthz", headers=page).status_code == 200
        assert http.get("/healthz", headers={"origin": f"http://127.0.0.1:{secured.port}"}).status_code == 403
        assert "[DONE]" in http.post("/v1/chat/completions", json=body).text


def test_plain_http_and_old_versions_get_nothing(secured: Serving, papers: Papers) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{secured.port}/healthz", trust_env=False)
    done = secured.house.run("view", f"http://127.0.0.1:{secured.port}")
    assert (done.code, done.stdout) == (3, "")
    assert "https://" in done.stderr
    old = ssl.create_default_context(cafile=papers.ca)
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLS"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", secured.port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")


def test_elsewhere_its_signer_must_be_believed(secured: Serving, papers: Papers, tmp_path: Path) -> None:
    """Another user's home on the same machine stands for elsewhere."""
    stranger = House(tmp_path, "http://127.0.0.1:1/v1")
    token = tmp_path / "token"
    token.write_text(secured.house.token())
    token.chmod(0o600)
    way = ["--token-file", str(token)]
    read(secured, secured.url, "--ca", str(papers.ca), *way, house=stranger)
    for trust in ([], ["--ca", str(Papers(tmp_path / "papers", "other", "localhost").ca)]):
        done = stranger.run("view", secured.url, *trust, *way)
        assert (done.code, done.stdout) == (3, "")
        assert "is not believed" in done.stderr
        assert "--ca" in done.stderr
    done = stranger.run("view", f"https://127.0.0.2:{secured.port}", "--ca", str(papers.ca), *way)
    assert done.code == 3, "the name must be right, too"
    stranger.run("view", secured.url, "--ca", str(tmp_path / "none.pem")).refused("none.pem", "No such file")
    stranger.run("view", secured.url, "--ca", str(token)).refused(str(token), "PEM")
    done = stranger.run("view", f"http://127.0.0.1:{secured.port}", "--ca", str(papers.ca))
    assert (done.code, "https://" in done.stderr) == (2, True)


@pytest.mark.parametrize("signed_by", ["another", "the same"])
def test_nobody_else_is_taken_for_the_local_core(
    secured: Serving, papers: Papers, tmp_path: Path, signed_by: str
) -> None:
    """Whoever took the port of a core that is gone is shown no token, whoever vouches for them."""
    house = House(tmp_path / "home", "http://127.0.0.1:1/v1")
    for folder in (house.data, house.state):
        folder.mkdir(parents=True)
    (house.state / "token").write_text("mtr_secret")
    known = Papers(tmp_path / "papers", "known", "127.0.0.1")
    if signed_by == "the same":
        # what stands behind one's own certificate is no certificate of ours
        chain = known.certificate.read_text() + papers.ca.read_text()
        known.certificate.write_text(chain)
    note = {"pid": 1, "url": secured.url, "certificate": str(known.certificate)}
    (house.data / "maitred.lock").write_text(json.dumps(note))
    done = house.run("view")
    assert (done.code, done.stdout) == (3, "")
    assert "is not believed" in done.stderr
    assert "secret" not in done.stderr


# ------------------------------------------------------------------------------------ what cannot be used


def wrong_papers(papers: Papers, folder: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    other = Papers(folder, "other", "localhost")
    nonsense = folder / "nonsense.pem"
    nonsense.write_text("nonsense")
    broken = folder / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    certificate, good_key = str(papers.certificate), str(papers.key)

    def both(certificate: object, key: object) -> str:
        return f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'

    return {
        "no key": (f'[server]\ntls_certificate = "{certificate}"\n', ("server.tls_key", "needs")),
        "no certificate": (f'[server]\ntls_key = "{good_key}"\n', ("server.tls_certificate", "needs")),
        "half a path": (both("cert.pem", good_key), ("server.tls_certificate", "cert.pem", "whole path")),
        "not there": (
            both(folder / "no.pem", good_key),
            ("server.tls_certificate", "no.pem", "No such file"),
        ),
        "key not there": (both(certificate, folder / "no.pem"), ("server.tls_key", "no.pem", "No such file")),
        "a folder": (both(folder, good_key), ("server.tls_certificate", str(folder), "cannot be read")),
        "nonsense": (both(nonsense, good_key), ("server.tls_certificate", "nonsense.pem", "holds no cert")),
        "nonsense key": (both(certificate, nonsense), ("server.tls_key", "nonsense.pem", "holds no private")),
        "swapped": (both(good_key, certificate), ("server.tls_certificate", good_key, "holds no cert")),
        "broken": (both(broken, good_key), ("server.tls_certificate", "broken.pem", "cannot be used")),
        "another's key": (
            both(certificate, other.key),
            ("server.tls_key", str(other.key), "does not belong"),
        ),
    }


WRONG = (
    "no key|no certificate|half a path|not there|key not there|a folder|nonsense|nonsense key|swapped|broken|"
    "another's key"
).split("|")


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_is_named(house: House, papers: Papers, tmp_path: Path, case: str) -> None:
    cases = wrong_papers(papers, tmp_path / "wrong")
    assert list(cases) == WRONG
    text, said = cases[case]
    house.settings(text)
    house.run("serve", "--port", "0").refused(*said)
    assert not house.data.exists(), "nothing was made"
    done = house.run("doctor", "--json", env={"PYTHONIOENCODING": "utf-8"})
    assert done.code == 1
    wrong = [check["said"] for check in json.loads(done.stdout)["checks"] if check["verdict"] == "wrong"]
    assert any(all(part in each for part in said) for each in wrong), wrong


def test_the_console_refuses_alike(house: House, papers: Papers, tmp_path: Path) -> None:
    text, said = wrong_papers(papers, tmp_path / "wrong")["another's key"]
    house.settings(text)
    refused_by_both(house, said=said)


def test_the_console_s_own_core_speaks_it_too(house: House, papers: Papers) -> None:
    house.settings(papers.settings())
    with Terminal(house.command("--port", "0"), house) as terminal:
        terminal.shows("● live")
        address = json.loads((house.data / "maitred.lock").read_text())["url"]
        assert address.startswith("https://")
        assert house.run("view").code == 0
        terminal.press("q")
        assert terminal.finish() == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="a key with a passphrase is made by openssl")
def test_a_key_with_a_passphrase_asks_nobody(house: House, papers: Papers, tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", papers.key, "-aes256", "-passout", "pass:x", "-out", locked], check=True
    )
    house.settings(f'[server]\ntls_certificate = "{papers.certificate}"\ntls_key = "{locked}"\n')
    house.run("serve", "--port", "0").refused("server.tls_key", str(locked), "has a passphrase")


@pytest.mark.parametrize(
    ("days", "mode", "verdict", "key", "said"),
    [
        (400, 0o600, "good", "good", "is good until"),
        (3, 0o640, "note", "note", "is good until"),
        (-1, 0o600, "wrong", None, "expired"),
    ],
)
def test_doctor_knows_certificates(
    house: House, tmp_path: Path, days: int, mode: int, verdict: str, key: str | None, said: str
) -> None:
    expires = datetime.now(UTC) + timedelta(days=days)
    made = Papers(tmp_path / "papers", "timed", "localhost", expires=expires)
    made.key.chmod(mode)
    assert stat.S_IMODE(made.key.stat().st_mode) == mode
    house.settings(made.settings())
    done = house.run("doctor", "--json", env={"PYTHONIOENCODING": "utf-8", "MAITRED_SERVER_PORT": "0"})
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["tls"]["verdict"] == verdict
    assert said in checks["tls"]["said"]
    assert checks.get("tls key", {"verdict": None})["verdict"] == key
    assert done.code == (verdict == "wrong")


def test_who_starts_no_handshake_holds_nobody_up(secured: Serving, papers: Papers) -> None:
    silent = [socket.create_connection(("127.0.0.1", secured.port)) for _ in range(50)]
    try:
        for each in silent[::2]:
            each.sendall(b"\x16\x03\x01")
        read(secured)
    finally:
        for each in silent:
            each.close()
