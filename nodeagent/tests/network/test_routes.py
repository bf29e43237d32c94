from __future__ import annotations

from pathlib import Path

import pytest

from nodeagent.network.routes import overlap, read_routes

TABLE = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
wherry1\t0000F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


@pytest.mark.parametrize(
    ("ranges", "own", "taken"),
    [
        (["10.244.0.0/16"], "", "10.244.0.0/16 overlaps with 10.244.0.0/24, to which"),
        (["10.244.0.0/24"], "wherry1", ""),
        (["10.245.0.0/16", "fd00::/64"], "", ""),
        (["10.245.0.0/16", "192.0.2.128/25"], "", "192.0.2.128/25 overlaps with 192.0.2.0/24"),
    ],
    ids=["another node", "its own", "free", "the second"],
)
def test_ranges_to_which_there_are_routes_are_taken(
    ranges: list[str], own: str, taken: str, tmp_path: Path
) -> None:
    (tmp_path / "route").write_text(TABLE)
    found = overlap(ranges, read_routes(tmp_path / "route"), own)
    assert found.startswith(taken) and bool(found) == bool(taken)
