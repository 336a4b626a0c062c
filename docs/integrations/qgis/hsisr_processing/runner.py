"""Runs the installed hsisr in a process of its own: its libraries never meet those of QGIS."""

import json
import os
import queue
import shutil
import subprocess
import threading
from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import QgsProcessingException

SETTING = "HSISR_PROGRAM"
_WORKER = Path(__file__).with_name("worker.py")
_EVERY_S = 0.2


def default_program():
    """The `hsisr` on the path, or None."""
    return shutil.which("hsisr")


def run(function, arguments, feedback):
    """Call a function of hsisr with keywords; shows progress, warnings and errors; can be stopped.

    Args:
        function: upscale, evaluate or info.
        arguments: Its keywords, as plain values.
        feedback: QGIS' own; a stopped run leaves no output behind.

    Returns:
        The result as plain values; None if it was stopped.
    """
    process = subprocess.Popen(
        [_python(), str(_WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={key: value for key, value in os.environ.items() if key != "PYTHONHOME"},
    )
    said, errors = queue.Queue(), []
    threads = [
        threading.Thread(target=_read, args=(process.stdout, said), daemon=True),
        threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True),
    ]
    with process:  # waits for the end and closes the pipes
        for thread in threads:
            thread.start()
        json.dump({"function": function, "arguments": arguments}, process.stdin)
        process.stdin.close()
        result = _followed(process, said, feedback)
        for thread in threads:
            thread.join()
    if result is None and not feedback.isCanceled():
        raise QgsProcessingException("".join(errors).strip() or "hsisr ended without a result")
    return result


def _followed(process, said, feedback):
    """Hand on what the worker says until it ends."""
    result, stopped = None, False
    while True:
        if feedback.isCanceled() and not stopped:
            process.terminate()
            stopped = True
        try:
            line = said.get(timeout=_EVERY_S)
        except queue.Empty:
            continue
        if line is None:
            return None if stopped else result
        kind, value = json.loads(line)
        if kind == "progress":
            feedback.setProgress(100 * value[0] / max(1, value[1]))
        elif kind == "warning":
            feedback.reportError(value)
        elif kind == "error":
            raise QgsProcessingException(value)
        else:
            result = value


def _read(lines, said):
    for line in lines:
        said.put(line)
    said.put(None)


def _python():
    """The interpreter of the environment that the program was installed into."""
    program = Path(ProcessingConfig.getSetting(SETTING) or default_program() or "hsisr")
    program = program.resolve()  # pipx and others install links
    for folder in (program.parent, program.parent.parent):
        for name in ("python", "python3", "python.exe"):
            if program.exists() and (folder / name).exists():
                return str(folder / name)
    raise QgsProcessingException(
        f"{program}: found no hsisr there; install it (pip install hsisr) and name the program in "
        "Settings > Options > Processing > Providers > hsisr"
    )
