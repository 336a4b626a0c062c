"""A server on loopback that behaves as told, and stand-ins for public files."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import scipy.io
from PIL import Image


@dataclass
class Site:
    """What a server holds, and how it misbehaves."""

    files: dict[str, bytes]
    breaks_after: int | None = None
    """Bytes after which the connection ends, once."""
    requests: list[str] = field(default_factory=list)
    """Path of every request."""
    url: str = ""


@contextmanager
def served(files: dict[str, bytes], **habits: object) -> Iterator[Site]:
    site = Site(files, **habits)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, site)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    site.requests.append(handler.path)
    body = site.files.get(handler.path)
    if body is None:
        handler.send_error(404)
        return
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    limit, site.breaks_after = site.breaks_after, None
    handler.wfile.write(body[:limit])
    handler.close_connection = True


def mat_file(variable: str, rows: int, cols: int, bands: int) -> bytes:
    """A MATLAB file of uint16 like those of the Pavia scenes."""
    r, c, b = np.ogrid[:rows, :cols, :bands]
    down, right = 1500 + 600 * np.sin(r / 5 + b / 9), 300 * np.cos(c / 7)
    cube = down.astype(np.int16) + right.astype(np.int16)
    target = io.BytesIO()
    scipy.io.savemat(target, {variable: cube.astype(np.uint16)})
    return target.getvalue()


def band_zip(scenes: tuple[str, ...], bands: int = 3, side: int = 16) -> bytes:
    """An archive laid out as CAVE's: NAME/NAME/NAME_01.png and on, and a picture beside them."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for scene in scenes:
            for band in range(1, bands + 1):
                image = Image.fromarray(np.full((side, side), 1000 * band, np.uint16))
                archive.writestr(f"{scene}/{scene}/{scene}_{band:02d}.png", _encoded(image, "PNG"))
            picture = Image.new("RGB", (side, side))
            archive.writestr(f"{scene}/{scene}/{scene[:-3]}_RGB.bmp", _encoded(picture, "BMP"))
    return target.getvalue()


def _encoded(image: Image.Image, kind: str) -> bytes:
    target = io.BytesIO()
    image.save(target, kind)
    return target.getvalue()
