"""Answers that are not what was asked for: plain text, as a node gives them."""

from __future__ import annotations

from aiohttp import web

from nodeagent.runtime.protocol import Missing, RuntimeFailure


class Refusal(Exception):
    """A request that is answered with a code and a text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def refused(failure: RuntimeFailure) -> Refusal:
    """How a node tells of what its runtime refused. Follows: k8s.io/kubelet/pkg/cri/streaming/errors.go"""
    return Refusal(404 if isinstance(failure, Missing) else 500, str(failure))


def plain(code: int, text: str) -> web.Response:
    return web.Response(status=code, text=text)
