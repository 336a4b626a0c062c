"""Programs in processes of their own, each a fork of one that has loaded hsisr and torch once.

That takes a hundredth of what an interpreter takes that loads them anew. What is under test before
`hsisr` is loaded, such as what is loaded, or streams that are closed by then, is none of this.
"""

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from tests.conftest import PROJECT

HSISR = "from hsisr.cli.main import program; program()"
OF_MALLOC = ("MALLOC_", "GLIBC_")
"""Settings under which tests of freed memory would find another one."""
LONGEST = 600
"""Seconds to wait for the end of a process; TimeoutError after them."""


class Forked:
    """A process whose parent, its minder, tells its number and in the end its exit code."""

    def __init__(self, minder: socket.socket) -> None:
        minder.settimeout(LONGEST)
        self._told = minder.makefile()
        minder.close()
        self.pid = int(self._told.readline())

    def wait(self) -> int:
        """The exit code; the signal that killed it, negative."""
        with self._told:
            return int(self._told.readline())


def fork(
    code: str,
    *words: object,
    streams: Sequence[int],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    terminal: bool = False,
) -> Forked:
    """Run code as `python -c` does; `streams` are descriptors of stdin, stdout and stderr.

    `terminal`: they are one that controls a session of its own.
    """
    facts = {
        "code": code,
        "words": [str(word) for word in words],
        "cwd": str(cwd or Path.cwd()),
        "env": dict(os.environ if env is None else env),
        "terminal": terminal,
    }
    ours, theirs = socket.socketpair()
    with theirs, tempfile.TemporaryFile("w+") as file:
        json.dump(facts, file)
        file.flush()
        socket.send_fds(_nursery(), [b"+"], [*streams, file.fileno(), theirs.fileno()])
    return Forked(ours)


def forked(code: str, *words: object, **more: Any) -> "subprocess.CompletedProcess[str]":
    """What `tests.program.ran` gives, where nothing is under test before hsisr is loaded."""
    if not hasattr(os, "fork"):
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            **more,
        )
    with (
        Path(os.devnull).open() as nothing,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        files: list[IO[str]] = [nothing, out, err]
        process = fork(code, *words, streams=[file.fileno() for file in files], **more)
        returncode = process.wait()
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess([], returncode, out.read(), err.read())


@cache
def _nursery() -> socket.socket:
    ours, theirs = socket.socketpair()
    own = {key: text for key, text in os.environ.items() if not key.startswith(OF_MALLOC)}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**own, "PYTHONPATH": str(PROJECT)},
        )

    def close() -> None:
        ours.close()
        process.wait()

    atexit.register(close)
    return ours


def serve(requests: socket.socket) -> None:
    """Fork for every request, and tell its test when the fork has ended."""
    waiting: dict[int, int] = {}

    def ended(*_: object) -> None:
        for pid in list(waiting):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                with suppress(BrokenPipeError):  # its test failed before
                    os.write(waiting[pid], f"{os.waitstatus_to_exitcode(status)}\n".encode())
                os.close(waiting.pop(pid))

    signal.signal(signal.SIGCHLD, ended)
    while True:
        message, fds, *_ = socket.recv_fds(requests, 1, 5)
        if not message:  # the tests are over
            for pid in list(waiting):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        *given, test = fds
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            for other in (requests.detach(), test, *waiting.values()):
                os.close(other)
            os._exit(run(given))
        waiting[pid] = test
        os.write(test, f"{pid}\n".encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        for fd in given:
            os.close(fd)


def run(fds: Sequence[int]) -> int:
    """Do what was asked for, and what comes after it, as a new interpreter would."""
    code = 1
    try:
        begin(fds)
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def begin(fds: Sequence[int]) -> None:
    """Become what was asked for, as a new interpreter would."""
    *streams, file = fds
    with open(file) as text:  # noqa: PTH123 - a descriptor
        text.seek(0)
        facts = json.load(text)
    if facts["terminal"]:
        os.login_tty(os.dup(streams[0]))
        # which shells start background jobs without, and nohup
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for own, given in enumerate(streams):
        os.dup2(given, own)
        os.close(given)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = open(number, "w" if number else "r", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.chdir(facts["cwd"])
    os.environ.clear()
    os.environ.update(facts["env"])
    sys.argv = ["-c", *facts["words"]]
    sys.path[0] = ""
    exec(compile(facts["code"], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102


def main() -> None:
    sys.modules["boto3"] = None  # type: ignore[assignment]  # few have what rasterio would take
    import_module("distributed")  # before rasterio, of whose exceptions it changes the pickles
    import hsisr.commands.archive.run
    import hsisr.commands.upscale
    import hsisr.io.open
    import hsisr.weights  # noqa: F401 - with those above, all that a command needs

    gc.freeze()  # a fork need not look through all that when it ends
    serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
