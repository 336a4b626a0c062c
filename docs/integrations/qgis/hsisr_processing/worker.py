"""Called by `runner` in hsisr's own environment: one call from stdin, lines of JSON on stdout."""

import json
import signal
import sys
import warnings


def say(kind, value):
    """One line: [kind, value]."""
    print(json.dumps([kind, value], default=str), flush=True)


def main():
    """Call the function, tell how it goes, and what came of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # half-made outputs are removed
    call = json.load(sys.stdin)
    try:
        import hsisr
    except ImportError as error:
        say("error", f"hsisr cannot be loaded by {sys.executable}: {error}")
        return
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, category, *_, **__: (
        say("warning", str(message)) if category.__module__.startswith("hsisr") else None
    )
    arguments = dict(call["arguments"])
    if call["function"] == "upscale":
        arguments["progress"] = lambda done, total: say("progress", [done, total])
    try:
        result = getattr(hsisr, call["function"])(**arguments)
        say("result", result.values if call["function"] == "evaluate" else result.as_dict())
    except hsisr.HsisrError as error:
        say("error", str(error))


main()
