"""A small Hugging Face hub on 127.0.0.1 for the tests, with models that misbehave in one way each.

Prints one line of JSON with the ports of the hub and of the "CDN", to which it redirects large files, then serves until
its standard input ends. GET /_log gives the requests so far: [{"server", "method", "path", "headers"}].
"""
import hashlib
import http.server
import json
import random
import sys
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BIG = 1 << 20
PLAIN = {"config.json": 300, "tokenizer.json": 5000, "1_Pooling/config.json": 60, "model.safetensors": BIG,
         "pytorch_model.bin": 2000, "onnx/model.onnx": 2000, "README.md": 50, "empty.json": 0}
ONE = {"model.safetensors": BIG}
MODELS = {
    "plain": PLAIN, "unsized": PLAIN, "gguf": {"m-Q4_K_M.gguf": 5000, "m-Q8_0.gguf": 7000, "README.md": 50},
    "cut": ONE, "no-range": ONE, "changed": ONE, "stall": ONE, "slow": ONE, "held": ONE, "flaky": ONE, "down": ONE, "wrong-hash": ONE,
    "too-long": ONE, "too-short": ONE, "endless": ONE, "lying-range": ONE, "pickle": {"pytorch_model.bin": 100, "config.json": 9},
    "big": ONE, "single": ONE, "secret": PLAIN,
}
HOSTILE = ["../../evil.json", "/etc/evil.json", "a/../../evil.json", "a//b.json", "a\\..\\b.json", "./a.json", "a/\u0001.json",
           "", "x" * 300 + ".json", "dir/"]

log, counts, lock, released = [], {}, threading.Lock(), threading.Event()


def content(name, size):
    return random.Random(name).randbytes(size)


def is_large(size):
    return size > 4000


def digest(name, size):
    data = content(name, size)
    return hashlib.sha256(data).hexdigest() if is_large(size) else hashlib.sha1(b"blob %d\0" % size + data).hexdigest()


def count(key):
    with lock:
        counts[key] = counts.get(key, 0) + 1
        return counts[key]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/_log":
            return self.reply(200, json.dumps(log).encode())
        if url.path == "/_release":  # lets the second half of "held" go
            released.set()
            return self.reply(200)
        with lock:
            log.append({"server": self.server.name, "method": self.command, "path": self.path,
                        "headers": {key.lower(): value for key, value in self.headers.items()}})
        parts = urllib.parse.unquote(url.path).strip("/").split("/")
        if parts[0] == "cdn":
            return self.send_file(parts[1], "/".join(parts[2:]))
        if parts[:2] == ["api", "models"]:
            return self.send_listing(parts[3], "/".join(parts[5:]))
        self.send_resolved(parts[1], "/".join(parts[4:]))

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, message):
        self.reply(status, json.dumps({"error": message}).encode(), X_Error_Code=code, X_Error_Message=message)

    def send_listing(self, model, revision):
        if model == "gated":
            return self.error(403, "GatedRepo", "Access to model test/gated is restricted")
        if model == "secret" and self.headers.get("Authorization") != "Bearer hf_right":
            return self.error(401, "RepoNotFound", "Invalid username or password.")
        if model == "renamed":
            return self.reply(307, Location="/api/models/test/plain/revision/main?blobs=true")
        if model == "circle":
            return self.reply(302, Location=self.path)
        if model == "flaky" and count("flaky") < 3 or model == "down":
            return self.reply(503)
        if model == "busy" and count("busy") < 2:
            return self.reply(429, Retry_After="0.01")
        if model == "babble":
            return self.reply(200, b"<html>not a hub</html>")
        if model == "hostile":
            name = HOSTILE[int(revision)] if revision.isdigit() else revision
            listing = {"sha": COMMIT, "siblings": [{"rfilename": name, "size": 1, "blobId": "0" * 40}]}
            return self.reply(200, json.dumps(listing).encode())
        if model not in MODELS and model != "busy":
            return self.error(404, "RepoNotFound", "Repository not found")
        if revision not in ("main", "v1", "refs/pr/1", COMMIT):
            return self.error(404, "RevisionNotFound", "Invalid rev id: " + revision)
        siblings = []
        for name, size in MODELS.get(model, PLAIN).items():
            sibling = {"rfilename": name}
            if model != "unsized":
                sibling["size"] = size if model != "big" else 1 << 49
                sibling["blobId"] = hashlib.sha1(name.encode()).hexdigest() if is_large(size) else digest(name, size)
                if is_large(size):
                    sibling["lfs"] = {"sha256": digest(name, size), "size": sibling["size"], "pointerSize": 130}
            siblings.append(sibling)
        self.reply(200, json.dumps({"id": "test/" + model, "sha": COMMIT, "siblings": siblings}).encode())

    def send_resolved(self, model, name):
        size = MODELS.get(model, PLAIN).get(name)
        if size is None:
            return self.error(404, "EntryNotFound", "Entry not found")
        if model == "secret" and self.headers.get("Authorization") != "Bearer hf_right":
            return self.error(401, "RepoNotFound", "Invalid username or password.")
        if not is_large(size):
            return self.reply(200, content(name, size), ETag='"%s"' % digest(name, size))
        self.reply(302, Location="http://127.0.0.1:%d/cdn/%s/%s" % (cdn.server_port, model, name),
                   X_Linked_ETag='"%s"' % digest(name, size), X_Linked_Size=str(size), X_Repo_Commit=COMMIT)

    def send_file(self, model, name):
        data = content(name, MODELS.get(model, PLAIN)[name])
        times = count("file " + model) if self.command == "GET" else 0
        if model == "wrong-hash":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if model == "too-long":
            data += b"more"
        if model == "too-short":
            data = data[:-4]
        etag = '"v%d"' % times if model == "changed" else '"cdn-etag"'
        first, asked = 0, self.headers.get("Range")
        if asked and model != "no-range" and self.headers.get("If-Range", etag) == etag:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first >= len(data):
                return self.reply(416, Content_Range="bytes */%d" % len(data))
        self.send_response(206 if first else 200)
        if model != "endless":
            self.send_header("Content-Length", str(len(data) - first))
        if first:
            begin = first + 7 if model == "lying-range" and times < 3 else first
            self.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(data) - 1, len(data)))
        self.send_header("ETag", etag)
        self.close_connection = model == "endless"
        self.end_headers()
        if self.command == "HEAD":
            return
        rest = data[first:]
        try:
            if model in ("cut", "no-range", "changed", "lying-range", "stall") and times == 1:
                self.wfile.write(rest[:len(rest) // 2])
                self.wfile.flush()
                if model == "stall":
                    time.sleep(4)
                self.close_connection = True
            elif model == "held" and times == 1:
                self.wfile.write(rest[:len(rest) // 2])
                self.wfile.flush()
                released.wait(60)
                self.wfile.write(rest[len(rest) // 2:])
            elif model == "slow":
                for at in range(0, len(rest), 1 << 14):
                    self.wfile.write(rest[at:at + (1 << 14)])
                    time.sleep(0.01)
            elif model == "endless":
                for _ in range(40):
                    self.wfile.write(rest)
            else:
                self.wfile.write(rest)
        except OSError:
            self.close_connection = True  # the other side has had enough


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        if not isinstance(sys.exc_info()[1], OSError):  # the other side may hang up at any time
            super().handle_error(request, address)


def start(name):
    server = Server(("127.0.0.1", 0), Handler)
    server.name = name
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


hub, cdn = start("hub"), start("cdn")
print(json.dumps({"hub": hub.server_port, "cdn": cdn.server_port}), flush=True)
sys.stdin.read()
