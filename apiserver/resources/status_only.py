"""Status subresources that change nothing but the status: metadata stays as it was, except who owns which field."""

from __future__ import annotations

from apiserver.resources.strategy import Object, StatusOf, WriteContext


class StatusOnly(StatusOf):
    reset_fields = (("metadata",), ("spec",))

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        assert old is not None
        meta = dict(old["metadata"])
        for name in ("resourceVersion", "managedFields"):
            if name in obj["metadata"]:
                meta[name] = obj["metadata"][name]
            else:
                meta.pop(name, None)
        obj["metadata"] = meta
