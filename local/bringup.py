"""Bringing a local stack up, step by step; `local.stack` and the test fixtures call the same steps."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from local import deploy, environment, process, seed, synth, toolchain
from local.deploy import Account
from local.identity import Secrets, admin_account, ensure_admin
from local.layout import Layout
from local.process import Running

Say = Callable[[str], None]


@dataclass(frozen=True)
class LocalStack:
    """A deployed stack. `variables` is what `stack.env` holds."""

    running: Running
    layout: Layout
    account: Account
    outputs: dict[str, str]
    variables: dict[str, str]

    @property
    def endpoint(self) -> str:
        return self.running.endpoint

    @property
    def api(self) -> str:
        return environment.api_url(self.endpoint)


@dataclass(frozen=True)
class Wishes:
    """What the caller asks of `bring_up`. With `with_parent` the emulator ends when the calling process does."""

    port: int | None = None
    customer: bool = True
    warm: bool = True
    with_parent: bool = False


def bring_up(*, layout: Layout, wishes: Wishes, say: Say) -> LocalStack:
    """Start what does not run, deploy what changed, make what is missing; running it again is safe.

    An emulator that this call started is stopped again, its state saved, when a later step fails or is interrupted.
    """
    found = _current(process.find_running(layout), layout=layout, say=say)
    secrets = Secrets.load_or_make(layout.secrets_file)
    try:
        running = found or _start(layout=layout, secrets=secrets, wishes=wishes, say=say)
        return _furnish(running, layout=layout, secrets=secrets, wishes=wishes, say=say)
    except BaseException:
        started = process.find_running(layout) if found is None else None
        if started is not None:
            say("stopping the emulator again; its state is kept")
            process.stop(started, layout=layout)
        raise


def _current(found: Running | None, *, layout: Layout, say: Say) -> Running | None:
    """The running emulator unless it was started from other sources; that one is stopped, its state kept."""
    if found is None or found.build == process.emulator_build():
        return found
    say("the emulator's own sources changed; starting it again over its state")
    process.stop(found, layout=layout)
    return None


def _start(*, layout: Layout, secrets: Secrets, wishes: Wishes, say: Say) -> Running:
    python = toolchain.ensure_tools(progress=say)
    port = process.choose_port(wanted=wishes.port)
    if wishes.port is None and port != process.DEFAULT_PORT:
        say(f"port {process.DEFAULT_PORT} is taken, using {port}")
    started = time.monotonic()
    running = process.start(layout=layout, python=python, port=port, keys=secrets.root, with_parent=wishes.with_parent)
    say(f"emulator listens on {running.endpoint} after {time.monotonic() - started:.1f} s")
    return running


def _furnish(running: Running, *, layout: Layout, secrets: Secrets, wishes: Wishes, say: Say) -> LocalStack:
    assembly = synth.assembly(progress=say)
    secrets = ensure_admin(secrets, endpoint=running.endpoint)
    secrets.save(layout.secrets_file)
    account = admin_account(secrets, endpoint=running.endpoint)
    outputs = deploy.deploy(assembly=assembly, account=account, progress=say)
    aws = environment.aws_variables(secrets, endpoint=running.endpoint)
    core = environment.core_settings(outputs)
    if wishes.warm:
        _warm(running, say=say)
    if wishes.customer:
        api = environment.api_url(running.endpoint)
        secrets = seed.ensure_customer(secrets, api=api, environment=aws | core)
        secrets.save(layout.secrets_file)
    customer = environment.customer_variables(secrets, endpoint=running.endpoint)
    variables = aws | customer | core
    environment.write_env_file(layout.env_file, variables)
    return LocalStack(running=running, layout=layout, account=account, outputs=outputs, variables=variables)


def _warm(running: Running, *, say: Say) -> None:
    started = time.monotonic()
    warm = seed.post(f"{running.endpoint}/_local/prewarm", body={})["warm"]
    say(f"functions are warm after {time.monotonic() - started:.1f} s: {len(warm) if isinstance(warm, list) else 0}")


def take_down(*, layout: Layout, say: Say) -> bool:
    """Stop the emulator with its state saved; False when none was running."""
    running = process.find_running(layout)
    if running is None:
        return False
    started = time.monotonic()
    clean = process.stop(running, layout=layout)
    say(f"emulator {'stopped' if clean else 'killed'} after {time.monotonic() - started:.1f} s")
    return True


def forget(layout: Layout) -> None:
    """Remove what a stack keeps: state, secrets, log and `stack.env`. Only for a stack that is down."""
    for folder in (layout.state, layout.run):
        shutil.rmtree(folder, ignore_errors=True)
    layout.env_file.unlink(missing_ok=True)
