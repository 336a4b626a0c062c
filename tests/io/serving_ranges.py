"""A server that understands ranges; a process, for GDAL asks while rasterio holds Python's lock."""

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    """/silent never answers, /denied and unsigned /signed are refused; /etag, /dated tell it.

    Of Zarr stores in /half no chunk can be had.
    """

    def do_GET(self) -> None:
        name = urlsplit(self.path).path
        if name.startswith("/silent"):
            time.sleep(30)
        file = Path(sys.argv[1], name.lstrip("/"))
        unsigned = name.startswith("/signed") and "Signature=" not in self.path
        if name.startswith("/denied") or unsigned or not file.is_file():
            self.send_error(403 if unsigned or name.startswith("/denied") else 404)
            return
        if name.startswith("/half") and file.name[0].isdigit():
            self.send_error(500)
            return
        content, wanted = file.read_bytes(), self.headers.get("Range")
        part = content
        if wanted:
            start, end = wanted.removeprefix("bytes=").split("-")
            part = content[int(start) : int(end or len(content)) + 1]
            self.send_response(206)
            last = int(start) + len(part) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        else:
            self.send_response(200)
        if name.startswith("/etag/"):
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        elif name.startswith("/dated/"):
            self.send_header("Last-Modified", formatdate(file.stat().st_mtime, usegmt=True))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    do_HEAD = do_GET  # noqa: N815 - the name that the library asks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with Popen([sys.executable, __file__, str(folder)], stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)  # noqa: T201 - the port is its only word
    server.serve_forever()
