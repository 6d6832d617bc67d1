# SPDX-License-Identifier: Apache-2.0
"""pytest: one seed for the whole session, printed, and accepted back with `--seed`; a skipped test is a failure."""

import random
from collections.abc import Generator
from typing import Any

import pytest

SEED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="of every random choice (default: a fresh one)")


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--seed")
    workers = getattr(config, "workerinput", {})  # under pytest-xdist all workers share the main process's seed
    fresh = workers.get("seed", random.SystemRandom().getrandbits(31))
    config.stash[SEED] = fresh if given is None else given


def pytest_configure_node(node: Any) -> None:
    """Of pytest-xdist: hand the seed to a worker."""
    node.workerinput["seed"] = node.config.stash[SEED]


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.stash[SEED]} (replay with --seed {config.stash[SEED]})"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The session's seed."""
    return request.config.stash[SEED]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: here a test that does not run counts as failed"
    return report
