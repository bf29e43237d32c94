"""The notation of the role tables: words in a string, `core` for the group without a name.

A table row is a `Rule`; `as_policy_rule` turns it into the object that the API shows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

READ = "get list watch"
CHANGE = "create delete deletecollection patch update"
FULL = "create delete deletecollection get list patch update watch"


class Rule(NamedTuple):
    """`verbs` on `resources` of `groups`, only for objects called `names` if there are any; or on the paths `urls`."""

    groups: str
    resources: str
    verbs: str
    names: str = ""
    urls: str = ""


Rules = tuple[Rule, ...]

RECORD_EVENTS = Rule("core events.k8s.io", "events", "create patch update")


def paths(urls: str, verbs: str = "get") -> Rule:
    return Rule("", "", verbs, urls=urls)


def as_policy_rule(rule: Rule) -> dict[str, Any]:
    """The PolicyRule object of a row; parts that say nothing are left out."""
    found = {
        "verbs": rule.verbs.split(),
        "apiGroups": ["" if group == "core" else group for group in rule.groups.split()],
        "resources": rule.resources.split(),
        "resourceNames": rule.names.split(),
        "nonResourceURLs": rule.urls.split(),
    }
    return {key: words for key, words in found.items() if words}
