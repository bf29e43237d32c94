"""Acting as another user: the Impersonate headers, and who may use them.

There are several modes, asked in order: as one's own node, as any node, as a service account, as another user (each
needs the right to the mode for this very request, `impersonate-on:MODE:VERB`, and to the identity, `impersonate:MODE`),
and the older one, which only needs `impersonate` on each part of the identity. The mode that last worked for a user is
tried first. When none allows it, the first refusal is the answer.
Follows: staging/src/k8s.io/apiserver/pkg/endpoints/filters/impersonation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from apiserver.auth.attributes import (
    ANONYMOUS,
    AUTHENTICATED,
    MASTERS,
    NODES,
    UNAUTHENTICATED,
    Attributes,
    forbidden,
)
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.service_accounts import EXTRA, NODE_NAME, groups, split_username
from apiserver.resources.strategy import User
from openapi.meta import status
from openapi.meta.field import aggregate, invalid, quote
from openapi.meta.names import is_domain_prefixed_path, name_is_dns_subdomain
from openapi.meta.status import StatusError

USER, UID, GROUP = b"impersonate-user", b"impersonate-uid", b"impersonate-group"
EXTRA_PREFIX = b"impersonate-extra-"
NODE_PREFIX = "system:node:"

AUTHENTICATION = ("authentication.k8s.io", "v1")
CORE = ("", "v1")
MANY = 4
"""From this many values on, the right to all of them is asked for first."""
REMEMBERED = 10_000


class Identity(NamedTuple):
    """Whom the headers ask for, as they are."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]]

    @property
    def is_name_only(self) -> bool:
        return not (self.uid or self.groups or self.extra)


def requested_identity(headers: Iterable[tuple[bytes, bytes]]) -> Identity | None:
    """Whom the Impersonate headers (lower-case names) ask for; None without any. Raises the 400 without a user."""
    name = uid = ""
    wanted_groups: list[str] = []
    extra: dict[str, tuple[str, ...]] = {}
    for header, raw in headers:
        if not header.startswith(b"impersonate-"):
            continue
        value = raw.decode("utf-8", "surrogateescape")
        if header == USER:
            name = name or value
        elif header == UID:
            uid = uid or value
        elif header == GROUP:
            wanted_groups.append(value)
        elif header.startswith(EXTRA_PREFIX):
            key = _unescape(header[len(EXTRA_PREFIX) :])
            extra[key] = (*extra.get(key, ()), value)
    wanted = Identity(name, uid, tuple(wanted_groups), extra)
    if name:
        return wanted
    if wanted.is_name_only:
        return None
    raise status.bad_request(f"requested {_show(wanted)} without impersonating a user name")


def _unescape(key: bytes) -> str:
    """Undo percent-encoding; a key that is not well encoded stays as it is."""
    text = key.decode("latin-1")
    pieces = text.split("%")[1:]
    if any(len(piece) < 2 or not all(c in "0123456789abcdefABCDEF" for c in piece[:2]) for piece in pieces):
        return text
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def _show(wanted: Identity) -> str:
    """An identity as Go shows the struct it has for one."""
    listed = f"[]string{{{', '.join(map(quote, wanted.groups))}}}" if wanted.groups else "[]string(nil)"
    extra = "map[string][]string(nil)"
    if wanted.extra:
        entries = (
            f"{quote(key)}:[]string{{{', '.join(map(quote, wanted.extra[key]))}}}" for key in sorted(wanted.extra)
        )
        extra = f"map[string][]string{{{', '.join(entries)}}}"
    return f'&user.DefaultInfo{{Name:"", UID:{quote(wanted.uid)}, Groups:{listed}, Extra:{extra}}}'


class Impersonation:
    """Lets users act as others."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._modes = (
            _AssociatedNode(authorizer),
            _ArbitraryNode(authorizer),
            _ServiceAccount(authorizer),
            _OtherUser(authorizer),
            _Legacy(authorizer),
        )
        self._last_mode: dict[str, _Mode] = {}

    def impersonate(self, wanted: Identity, attributes: Attributes) -> User:
        """The user that the request described by `attributes` is made as. Raises the 403."""
        requestor = attributes.user.name
        refusal: StatusError | None = None
        last = self._last_mode.get(requestor)
        ordered = self._modes if last is None else (last, *(mode for mode in self._modes if mode is not last))
        for mode in ordered:
            if not mode.applies(wanted, attributes.user):
                continue
            try:
                user = mode.check(wanted, attributes)
            except StatusError as error:
                refusal = refusal or error
                continue
            self._remember(requestor, mode)
            return user
        assert refusal is not None  # The older mode applies to everyone.
        raise refusal

    def _remember(self, requestor: str, mode: _Mode) -> None:
        self._last_mode.pop(requestor, None)
        if len(self._last_mode) >= REMEMBERED:
            del self._last_mode[next(iter(self._last_mode))]
        self._last_mode[requestor] = mode


class _Mode:
    """One mode: `applies` says to whom, `check` asks the authorizer. This one is the older mode's asking."""

    verb = "impersonate"
    group_version = CORE

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def applies(self, wanted: Identity, requestor: User) -> bool:
        return True

    def check(self, wanted: Identity, attributes: Attributes) -> User:
        """The user acted as. Raises the 403."""
        requestor = attributes.user
        self._ask(self._name_attributes(wanted.name, requestor))
        if wanted.uid:
            self._ask(self._attributes(requestor, AUTHENTICATION, "uids", wanted.uid))
        self._check_groups(wanted.groups, requestor)
        self._check_extra(wanted.extra, requestor)
        return User(wanted.name, wanted.uid, self._final_groups(wanted), dict(wanted.extra))

    def _name_attributes(self, name: str, requestor: User) -> Attributes:
        account = split_username(name)
        if account is None:
            return self._attributes(requestor, self.group_version, "users", name)
        found = self._attributes(requestor, self.group_version, "serviceaccounts", account[1])
        return found._replace(namespace=account[0])

    def _check_groups(self, wanted: Sequence[str], requestor: User) -> None:
        for group in wanted:
            self._ask(self._attributes(requestor, self.group_version, "groups", group))

    def _check_extra(self, extra: Mapping[str, Sequence[str]], requestor: User) -> None:
        asked = self._attributes(requestor, AUTHENTICATION, "userextras", "")
        for key, values in extra.items():
            for value in values:
                self._ask(asked._replace(subresource=key, name=value))

    def _final_groups(self, wanted: Identity) -> tuple[str, ...]:
        """Groups that follow from who one is, where none are asked for; and whether one is known."""
        found = wanted.groups
        account = split_username(wanted.name)
        if account is not None and not found:
            found = groups(account[0])
        return _with_standing(wanted.name, found)

    def _attributes(self, requestor: User, group_version: tuple[str, str], resource: str, name: str) -> Attributes:
        group, version = group_version
        return Attributes(requestor, self.verb, group, version, resource, name=name)

    def _ask(self, attributes: Attributes) -> None:
        decision = self._authorizer.authorize(attributes)
        if not decision.allowed:
            raise forbidden(attributes, decision.reason)


class _Legacy(_Mode):
    """Anyone with the right to each part of the identity, whatever the request."""


class _Constrained(_Mode):
    """A mode that is granted per request verb, and stricter about what may be asked for."""

    mode = ""
    group_version = AUTHENTICATION

    def __init__(self, authorizer: Authorizer) -> None:
        super().__init__(authorizer)
        self.verb = f"impersonate:{self.mode}"

    def check(self, wanted: Identity, attributes: Attributes) -> User:
        self._ask(attributes._replace(verb=f"impersonate-on:{self.mode}:{attributes.verb}"))
        return super().check(wanted, attributes)

    def _check_groups(self, wanted: Sequence[str], requestor: User) -> None:
        asked = self._attributes(requestor, self.group_version, "groups", "")
        if "" in wanted:
            raise forbidden(asked, "impersonating the empty string group is not allowed")
        if MASTERS in wanted:
            raise forbidden(asked._replace(name=MASTERS), "impersonating the system:masters group is not allowed")
        if len(wanted) >= MANY and self._authorizer.authorize(asked._replace(name="*")).allowed:
            return
        super()._check_groups(wanted, requestor)

    def _check_extra(self, extra: Mapping[str, Sequence[str]], requestor: User) -> None:
        asked = self._attributes(requestor, AUTHENTICATION, "userextras", "")
        problem = next(_extra_problems(extra), None)
        if problem:
            raise forbidden(asked, problem)
        is_large = len(extra) >= MANY or sum(map(len, extra.values())) >= MANY
        if is_large and self._authorizer.authorize(asked._replace(subresource="*", name="*")).allowed:
            return
        super()._check_extra(extra, requestor)


class _ArbitraryNode(_Constrained):
    """Any node, by its name alone."""

    mode = "arbitrary-node"

    def applies(self, wanted: Identity, requestor: User) -> bool:
        return wanted.is_name_only and _node_name(wanted.name) is not None

    def _name_attributes(self, name: str, requestor: User) -> Attributes:
        return self._attributes(requestor, self.group_version, "nodes", _node_name(name) or "")

    def _final_groups(self, wanted: Identity) -> tuple[str, ...]:
        return _with_standing(wanted.name, (NODES,))


class _AssociatedNode(_ArbitraryNode):
    """The node that the asking service account's pod runs on. The right is to no node in particular."""

    mode = "associated-node"

    def applies(self, wanted: Identity, requestor: User) -> bool:
        node = _node_name(wanted.name)
        is_account = split_username(requestor.name) is not None
        return wanted.is_name_only and node is not None and is_account and requestor.extra.get(NODE_NAME) == (node,)

    def check(self, wanted: Identity, attributes: Attributes) -> User:
        # Only which facts are known of the account counts, so that the right is the same on every node.
        known = {f"{EXTRA}associated-node-keys": tuple(sorted(attributes.user.extra))}
        asking = User(attributes.user.name, attributes.user.uid, attributes.user.groups, known)
        return super().check(wanted, attributes._replace(user=asking))

    def _name_attributes(self, name: str, requestor: User) -> Attributes:
        return self._attributes(requestor, self.group_version, "nodes", "*")


class _ServiceAccount(_Constrained):
    """A service account, by its name alone."""

    mode = "serviceaccount"

    def applies(self, wanted: Identity, requestor: User) -> bool:
        return wanted.is_name_only and split_username(wanted.name) is not None


class _OtherUser(_Constrained):
    """Users that are neither nodes nor service accounts, with everything about them."""

    mode = "user-info"

    def applies(self, wanted: Identity, requestor: User) -> bool:
        return _node_name(wanted.name) is None and split_username(wanted.name) is None


def _with_standing(name: str, found: tuple[str, ...]) -> tuple[str, ...]:
    if name == ANONYMOUS:
        return found if UNAUTHENTICATED in found else (*found, UNAUTHENTICATED)
    if UNAUTHENTICATED in found or AUTHENTICATED in found:
        return found
    return (*found, AUTHENTICATED)


def _node_name(user: str) -> str | None:
    if not user.startswith(NODE_PREFIX):
        return None
    name = user[len(NODE_PREFIX) :]
    return None if name_is_dns_subdomain(name, False) else name


def _extra_problems(extra: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for key, values in extra.items():
        if not key:
            yield "impersonating the empty string key in extra is not allowed"
        problems = is_domain_prefixed_path(key)
        if problems:
            errors = [invalid("extra.key", key, problem) for problem in problems]
            yield f"impersonating an invalid key in extra is not allowed: {aggregate(errors)}"
        if key != key.lower():
            yield f"impersonating a non-lowercase key in extra is not allowed: {quote(key)}"
        if not values:
            yield "impersonating empty values in extra is not allowed"
        if "" in values:
            yield "impersonating the empty string value in extra is not allowed"
