"""A small HTTP server on this machine whose answers a test decides."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """``answer(method, path, headers, body) -> (status, headers, body)``; ``seen`` lists (path, headers, body)."""

    def __init__(self, answer: Callable[[str, str, dict[str, str], bytes], Answer]) -> None:
        self.answer, self.seen, self.url = answer, [], ""


@contextlib.contextmanager
def serve(answer: Callable[[str, str, dict[str, str], bytes], Answer]) -> Iterator[Server]:
    server = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = dict(self.headers)
            server.seen.append((self.path, headers, body))
            status, given, data = server.answer(self.command, self.path, headers, body)
            with contextlib.suppress(OSError):  # a client that has heard enough
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **given}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

        do_GET = do_POST = _do

        def log_message(self, *given: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        made.shutdown()
        made.server_close()
        thread.join()
