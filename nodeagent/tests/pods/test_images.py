from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from nodeagent.pods.credentials import NodeCredentials, credentials_of, matches_server
from nodeagent.pods.images import InvalidReference, missing_secrets, with_tag
from nodeagent.tests.pods.samples import make_pod
from nodeagent.tests.volumes.fakes import FakeSources


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1", "nginx:1"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("r.test/a@sha256:" + "0" * 64, "r.test/a@sha256:" + "0" * 64),
    ],
)
def test_images_without_a_tag_get_the_latest(image: str, expected: str) -> None:
    assert with_tag(image) == expected


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("Bad::name", "invalid reference format: repository name (library/Bad) must be lowercase"),
        ("a::b", "invalid reference format"),
        ("r.test/A/b", "invalid reference format: repository name (A/b) must be lowercase"),
        ("A@sha256:12", "invalid reference format: repository name (library/A@sha256) must be lowercase"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("x" * 248, "repository name must not be more than 255 characters"),
        ("a@sha256:12", "invalid reference format"),
        ("a@sha256:" + "0" * 63, "invalid checksum digest length"),
        ("a@sha256:" + "A" * 64, "invalid checksum digest format"),
        ("a@md5:" + "0" * 32, "unsupported digest algorithm"),
    ],
)
def test_malformed_names_are_refused(image: str, message: str) -> None:
    with pytest.raises(InvalidReference) as error:
        with_tag(image)
    assert str(error.value) == message


def test_credentials_go_with_their_registry() -> None:
    assert matches_server("https://index.docker.io/v1/", "docker.io", "library/nginx")
    assert matches_server("r.test/team", "r.test", "team/app")
    assert not matches_server("r.test/team", "r.test", "other/app")
    assert matches_server("*.r.test", "a.r.test", "x")


async def test_pull_secrets_that_cannot_be_had_are_named() -> None:
    sources = FakeSources()
    sources.secrets["there"] = {"data": {}}
    pod = make_pod([{"name": "c"}], imagePullSecrets=[{"name": "a"}, {"name": "there"}, {}, {"name": "b"}])
    assert await missing_secrets(pod, sources) == ["a", "b"]


def test_a_node_has_credentials_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / name for name in ("root", "work", "home")]
    for place in places:
        place.mkdir()
    root, work, home = places
    monkeypatch.chdir(work)
    auth = {"auth": base64.b64encode(b"ann:secret").decode()}
    (home / ".dockercfg").write_text(json.dumps({"old.test": auth}))
    assert list(NodeCredentials(root, home).auths()) == ["old.test"]
    (home / ".docker").mkdir()
    for file, server in ((home / ".docker", "home.test"), (work, "work.test"), (root, "root.test")):
        (file / "config.json").write_text(json.dumps({"auths": {server: auth}}))
        [(found, known)] = NodeCredentials(root, home).auths().items()
        assert found == server
        assert (credentials_of(known).username, credentials_of(known).password) == ("ann", "secret")
    (root / "config.json").write_text("no JSON")
    assert list(NodeCredentials(root, home).auths()) == ["work.test"]
