"""The image of the process that holds a sandbox's namespaces, made here because no registry need be in reach.

The process is a static program of under 300 bytes: it has the kernel reap the children that a shared process
namespace leaves to it (SIGCHLD ignored), and sleeps for good.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import struct
import tarfile

IMAGE = "wherry.local/pause:1"

_LOAD_ADDRESS = 0x400000
_HEADERS_SIZE = 64 + 56
_SIGCHLD, _SIG_IGN = 17, 1
_EM_X86_64, _EM_AARCH64 = 62, 183


def archive(machine: str = "") -> bytes:
    """The image as a tar that `ctr images import` reads. Raises ValueError for a machine without a program."""
    machine = machine or platform.machine()
    layer = _tar({"pause": (program(machine), 0o755)})
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[machine],
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode()
    return _tar({name: (config, 0o644), "layer.tar": (layer, 0o644), "manifest.json": (manifest, 0o644)})


def program(machine: str) -> bytes:
    """The static ELF program for that machine."""
    if machine == "x86_64":
        return _elf(_EM_X86_64, _code_x86_64())
    if machine == "aarch64":
        return _elf(_EM_AARCH64, _code_aarch64())
    raise ValueError(f"no pause program for {machine} machines")


def _ignore_action() -> bytes:
    """The kernel's struct sigaction with SIG_IGN: handler, flags, restorer, mask."""
    return struct.pack("<QQQQ", _SIG_IGN, 0, 0, 0)


def _code_x86_64() -> bytes:
    rt_sigaction, pause = 13, 34
    syscall = b"\x0f\x05"
    begin = b"\xb8" + struct.pack("<I", rt_sigaction) + b"\xbf" + struct.pack("<I", _SIGCHLD)
    rest = b"\x31\xd2" + b"\x41\xba" + struct.pack("<I", 8) + syscall
    loop = b"\xb8" + struct.pack("<I", pause) + syscall
    loop += b"\xeb" + struct.pack("<b", -len(loop) - 2)
    load_action = b"\x48\x8d\x35" + struct.pack("<I", len(rest) + len(loop))
    return begin + load_action + rest + loop + _ignore_action()


def _code_aarch64() -> bytes:
    rt_sigaction, ppoll, service_call = 134, 73, 0xD4000001

    def set_register(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    begin = [set_register(8, rt_sigaction), set_register(0, _SIGCHLD)]
    rest = [set_register(2, 0), set_register(3, 8), service_call]
    loop = [set_register(8, ppoll), *(set_register(register, 0) for register in range(5)), service_call]
    loop.append(0x14000000 | -len(loop) & 0x3FFFFFF)
    words_to_action = 1 + len(rest) + len(loop)
    load_action = 0x10000000 | words_to_action << 5 | 1
    words = [*begin, load_action, *rest, *loop]
    return struct.pack(f"<{len(words)}I", *words) + _ignore_action()


def _elf(machine: int, code: bytes) -> bytes:
    """One readable and executable segment that begins with the headers themselves."""
    size = _HEADERS_SIZE + len(code)
    identity = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    entry = _LOAD_ADDRESS + _HEADERS_SIZE
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x10000)
    return identity + header + segment + code


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()
