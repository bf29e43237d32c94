"""What mutating policies make: objects to apply and JSON patches, with the escaping of patch paths."""

from __future__ import annotations

from typing import Any

import orjson

from openapi.cel.libraries.declaring import T, function, overload
from openapi.cel.literals import MAKERS
from openapi.cel.messages import Pool
from openapi.cel.values import plain


def _escape_key(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def declare(pool: Pool) -> list[Any]:
    made = []
    for kind, maker in MAKERS.items():
        message = pool.message_class(kind)

        def make(fields: dict[str, Any], message: Any = message) -> Any:
            return message(text=orjson.dumps(plain(fields)).decode())

        made.append(function(maker, overload(f"make_{kind}", (T.Map(T.STRING, T.DYN),), T(kind), make)))
    escape = overload("jsonpatch_escapeKey", (T.STRING,), T.STRING, _escape_key)
    return [*made, function("jsonpatch.escapeKey", escape)]
