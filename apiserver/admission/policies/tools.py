"""What webhooks and policies work with."""

from __future__ import annotations

from typing import NamedTuple

from apiserver.admission.policies.evaluation import Allows
from apiserver.admission.policies.matching import Matcher
from apiserver.admission.policies.views import Versions


class Tools(NamedTuple):
    """`allows` answers what expressions ask the authorizer."""

    matcher: Matcher
    versions: Versions
    allows: Allows
