"""A plugin for pytest: each test runs in a throw-away overlay of the host's root, made by the example `cargo_runner`.

    cargo build --example cargo_runner
    PYTHONPATH=examples OVERLAY_RUNNER=$PWD/target/debug/examples/cargo_runner pytest -p pytest_overlay

A test that fails is a failure, with what it printed; one for which there was no sandbox is an error, with the reason.
"""
import os
import subprocess
import sys

import pytest
from _pytest.reports import TestReport
from _pytest.runner import CallInfo

INSIDE = 'PYTEST_OVERLAY_INSIDE'
# what the runner exits with if there was no sandbox, and a test that was skipped
NOT_RUN, SKIPPED = 125, 77


class NoSandbox(Exception):
    """The test did not run."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """Has another pytest, inside, run the test with its fixtures."""
    runner = os.environ.get('OVERLAY_RUNNER')
    if INSIDE in os.environ or not runner:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    words = [sys.executable, '-m', 'pytest', '-p', 'pytest_overlay', '-q', '--no-header', item.nodeid]
    done = subprocess.run([*runner.split(), *words], cwd=item.config.rootpath, env={**os.environ, INSIDE: '1'},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # what goes wrong in a set-up is an error to pytest, and no failure
    when = 'setup' if done.returncode == NOT_RUN else 'call'
    call = CallInfo.from_call(lambda: judge(done), when=when)
    report = TestReport.from_item_and_call(item, call)
    item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def judge(done):
    if done.returncode == NOT_RUN:
        raise NoSandbox(done.stdout)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())
    if done.returncode != 0:
        pytest.fail(f'exit status {done.returncode}\n{done.stdout}', pytrace=False)


def pytest_runtest_logreport(report):
    if INSIDE in os.environ and report.skipped and not hasattr(report, 'wasxfail'):
        os.environ[INSIDE] = 'skipped'


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if os.environ.get(INSIDE) == 'skipped' and session.exitstatus == 0:
        session.exitstatus = SKIPPED
