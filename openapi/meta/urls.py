"""What is wrong with the form of a URL, in the words of Go's net/url."""

from __future__ import annotations

import re

from openapi.meta.field import quote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_HOST_CHARACTER = re.compile(r"""[^A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>"%\u0080-\U0010ffff]""")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")


def url_problem(url: str) -> str:
    """'' if a URL can be parsed."""
    problem = _problem(url)
    return f"parse {quote(url)}: {problem}" if problem else ""


def _problem(url: str) -> str:
    if _CONTROL.search(url):
        return "net/url: invalid control character in URL"
    url = url.partition("#")[0]
    if url.startswith(":"):
        return "missing protocol scheme"
    scheme = _SCHEME.match(url)
    rest = (url[scheme.end() :] if scheme else url).partition("?")[0]
    if not rest.startswith("/"):
        if scheme is None and ":" in rest.partition("/")[0]:
            return "first path segment in URL cannot contain colon"
        return "" if scheme else _bad_escape(rest)
    authority, path = "", rest
    if rest.startswith("//") and (scheme is not None or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        path = slash + path
    return _authority_problem(authority) or _bad_escape(path)


def _authority_problem(authority: str) -> str:
    user, at, host = authority.rpartition("@")
    problem = _host_problem(host)
    if problem or not at:
        return problem
    return "" if _USER.fullmatch(user) else "net/url: invalid userinfo"


def _host_problem(host: str) -> str:
    if host.startswith("["):
        inner, closed, port = host.rpartition("]")
        if not closed:
            return "missing ']' in host"
        host = inner
    else:
        colon = host.rfind(":")
        port = host[colon:] if colon >= 0 else ""
    if port and not re.fullmatch(r":[0-9]*", port):
        return f"invalid port {quote(port)} after host"
    bad = _HOST_CHARACTER.search(host)
    return f"invalid character {quote(bad[0])} in host name" if bad else _bad_escape(host)


def _bad_escape(text: str) -> str:
    bad = _BAD_ESCAPE.search(text)
    return f"invalid URL escape {quote(bad[0])}" if bad else ""
