"""Sees that an image is on the node before a container is made of it: pull policies, credentials, backoff, events.

Follows: pkg/kubelet/images/image_manager.go
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence

from nodeagent.pods import spec
from nodeagent.pods.credentials import (
    DEFAULT_REGISTRY,
    NodeCredentials,
    auths_of,
    credentials_of,
    matches_server,
)
from nodeagent.pods.environment import ConfigProblem, Sources
from nodeagent.pods.restart import Backoff
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import Credentials, Image, Runtime, RuntimeFailure, SandboxConfig

Tell = Callable[[str, str, str], None]
"""Tells an event: Normal or Warning, a reason, a message."""

_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
NAME_LIMIT = 255


class ImageProblem(Exception):
    """A container cannot be started for want of its image; `reason` is what its status says."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class InvalidReference(ValueError):
    """The name of an image is malformed, in the words of the reference library."""


def with_tag(image: str) -> str:
    """The image's name with `:latest` where it has neither tag nor digest. Raises InvalidReference."""
    if _IDENTIFIER.fullmatch(image):
        what = "cannot specify 64-byte hexadecimal strings"
        raise InvalidReference(f"invalid repository name ({image}), {what}")
    domain, rest = _split_domain(image)
    remote = rest.partition(":")[0]
    if remote != remote.lower():
        raise InvalidReference(f"invalid reference format: repository name ({remote}) must be lowercase")
    name, at, digest = rest.partition("@")
    path, colon, tag = name.partition(":")
    parts = [(_NAME, path), (_DOMAIN, domain)]
    parts += [(_TAG, tag)] if colon else []
    parts += [(_DIGEST, digest)] if at else []
    if not all(pattern.fullmatch(text) for pattern, text in parts):
        raise InvalidReference("invalid reference format")
    if len(path) > NAME_LIMIT:
        raise InvalidReference(f"repository name must not be more than {NAME_LIMIT} characters")
    if at:
        _check_digest(digest)
    return image if colon or at else f"{image}:latest"


def _check_digest(digest: str) -> None:
    """Raises InvalidReference for what only looks like a digest."""
    algorithm, _, value = digest.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if length is None:
        raise InvalidReference("unsupported digest algorithm")
    if len(value) != length:
        raise InvalidReference("invalid checksum digest length")
    if value != value.lower():
        raise InvalidReference("invalid checksum digest format")


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return first, rest
    return DEFAULT_REGISTRY, name if slash else f"library/{name}"


class Images:
    """The images of a node, one pull at a time for the same name."""

    def __init__(self, runtime: Runtime, sources: Sources, own: NodeCredentials | None = None) -> None:
        """`own` are the node's credentials, tried after those of a pod."""
        self._runtime = runtime
        self._sources = sources
        self._own = own
        self._backoff = Backoff()
        self._errors: dict[str, str] = {}
        self._failed_at: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(
        self, pod: View, image: str, policy: str, sandbox: SandboxConfig | None, tell: Tell
    ) -> Image:
        """The image, pulled if the policy asks for it. Raises ImageProblem."""
        try:
            reference = with_tag(image)
        except InvalidReference as error:
            message = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {error}'
            tell("Warning", "InspectFailed", message)
            raise ImageProblem("InvalidImageName", message) from None
        try:
            present = await self._runtime.image(reference)
        except RuntimeFailure as failure:
            message = f'Failed to inspect image "{image}": {failure}'
            tell("Warning", "InspectFailed", message)
            raise ImageProblem("ImageInspectError", message) from failure
        if present is not None and policy in ("Never", "IfNotPresent"):
            message = f'Container image "{image}" already present on machine and can be accessed by the pod'
            tell("Normal", "Pulled", message)
            return present
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            tell("Warning", "ErrImageNeverPull", message)
            raise ImageProblem("ErrImageNeverPull", message)
        return await self._pull(pod, image, reference, sandbox, tell)

    async def _pull(
        self, pod: View, image: str, reference: str, sandbox: SandboxConfig | None, tell: Tell
    ) -> Image:
        key = f"{spec.uid_of(pod)}_{image}"
        if self._backoff.remaining_s(key, self._failed_at.get(key, 0.0), time.time()) > 0:
            message = f'Back-off pulling image "{image}"'
            tell("Normal", "BackOff", message)
            raise ImageProblem("ImagePullBackOff", f"{message}: {self._errors.get(key, '')}")
        tell("Normal", "Pulling", f'Pulling image "{image}"')
        asked = time.monotonic()
        async with self._locks.setdefault(reference, asyncio.Lock()):
            started = time.monotonic()
            try:
                await self._pull_with_credentials(pod, reference, sandbox)
                found = await self._runtime.image(reference)
            except RuntimeFailure as failure:
                # That a failure is of no known sort is not worth a word.
                text = str(failure) if failure.code == "Unknown" else failure.as_rpc_error
                tell("Warning", "Failed", f'Failed to pull image "{image}": {text}')
                now = time.time()
                self._backoff.next(key, now, now)
                self._failed_at[key], self._errors[key] = now, f"ErrImagePull: {text}"
                raise ImageProblem("ErrImagePull", text) from failure
        if found is None:
            raise ImageProblem("ErrImagePull", f"image {reference} is gone after its pull")
        self._backoff.forget(key)
        took, waited = _seconds(time.monotonic() - started), _seconds(time.monotonic() - asked)
        message = f'Successfully pulled image "{image}" in {took} ({waited} including waiting).'
        tell("Normal", "Pulled", f"{message} Image size: {found.size} bytes.")
        return found

    async def _pull_with_credentials(self, pod: View, reference: str, sandbox: SandboxConfig | None) -> None:
        """With each of the pod's and the node's credentials for that registry, until one works."""
        known = await self._credentials(pod, reference)
        for credentials in known[:-1]:
            try:
                await self._runtime.pull(reference, credentials, sandbox)
            except RuntimeFailure:
                continue
            return
        await self._runtime.pull(reference, known[-1] if known else None, sandbox)

    async def _credentials(self, pod: View, reference: str) -> Sequence[Credentials]:
        registry, path = _split_domain(reference.partition("@")[0])
        given = []
        for item in pod["spec"].get("imagePullSecrets") or ():
            try:
                secret = await self._sources.secret(pod["metadata"]["namespace"], item.get("name", ""))
            except ConfigProblem:
                # Others may do, or none be needed.
                continue
            given.append(auths_of(secret or {}))
        if self._own is not None:
            given.append(await asyncio.to_thread(self._own.auths))
        return [
            credentials_of(auth)
            for auths in given
            for server, auth in auths.items()
            if matches_server(server, registry, path)
        ]


async def missing_secrets(pod: View, sources: Sources) -> list[str]:
    """The pull secrets that the pod names and that cannot be had."""
    missing = []
    for item in pod["spec"].get("imagePullSecrets") or ():
        name = item.get("name")
        try:
            found = await sources.secret(pod["metadata"]["namespace"], name) if name else {}
        except ConfigProblem:
            found = None
        if found is None:
            missing.append(name)
    return missing


def _seconds(value: float) -> str:
    """As Go prints a duration rounded to milliseconds."""
    milli = round(value * 1000)
    return f"{milli}ms" if milli < 1000 else f"{milli / 1000:g}s"
