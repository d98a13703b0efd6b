"""The proxies of docs/operations.md, started from its blocks as they stand; only what is local is put in its place."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from network import ports
from tests.support.docs import ROOT

WITHIN_S = 20.0

_OPERATIONS = ROOT / "docs" / "operations.md"
_LOOPBACK = "127.0.0.1"
_NAME = "localhost"
_LOOK_AGAIN_S = 0.02

# What the document's block does not say: one process in the foreground that writes into its folder alone.
_NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    {block}
}}
"""
_CADDY_OPTIONS = """{{
    admin off
    auto_https off
    default_bind {loopback}
    storage file_system {folder}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a proxy stands and what it needs there."""

    folder: Path
    port: int
    upstream: str

    @property
    def certificate(self) -> Path:
        """Of the server, which it signed itself."""
        return self.folder / "certificate.pem"

    @property
    def private_key(self) -> Path:
        """The certificate's."""
        return self.folder / "certificate.key"


class Proxy:
    """A proxy that runs, as its callers and its operator see it."""

    def __init__(self, site: Site) -> None:
        self.origin = f"https://{_NAME}:{site.port}"
        self.certificate = site.certificate
        self._folder = site.folder

    def client(self) -> httpx.AsyncClient:
        """For whoever asks it."""
        trust = ssl.create_default_context(cafile=self.certificate)
        return httpx.AsyncClient(base_url=self.origin, timeout=WITHIN_S, verify=trust, trust_env=False)

    @property
    def written(self) -> str:
        """All that it wrote, on its streams and into its files."""
        return "\n".join(log.read_text(errors="replace") for log in self._folder.rglob("*.log"))


@contextmanager
def nginx(folder: Path, *, upstream: str) -> Iterator[Proxy]:
    """The one that the document shows first, before a gateway at `upstream` (host:port)."""
    program = _program("nginx")
    site = _site(folder, upstream)
    block = _with(
        _block("nginx"),
        {
            "listen 443": f"listen {_LOOPBACK}:{site.port}",
            "gateway.example": _NAME,
            "/etc/ssl/gateway.pem": str(site.certificate),
            "/etc/ssl/gateway.key": str(site.private_key),
            "/var/log/nginx/": f"{folder}/",
            "127.0.0.1:8080": upstream,
        },
    )
    (folder / "nginx.conf").write_text(_NGINX.format(block=block))
    with _running([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], site):
        yield Proxy(site)


@contextmanager
def caddy(folder: Path, *, upstream: str) -> Iterator[Proxy]:
    """The other one."""
    program = _program("caddy")
    site = _site(folder, upstream)
    named = f"{_NAME}:{site.port} {{\n    tls {site.certificate} {site.private_key}"
    block = _with(_block("caddy"), {"gateway.example {": named, "127.0.0.1:8080": upstream})
    (folder / "Caddyfile").write_text(_with_options(block, folder))
    command = [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with _running(command, site):
        yield Proxy(site)


def _program(name: str) -> str:
    """Where it is installed; Debian keeps nginx where only root looks."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not on this machine; Debian has it as the package `{name}`.")
    return found


def _site(folder: Path, upstream: str) -> Site:
    folder.mkdir()
    site = Site(folder=folder, port=ports.keep_or_choose(_LOOPBACK, known=None, taken=set()), upstream=upstream)
    _certify(site)
    return site


def _certify(site: Site) -> None:
    """A certificate for this machine's own name, good for a day."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    names = x509.SubjectAlternativeName([x509.DNSName(_NAME), x509.IPAddress(IPv4Address(_LOOPBACK))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(private_key, hashes.SHA256())
    )
    site.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    site.private_key.write_bytes(
        private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _block(language: str) -> str:
    """The document's one block in this language."""
    text = _OPERATIONS.read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(block)


def _with(block: str, local: dict[str, str]) -> str:
    for shown, own in local.items():
        assert shown in block, f"the document does not say {shown!r} any more"
        block = block.replace(shown, own)
    return block


def _with_options(block: str, folder: Path) -> str:
    """Caddy's global options are its file's first block, where there is one."""
    options = _CADDY_OPTIONS.format(loopback=_LOOPBACK, folder=folder)
    if block.startswith("{\n"):
        return options + block.removeprefix("{\n")
    return f"{options}}}\n{block}"


@contextmanager
def _running(command: list[str], site: Site) -> Iterator[None]:
    """The program, from the moment it listens; it leaves with the block."""
    environment = {"HOME": str(site.folder), "XDG_CONFIG_HOME": str(site.folder)}
    with (site.folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=site.folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        _await_listening(process, site)
        yield
    finally:
        process.terminate()
        try:
            process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_listening(process: subprocess.Popen[bytes], site: Site) -> None:
    deadline = time.monotonic() + WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((_LOOPBACK, site.port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(_LOOK_AGAIN_S)  # neither of them says when it listens
        else:
            return
    pytest.fail(f"it does not listen: {(site.folder / 'output.log').read_text()}")
