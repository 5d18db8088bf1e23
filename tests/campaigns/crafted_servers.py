"""Servers on this machine that answer a download as no server should."""

import http.server
import random
import threading

DATA = b"no archive at all, " * 1000


def reply(handler, code, body=b"", **headers):
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    if "Content_Length" not in headers and "Transfer_Encoding" not in headers:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def raw(handler, data):
    handler.wfile.write(data)
    handler.close_connection = True


# What it says to every request.
ANSWERS = {
    "404": lambda h: reply(h, 404, b"not here"),
    "403": lambda h: reply(h, 403),
    "500": lambda h: reply(h, 500, b"<html>sorry</html>"),
    "416": lambda h: reply(h, 416, Content_Range="bytes */5"),
    "204": lambda h: reply(h, 204),
    "other bytes": lambda h: reply(h, 200, DATA),
    "empty": lambda h: reply(h, 200),
    "a web page": lambda h: reply(h, 200, b"<!doctype html><html><body>log in first</body></html>", Content_Type="text/html"),
    "gzip of nothing": lambda h: reply(h, 200, b"\x1f\x8b\x08\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0"),
    "redirects to itself": lambda h: reply(h, 302, Location=h.path),
    "redirects to a file": lambda h: reply(h, 302, Location="file:///etc/passwd"),
    "redirects nowhere": lambda h: reply(h, 301),
    "says less than it sends": lambda h: reply(h, 200, DATA, Content_Length="10"),
    "says 2^62 bytes": lambda h: reply(h, 200, DATA, Content_Length=str(2 ** 62)),
    "says -1 bytes": lambda h: reply(h, 200, DATA, Content_Length="-1"),
    "chunks that are none": lambda h: reply(h, 200, b"zz\r\nnothing\r\n", Transfer_Encoding="chunked"),
    "another part": lambda h: reply(h, 206, DATA, Content_Range="bytes 7-99/100"),
    "other encoding": lambda h: reply(h, 200, DATA, Content_Encoding="br"),
    "a megabyte of headers": lambda h: reply(h, 200, DATA, X="y" * 1_000_000),
    "control characters": lambda h: raw(h, b"HTTP/1.1 200 \x1b[31mred\x1b[0m\r\nContent-Length: 2\r\n\r\nok"),
    "no HTTP": lambda h: raw(h, b"\0\1\2\3" * 100),
    "nothing": lambda h: raw(h, b""),
}


def served(answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            try:
                ANSWERS[answer](self)
            except OSError:  # the program had enough
                self.close_connection = True

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):  # the program had enough
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def trial(space, seed, number):
    chance = random.Random(f"server {seed} {number}")
    answer, begun, name = chance.choice(sorted(ANSWERS)), chance.random() < .3, chance.choice(["cifar10", "cifar100"])
    folder = space.new_folder()
    target = folder / "data"
    target.mkdir()
    server = served(answer)
    try:
        arguments = ["data", "fetch", name, target, "--url", f"http://127.0.0.1:{server.server_port}/a.tar.gz"]
        results = [space.run(arguments, folder / "cache", seconds=90)]
        if begun:  # and once more on what the first one left
            results.append(space.run(arguments, folder / "cache", seconds=90))
    finally:
        server.shutdown()
        server.server_close()
    wrong = [one for result in results for one in result.complaints()]
    if any(result.code == 0 for result in results):
        wrong.append("took it for the archive")
    if any("\x1b[31m" in result.err for result in results):
        wrong.append("control characters reach the terminal")
    # A part to go on from may stay, and what was no archive, to look at.
    left = [path.name for path in target.rglob("*") if path.is_file() and not path.name.endswith((".part", ".wrong"))]
    if left:
        wrong.append("left behind: " + ", ".join(left[:3]))
    return [f"server, {answer}, {name}: {one}" for one in wrong], 1
