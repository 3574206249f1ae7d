"""What the suites written in Python share: a register of tests, one bound per test, and the sample records.

A suite decorates functions with `@test("name")` and ends with `main()`. Tests run side by side on a few threads, since
most of them wait for the broker (a session has to expire, a rebalance has to end). Each prints `ok name` or
`not ok name: reason` (`skip name: reason` if it raised Skip). Topic and group names carry a random suffix, so runs can share a broker.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import uuid

BOOTSTRAP = os.environ.get("BOOTSTRAP_SERVERS", "localhost:9092")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
ACKS = ["0", "1", "all"]
# The shortest session that Kafka's default group.min.session.timeout.ms allows.
SESSION_MS = 6000

_tests = []
_print = threading.Lock()
_children = []


class Skip(Exception):
    """Raised by a test that cannot run here; the reason is printed and counted."""


def test(name, timeout=30):
    """Registers a test; `timeout` is in seconds and starts when the test does."""

    def register(function):
        _tests.append((name, timeout, function))
        return function

    return register


def fresh(label):
    """A topic or group name nobody else has."""
    return f"{label}-{uuid.uuid4().hex[:10]}"


def eq(got, want, what="value"):
    """Asserts equality, and says which thing differed in one line."""
    if got != want:
        raise AssertionError(f"{what}: got {short(got)}, want {short(want)}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def short(value):
    text = repr(value)
    return text if len(text) < 240 else text[:200] + f"… ({len(text)} characters)"


def until(what, question, seconds=20):
    """Asks until the answer is true, and returns it. The wait between questions is a poll, never the result."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(0.05)


def raises(kind, act, what="call"):
    """Asserts that `act` raises `kind` (a class or a tuple of them) and returns the exception."""
    try:
        result = act()
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(f"{what}: raised {type(error).__name__}: {error}, want {kind}") from error
    raise AssertionError(f"{what}: returned {short(result)}, want {kind}")


def sample():
    """Records that a careless broker or codec would change: (key, value, headers, timestamp in ms)."""
    start = 1_600_000_000_000
    records = [
        (b"key", b"value", [], start),
        (None, b"no key", [("h", b"1")], start + 1),
        (b"", b"", [("empty", b"")], start + 2),
        (b"tombstone", None, [], start + 3),
        (bytes(range(256)), bytes(reversed(range(256))), [("bytes", bytes(range(256)))], start + 4),
        ("ключ".encode(), "värde 値".encode(), [("имя", "值".encode())], start + 5),
        (b"repeated header", b"v", [("h", b"1"), ("h", b"2"), ("g", b"3"), ("h", b"1")], start + 6),
        (b"compressible", b"milena " * 3000, [], start + 7),
        (b"incompressible", os.urandom(10_000), [], start + 8),
    ]
    return records + [(b"k%d" % n, b"v%d" % n, [], start + 10 + n) for n in range(20)]


def child(*arguments):
    """Another process of this same suite, for members that are to be killed. Ends with us."""
    process = subprocess.Popen([sys.executable, os.path.abspath(sys.argv[0]), "--child", *arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    _children.append(process)
    return process


def child_says(process, word, seconds=20):
    """Waits for a line of a child that begins with `word`."""
    found = []

    def read():
        for line in process.stdout:
            if line.startswith(word):
                found.append(line.strip())
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(seconds)
    if not found:
        raise AssertionError(f"the other member did not say {word!r} within {seconds} s")
    return found[0]


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(5)


def _reason(error):
    frames = [f for f in traceback.extract_tb(error.__traceback__)]
    mine = [f for f in frames if os.path.basename(f.filename).startswith("test_")] or frames
    where = f" (line {mine[-1].lineno})" if mine else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}{where}"


def main(workers=6, children=None):
    """Runs every test, or those whose name contains one of the arguments. Exits 0 when all are ok."""
    if len(sys.argv) > 1 and sys.argv[1] == "--child":
        (children or {})[sys.argv[2]](*sys.argv[3:])
        os._exit(0)
    if sys.argv[1:] == ["--list"]:
        print("\n".join(name for name, _, _ in _tests))
        return
    chosen = [t for t in _tests if not sys.argv[1:] or any(a in t[0] for a in sys.argv[1:])]
    slots = threading.Semaphore(workers)
    results = {}

    def settle(name, reason, seconds, skipped=None):
        with _print:
            if name in results:
                return
            results[name] = reason
            print(f"skip {name}: {skipped}" if skipped else f"ok {name}" if reason is None else f"not ok {name}: {reason}", flush=True)
            if os.environ.get("COMPAT_TIMES"):
                print(f"# {name} took {seconds:.1f} s", flush=True)
        slots.release()

    def run(name, timeout, function):
        begun, skipped = time.monotonic(), None
        watchdog = threading.Timer(timeout, lambda: settle(name, f"timed out after {timeout} s", timeout))
        watchdog.daemon = True
        watchdog.start()
        try:
            function()
            reason = None
        except Skip as why:
            reason, skipped = None, " ".join(str(why).split())
        except BaseException as error:  # a client may raise anything, and every test must end in one line
            if os.environ.get("COMPAT_TRACE"):
                traceback.print_exc()
            reason = _reason(error)
        watchdog.cancel()
        settle(name, reason, time.monotonic() - begun, skipped)

    # The slowest first: what waits for a session to expire should not start last.
    for name, timeout, function in sorted(chosen, key=lambda t: -t[1]):
        slots.acquire()
        threading.Thread(target=run, args=(name, timeout, function), daemon=True).start()
    for _ in range(workers):
        slots.acquire()
    for process in _children:
        if process.poll() is None:
            process.kill()
    sys.stdout.flush()
    # Not sys.exit: a client thread that hangs must not keep the process.
    os._exit(0 if all(reason is None for reason in results.values()) else 1)
