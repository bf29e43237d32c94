"""/healthz, /livez and /readyz: named checks, each run when asked.

Follows: staging/src/k8s.io/apiserver/pkg/server/healthz/healthz.go
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from apiserver.request import RequestInfo
from apiserver.response import Reply
from openapi.meta.field import quote

TEXT = "text/plain; charset=utf-8"
Check = Callable[[], Awaitable[bool]]


class Health:
    """`checks` by endpoint (healthz, livez, readyz): name -> a check that is True when all is well."""

    def __init__(self, checks: Mapping[str, Mapping[str, Check]]) -> None:
        self._checks = checks

    def paths(self) -> set[str]:
        """All paths that `answer` knows."""
        return {f"/{e}/{name}" for e, checks in self._checks.items() for name in checks}

    async def answer(self, info: RequestInfo) -> Reply | None:
        """None when the path is not a health endpoint or has no such check."""
        endpoint, slash, single = info.at.path.removeprefix("/").partition("/")
        checks = self._checks.get(endpoint)
        if checks is None:
            return None
        if slash:
            check = checks.get(single)
            return None if check is None else await _run_one(check)
        excluded = info.query.get("exclude", [])
        return await self._run(endpoint, checks, excluded, verbose="verbose" in info.query)

    async def indicators(self) -> bytes:
        """Each check's present result, as metrics."""
        name = "kubernetes_healthcheck"
        about = "[STABLE] This metric records the result of a single healthcheck."
        lines = [f"# HELP {name} {about}", f"# TYPE {name} gauge"]
        for endpoint, checks in self._checks.items():
            for check, run in checks.items():
                lines.append(f'{name}{{name={quote(check)},type="{endpoint}"}} {int(await run())}')
        return ("\n".join(lines) + "\n").encode()

    async def _run(
        self, endpoint: str, checks: Mapping[str, Check], excluded: Sequence[str], *, verbose: bool
    ) -> Reply:
        lines, failed = [], []
        for name, check in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
            elif await check():
                lines.append(f"[+]{name} ok")
            else:
                failed.append(name)
                lines.append(f"[-]{name} failed: reason withheld")
        unknown = [name for name in excluded if name not in checks]
        if unknown:
            names = ", ".join(map(quote, unknown))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
        if failed:
            text = "\n".join([*lines, f"{endpoint} check failed", ""])
            return Reply(500, (text.encode(),), TEXT, (("x-content-type-options", "nosniff"),))
        text = "\n".join([*lines, f"{endpoint} check passed", ""]) if verbose else "ok"
        return Reply(200, (text.encode(),), TEXT, (("x-content-type-options", "nosniff"),))


async def _run_one(check: Check) -> Reply:
    if await check():
        return Reply(200, (b"ok",), TEXT)
    return Reply(500, (b"internal server error: reason withheld\n",), TEXT, (("x-content-type-options", "nosniff"),))
