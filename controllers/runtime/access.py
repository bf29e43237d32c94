"""Where the API server is and who asks it, read from a kubeconfig.

What is written out in the file (certificates, tokens, passwords) is read here. What others have to be asked for, by a
user's `exec` plugin or `auth-provider`, and the default kubeconfig or a pod's own account, are left to the official
client: it knows all of that, but importing it takes as long as everything else that a component does at its start.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from kubernetes.aio.client.configuration import Configuration

Object = Mapping[str, Any]
Headers = Callable[[], Awaitable[Mapping[str, str]]]

_PLUGINS = ("exec", "auth-provider")


class UnusableKubeconfig(ValueError):
    """There is no kubeconfig, or it does not say what is needed."""


@dataclass(frozen=True, slots=True)
class Access:
    """A server and a way to it. Files are of PEM; `ca` may also be such a text, and None for the system's own.

    `headers` gives the headers by which the server knows who asks, where it is not by the certificate.
    """

    host: str
    headers: Headers
    ca: Path | str | None = None
    cert: Path | bytes | None = None
    key: Path | bytes | None = None
    verifies: bool = True
    tls_name: str | None = None
    proxy: str | None = None

    def tls(self, *, shows_certificate: bool = True) -> ssl.SSLContext:
        """Raises OSError for files that are not there or hold no certificates."""
        context = ssl.create_default_context(
            cafile=str(self.ca) if isinstance(self.ca, Path) else None,
            cadata=self.ca if isinstance(self.ca, str) else None,
        )
        if not self.verifies:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert is not None and shows_certificate:
            with _file(self.cert) as cert, _file(self.key) as key:
                context.load_cert_chain(cert, key or None)
        return context


async def read_access(kubeconfig: Path | None) -> Access:
    """By the present context of a kubeconfig. Raises UnusableKubeconfig, and OSError where a file is not there."""
    found = None if kubeconfig is None else _plain(kubeconfig)
    return await _official(kubeconfig) if found is None else found


def _plain(kubeconfig: Path) -> Access | None:
    """None where somebody else has to be asked."""
    try:
        document = yaml.load(kubeconfig.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UnusableKubeconfig(f"{kubeconfig} is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise UnusableKubeconfig(f"{kubeconfig} is empty")
    context = _required(document, "context", document.get("current-context"))
    cluster = _required(document, "cluster", context.get("cluster"))
    user = _named(document, "user", context.get("user")) or {}
    if any(plugin in user for plugin in _PLUGINS):
        return None
    return _written_out(cluster, user, kubeconfig.parent)


def _required(document: Object, kind: str, name: Any) -> Object:
    found = _named(document, kind, name)
    if found is None:
        raise UnusableKubeconfig(f"there is no {kind} {name!r}" if name else f"no {kind} is named")
    return found


def _named(document: Object, kind: str, name: Any) -> Object | None:
    """What an entry of the list of its kind says."""
    for entry in document.get(f"{kind}s") or ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(kind), dict):
            found: Object = entry[kind]
            return found
    return None


def _written_out(cluster: Object, user: Object, folder: Path) -> Access:
    host = str(cluster.get("server") or "").rstrip("/")
    if not host:
        raise UnusableKubeconfig("the cluster has no server")
    ca = _content(cluster, "certificate-authority", folder)
    token = _token(user, folder)
    shown = {"Authorization": token} if token else {}

    async def headers() -> Mapping[str, str]:
        return shown

    return Access(
        host,
        headers,
        ca.decode("ascii", "replace") if isinstance(ca, bytes) else ca,
        _content(user, "client-certificate", folder),
        _content(user, "client-key", folder),
        not cluster.get("insecure-skip-tls-verify"),
        cluster.get("tls-server-name"),
        cluster.get("proxy-url"),
    )


def _content(entry: Object, field: str, folder: Path) -> Path | bytes | None:
    """What a field names as a file or holds as data, which counts before the file."""
    data = entry.get(f"{field}-data")
    if data:
        try:
            return base64.b64decode(data)
        except (binascii.Error, TypeError, ValueError) as error:
            raise UnusableKubeconfig(f"{field}-data: {error}") from error
    return folder / entry[field] if entry.get(field) else None


def _token(user: Object, folder: Path) -> str:
    """The Authorization header of a user; '' for none."""
    if user.get("token"):
        return f"Bearer {user['token']}"
    if user.get("tokenFile"):
        return f"Bearer {(folder / user['tokenFile']).read_text().strip()}"
    if "username" in user and "password" in user:
        return "Basic " + base64.b64encode(f"{user['username']}:{user['password']}".encode()).decode()
    return ""


@contextmanager
def _file(content: Path | bytes | None) -> Iterator[str]:
    """Its path, for a library that reads nothing but files; '' for nothing."""
    if isinstance(content, bytes):
        with tempfile.NamedTemporaryFile(prefix="wherry-") as file:
            file.write(content)
            file.flush()
            yield file.name
    else:
        yield "" if content is None else str(content)


async def _official(kubeconfig: Path | None) -> Access:
    """As the official client reads it."""
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.config import load_config, load_kube_config
    from kubernetes.aio.config.config_exception import ConfigException

    configuration = Configuration()
    try:
        if kubeconfig is None:
            await load_config(client_configuration=configuration)
        else:
            await load_kube_config(str(kubeconfig), client_configuration=configuration, persist_config=False)
    except ConfigException as error:
        raise UnusableKubeconfig(str(error)) from error
    return _of_configuration(configuration)


def _of_configuration(configuration: Configuration) -> Access:
    async def headers() -> Mapping[str, str]:
        token = (await configuration.auth_settings()).get("BearerToken")
        return {"Authorization": str(token["value"])} if token else {}

    def path(name: str | None) -> Path | None:
        return Path(name) if name else None

    return Access(
        configuration.host.rstrip("/"),
        headers,
        path(configuration.ssl_ca_cert),
        path(configuration.cert_file),
        path(configuration.key_file),
        bool(configuration.verify_ssl),
        configuration.tls_server_name,
        configuration.proxy,
    )
