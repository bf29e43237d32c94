"""The command line of the controllers."""

from __future__ import annotations

import argparse

import pytest

from controllers.options import Options, add_options, options_of
from controllers.table import OFF_BY_DEFAULT, TABLE, UnknownController, select


def parse(*words: str) -> Options:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    return options_of(parser.parse_args(words))


def test_durations_are_written_as_in_go() -> None:
    options = parse("--leader-elect-lease-duration", "1m30s", "--leader-elect-retry-period", "500ms")
    assert options.leader_elect_lease_duration_s == 90
    assert options.leader_elect_retry_period_s == 0.5


@pytest.mark.parametrize("text", ["", "5", "s", "5x", "5s5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentError):
        parse("--node-monitor-period", text)


def test_a_star_means_all_that_are_on_by_default() -> None:
    assert select(["*"]) == [name for name in TABLE if name not in OFF_BY_DEFAULT]


def test_names_and_exclusions_select() -> None:
    assert select(["job", "deployment-controller"]) == ["deployment-controller", "job-controller"]
    assert "job-controller" not in select(["*", "-job-controller"])


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownController, match="nonsense"):
        select(["nonsense"])
