#!/usr/bin/env python3
"""`slopewise data fetch` against a server of our own. Usage: data_fetch_test.py SLOPEWISE [UNITTEST OPTION]..."""

import gzip
import hashlib
import http.server
import io
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
from pathlib import Path

import numpy as np

SLOPEWISE = ""
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def mnist_like():
    """The four files by name; the first of them is 50 kB and does not compress."""
    random = np.random.default_rng(1)
    files = {}
    for prefix, count in (("train", 500), ("t10k", 10)):
        files[f"{prefix}-images-idx3-ubyte.gz"] = idx(random.integers(0, 256, (count, 10, 10), dtype=np.uint8))
        files[f"{prefix}-labels-idx1-ubyte.gz"] = idx(np.arange(count, dtype=np.uint8) % 3)
    return {name: gzip.compress(content, mtime=0) for name, content in files.items()}


def cifar_like(leave_out=()):
    """The archive as it is published, with two images a batch."""
    packed = io.BytesIO()
    members = {f"data_batch_{i}.bin": bytes([i]) * 2 * 3073 for i in range(1, 6)}
    members |= {"test_batch.bin": bytes([7]) * 2 * 3073, "readme.html": b"<p>no data</p>",
                "batches.meta.txt": b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            if name in leave_out:
                continue
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by name, with ranges, until told to behave otherwise."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.requests = []     # (path, Range or None)
        self.cuts = []         # after how many bytes of the body each of the next requests is cut
        self.ranges = True
        self.status = None     # instead of any content
        self.redirect = None   # to here
        self.stall = None      # after so many bytes, until `release`
        self.release = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def ranges_of(self, name):
        return [asked for path, asked in self.requests if path == "/" + name]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers["Range"]))
        self.close_connection = True
        if server.redirect and not self.path.startswith("/moved/"):
            return self.answer(302, {"Location": server.redirect + self.path}, b"moved")
        content = server.files.get(self.path.rsplit("/", 1)[-1])
        if server.status or content is None:
            return self.answer(server.status or 404, {}, b"no such thing")
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if not asked or not server.ranges:
            return self.answer(200, {}, content)
        first = int(asked[1])
        if first >= len(content):
            return self.answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
        headers = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        self.answer(206, headers, content[first:])

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, value)
        self.end_headers()
        if status < 300 and self.server.cuts:
            body = body[:self.server.cuts.pop(0)]
        if status < 300 and self.server.stall is not None:
            self.wfile.write(body[:self.server.stall])
            self.server.release.wait(60)
            body = body[self.server.stall:]
        try:
            self.wfile.write(body)
        except OSError:  # the client has gone
            pass


class FetchTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.out = self.directory / "mnist"
        self.part = self.out / (TRAIN_IMAGES + ".part")
        self.files = mnist_like()
        self.image_bytes = self.files[TRAIN_IMAGES]
        self.write_sums(self.files)
        self.server = Server(dict(self.files))
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def write_sums(self, files):
        lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
        (self.directory / "sums").write_text("".join(lines))

    def start(self, *options, environment=None, **popen):
        inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return subprocess.Popen([SLOPEWISE, "data", *map(str, options)], cwd=self.directory, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={**inherited, **(environment or {})}, **popen)

    def start_fetch(self, name="mnist", *options, **popen):
        return self.start("fetch", name, "--from", self.server.url, "--sums", "sums", *options, **popen)

    def fetched(self, *arguments, **popen):
        process = self.start_fetch(*arguments, **popen)
        out, error = process.communicate(timeout=120)
        self.assertEqual((process.returncode, error), (0, ""))
        return out

    def refused(self, code, process, *messages):
        out, error = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, error)
        self.assertTrue(error.startswith("slopewise: "), error)
        for message in messages:
            self.assertIn(message, error)
        return error

    def check_whole(self):
        found = {path.name: path.read_bytes() for path in self.out.iterdir()}
        self.assertEqual(found, self.files)

    def put_part(self, content):
        self.out.mkdir()
        self.part.write_bytes(content)

    # --- what works

    def test_whole(self):
        out = self.fetched()
        self.check_whole()
        self.assertEqual(len(self.server.requests), 4)
        self.assertIn(f"mnist/{TRAIN_IMAGES}  ", out)
        self.assertIn(f"from {self.server.url}/{TRAIN_IMAGES}", out)
        self.assertIn("slopewise data show mnist", out)
        self.assertEqual(self.out.joinpath(TRAIN_IMAGES).stat().st_mode & 0o777, 0o644)
        shown, _ = self.start("show", "mnist").communicate(timeout=60)
        self.assertIn("mnist: IDX, images (10, 10, 1), 3 classes", shown)
        # What is there is checked, not fetched; what is not is fetched alone.
        self.assertEqual(self.fetched().count("was there"), 4)
        self.assertEqual(len(self.server.requests), 4)
        (self.out / TRAIN_IMAGES).unlink()
        self.assertEqual(self.fetched("mnist", "--out", self.out, "--quiet").count("was there"), 3)
        self.check_whole()
        self.assertEqual(len(self.server.requests), 5)

    def test_a_cut_connection_is_taken_up(self):
        self.server.cuts = [1000, 20_000]
        self.fetched()
        self.check_whole()
        self.assertEqual(self.server.ranges_of(TRAIN_IMAGES), [None, "bytes=1000-", "bytes=21000-"])

    def test_a_later_call_goes_on(self):
        self.server.cuts = [1000, 0]
        self.refused(1, self.start_fetch(), TRAIN_IMAGES, "1000 bytes are kept in mnist/" + self.part.name)
        self.assertEqual(self.part.read_bytes(), self.image_bytes[:1000])
        self.fetched()
        self.check_whole()
        self.assertEqual(self.server.ranges_of(TRAIN_IMAGES), [None, "bytes=1000-", "bytes=1000-"])

    def test_servers_without_ranges(self):
        self.server.ranges = False
        self.put_part(self.image_bytes[:1000])
        self.fetched()
        self.check_whole()
        self.assertEqual(self.server.ranges_of(TRAIN_IMAGES), ["bytes=1000-"])

    def test_parts_that_are_whole_or_of_something_else(self):
        size = len(self.image_bytes)
        for part, asked in ((self.image_bytes, [f"bytes={size}-"]),
                            (self.image_bytes + b"more", [f"bytes={size + 4}-", None]),
                            (bytes(1000), ["bytes=1000-", None])):
            with self.subTest(part=part[:4], bytes=len(part)):
                self.server.requests.clear()
                self.put_part(part)
                self.fetched()
                self.check_whole()
                self.assertEqual(self.server.ranges_of(TRAIN_IMAGES), asked)
                for path in self.out.iterdir():
                    path.unlink()
                self.out.rmdir()

    def test_redirection(self):
        self.server.redirect = self.server.url + "/moved"
        self.put_part(self.image_bytes[:1000])
        self.fetched()
        self.check_whole()
        self.assertIn((f"/moved/{TRAIN_IMAGES}", "bytes=1000-"), self.server.requests)
        self.server.redirect = "file:///dev/null#"
        (self.out / TRAIN_IMAGES).unlink()
        self.refused(1, self.start_fetch(), TRAIN_IMAGES, 'Protocol "file"')

    def test_cifar10(self):
        archive = "cifar-10-binary.tar.gz"
        self.server.files = {archive: cifar_like()}
        self.write_sums(self.server.files)
        self.assertIn("unpacked data_batch_1.bin, ", self.fetched("cifar10"))
        names = {path.name for path in (self.directory / "cifar10").iterdir()}
        self.assertEqual(names, {archive, "test_batch.bin", "batches.meta.txt",
                                 *(f"data_batch_{i}.bin" for i in range(1, 6))})
        shown, _ = self.start("show", "cifar10", "--json").communicate(timeout=60)
        self.assertIn('"format": "CIFAR-10"', shown)
        for content, message in ((cifar_like({"data_batch_3.bin"}), f"broken/{archive}: lacks data_batch_3.bin"),
                                 (gzip.compress(bytes(300)), "expected a whole tar archive: "),
                                 (gzip.compress(gzip.decompress(cifar_like())[:3000]), "expected a whole tar archive: Truncated"),
                                 (gzip.compress(b"no archive" * 100), "expected a whole tar archive: Unrecognized"),
                                 (cifar_like()[:-20], "compressed data end early")):
            self.server.files = {archive: content}
            self.write_sums(self.server.files)
            (self.directory / "broken" / archive).unlink(missing_ok=True)
            self.refused(1, self.start_fetch("cifar10", "--out", "broken"), message)

    # --- what does not

    def test_wrong_content(self):
        self.server.files[TRAIN_IMAGES] = self.image_bytes[:-1] + b"?"
        self.refused(1, self.start_fetch(), f"{self.server.url}/{TRAIN_IMAGES}: SHA-256 is ",
                     f"expected {hashlib.sha256(self.image_bytes).hexdigest()}")
        self.assertEqual(list(self.out.iterdir()), [])

    def test_a_file_of_other_content_is_left_alone(self):
        self.out.mkdir()
        (self.out / TRAIN_IMAGES).write_bytes(b"mine")
        self.refused(1, self.start_fetch(), f"mnist/{TRAIN_IMAGES}: SHA-256 is ", "remove the file to fetch it anew")
        self.assertEqual((self.out / TRAIN_IMAGES).read_bytes(), b"mine")
        self.assertEqual(self.server.requests, [])

    def test_http_errors(self):
        for self.server.status in (404, 503):
            error = self.refused(1, self.start_fetch(), f"{TRAIN_IMAGES}: HTTP status {self.server.status}")
            self.assertNotIn("kept", error)
            self.assertEqual(list(self.out.iterdir()), [])

    def test_no_server(self):
        with socket.socket() as unused:  # bound, but not listening
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            self.refused(1, self.start("fetch", "mnist", "--from", url), f"{url}/{TRAIN_IMAGES}: Failed to connect")
        self.refused(1, self.start("fetch", "mnist", "--from", "http://nowhere.invalid/"), "nowhere.invalid")

    def test_every_mirror_is_tried(self):
        """The public mirrors, seen through a proxy that has other files, of which one is too long, and no tunnels."""
        proxies = {"http_proxy": self.server.url, "https_proxy": self.server.url}
        first = f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{TRAIN_IMAGES}"
        error = self.refused(1, self.start("fetch", "fashion-mnist", environment=proxies),
                             f"fashion-mnist/{TRAIN_IMAGES}: cannot be downloaded", f"{first}: SHA-256 is ",
                             "expected 3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                             f"/zalandoresearch/fashion-mnist/master/data/fashion/{TRAIN_IMAGES}: ")
        self.assertEqual(len(error.splitlines()), 3, error)
        self.server.files[TRAIN_IMAGES] = bytes(26_421_881)
        self.refused(1, self.start("fetch", "fashion-mnist", environment=proxies),
                     f"{first}: more than the expected 26421880 bytes came")
        self.assertEqual(list((self.directory / "fashion-mnist").iterdir()), [])

    def test_no_room(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        # Python ignores the signal that the limit sends; so must the program, to see the error instead.
        process = self.start_fetch("mnist", preexec_fn=limit, restore_signals=False)
        self.refused(1, process, f"mnist/{self.part.name}: cannot write: File too large")
        self.assertEqual(self.part.stat().st_size, 20_000)
        self.fetched()
        self.check_whole()
        (self.directory / "file").write_text("")
        self.refused(1, self.start_fetch("mnist", "--out", "file"), "file: ")

    def test_interrupted_and_only_one_at_a_time(self):
        self.server.stall = 1000
        process = self.start_fetch()
        for _ in range(600):
            if self.part.exists() and self.part.stat().st_size == 1000:
                break
            time.sleep(0.1)
        self.refused(1, self.start_fetch(), f"{self.part.name}: another process is downloading this file")
        process.send_signal(signal.SIGINT)
        self.refused(130, process, "interrupted while downloading; what has come is kept")
        self.assertEqual(self.part.read_bytes(), self.image_bytes[:1000])
        self.server.stall = None
        self.server.release.set()
        self.fetched()
        self.check_whole()
        self.assertEqual(self.server.ranges_of(TRAIN_IMAGES), [None, "bytes=1000-"])

    def test_a_server_that_sends_too_much(self):
        self.server.files["train-labels-idx1-ubyte.gz"] = b"\0" * 200_000
        self.refused(1, self.start_fetch(), "more than the expected 115524 bytes came")

    def test_sums_are_no_larger_than_they_may_be(self):
        with open(self.directory / "large", "wb") as file:
            file.truncate(1 << 34)
        self.refused(1, self.start("fetch", "mnist", "--sums", "large"), "expected 16777216 at most")

    def test_wrong_usage(self):
        self.refused(2, self.start("fetch"), "NAME: expected one, found none")
        self.refused(2, self.start("fetch", "mnits"), "expected one of mnist, fashion-mnist, cifar10, found mnits")
        self.refused(2, self.start("fetch", "mnist", "--from", "ftp://host/"), "--from: expected a URL")
        self.refused(1, self.start("fetch", "mnist", "--sums", "nowhere"), "nowhere: expected a file, found nothing there")
        self.refused(1, self.start("fetch", "mnist", "--sums", "."), ".: expected a file, found a directory")
        (self.directory / "sums").write_text("1234  " + TRAIN_IMAGES)
        self.refused(1, self.start_fetch(), "sums: expected lines of a SHA-256 and a name")
        (self.directory / "sums").write_text("")
        self.refused(1, self.start_fetch(), f"sums: found no sum of {TRAIN_IMAGES}")
        self.assertFalse(self.out.exists())


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
