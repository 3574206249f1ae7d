"""Requests that no client sends, or that only a careless one would, and what Kafka answers to them.

Each scene is a row of requests on one connection. What comes back is written down with ids, times and addresses masked, and
compared with `kafka-4.3.1.txt`, which released Kafka wrote (`UPDATE=1 compat-tests/run.sh differential --against kafka`). What
differs and why stands in `differences.txt`; a difference that is not listed, or listed without a reason, fails its scene, and so
does one that is listed and gone. `UPDATE=1` against milena writes that list anew and keeps the reasons; `SHOW=1` prints all.
"""

import os
import pathlib
import re
import time
import uuid

import suite
from scenes import SCENES
from wire import NIL, Wire

HERE = pathlib.Path(__file__).parent
KAFKA = HERE / "kafka-4.3.1.txt"
DIFFERENCES = HERE / "differences.txt"
AGAINST_OURS = os.environ.get("COMPAT_PEER") != "kafka"
UPDATE = bool(os.environ.get("UPDATE"))
# Not compared: how long to hold back, and the counter of metadata changes.
UNTOLD = {"ThrottleTimeMs", "FinalizedFeaturesEpoch"}
MASKS = {"Host": "<host>", "Port": "<port>", "ClusterId": "<cluster>", "LogDir": "<directory>"}
# "Come again": Kafka says so while its internal topics are made and while a new topic settles.
NOT_YET = {5, 14, 15, 16}


class Talk:
    """One scene: asks, and writes down what comes back."""

    def __init__(self):
        self.wire = Wire(suite.BOOTSTRAP)
        self.suffix = uuid.uuid4().hex[:8]
        self.lines, self.known = [], {}

    def name(self, label):
        """A topic, group or member name of this run; written down as `label~`."""
        return f"{label}-{self.suffix}"

    def ask(self, what, api, version, pick=None, **fields):
        """Asks, and writes the answer down, or what `pick` picks from it."""
        answer = self.quiet(api, version, **fields)
        told = answer if answer is None or pick is None else pick(answer)
        self.lines.append((what, "hangs up" if answer is None else self.text(told)))
        return answer

    def quiet(self, api, version, not_yet=frozenset(), **fields):
        deadline = time.monotonic() + 20
        while True:
            answer = self.wire.ask(api, version, **fields)
            if answer is None or time.monotonic() > deadline or not (NOT_YET | not_yet) & set(codes(answer)):
                return answer
            time.sleep(0.1)

    def settle(self):
        """Kafka answers a change before it follows it, and no answer tells when it does."""
        if not AGAINST_OURS:
            time.sleep(0.3)

    def text(self, value, field=""):
        if isinstance(value, dict):
            return "{" + " ".join(f"{k}={self.text(v, k)}" for k, v in value.items() if k not in UNTOLD) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self.text(v, field) for v in value) + "]"
        if value is None or isinstance(value, bool):
            return str(value)
        if isinstance(value, str):
            known = self.known.get(value)
            return MASKS.get(field) if field in MASKS and value else known or "'" + self.masked(value) + "'"
        if isinstance(value, uuid.UUID):
            return "<nil>" if value == NIL else self.numbered("id", value)
        if field in MASKS and value not in (0, -1):
            return MASKS[field]
        if field == "SessionId" and value:
            return self.numbered("session", value)
        if field == "ProducerId" and value >= 0:
            return self.numbered("producer", value)
        if field in ("LogAppendTimeMs", "Timestamp", "LastTimestamp") and value > 1_650_000_000_000:
            return "<now>"
        if field in ("TotalBytes", "UsableBytes") and value > 0:
            return "<bytes>"
        return value.hex() if isinstance(value, bytes) else str(value)

    def numbered(self, kind, value):
        """The first, second … of its kind in this scene."""
        known = self.known.setdefault(kind, [])
        if value not in known:
            known.append(value)
        return f"<{kind} {known.index(value) + 1}>"

    def member(self, answer, label):
        """From here on the member id in an answer is written down under this label."""
        if answer["MemberId"]:
            self.known[answer["MemberId"]] = f"<{label}>"
        return answer["MemberId"]

    def masked(self, text):
        for value, label in self.known.items():
            if isinstance(label, str):
                text = text.replace(value, label)
        for value, label in [(str(v), f"<{kind}>") for kind, all_ in self.known.items() if isinstance(all_, list)
                             for v in all_ if kind in ("id", "producer")]:
            text = text.replace(value, label) if len(value) > 3 else text
        text = re.sub(r"\btest-[0-9a-f]{8}-[0-9a-f-]{27}\b", "<new member>", text)
        text = re.sub(r"\b1[6-9]\d{11}\b", lambda found: found[0] if int(found[0]) < 1_650_000_000_000 else "<now>", text)
        # The lower bound of timestamps: now less Long.MAX_VALUE, wrapped.
        text = re.sub(r"-922337\d{13}\b", "<now less all>", text)
        return text.replace("-" + self.suffix, "~")


def codes(value):
    if isinstance(value, dict):
        for name, one in value.items():
            if name == "ErrorCode":
                yield one
            else:
                yield from codes(one)
    elif isinstance(value, list):
        for one in value:
            yield from codes(one)


def read(path):
    """`scene / what` → (answer, reason)."""
    found, reason = {}, ""
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("#"):
            reason = line[1:].strip()
        elif "\t" in line:
            place, answer = line.split("\t", 1)
            found[place], reason = (answer, reason), ""
    return found


WANT, LISTED, SAID = read(KAFKA), read(DIFFERENCES), {}


def judge(scene, lines):
    complaints = []
    for what, answer in lines:
        place = f"{scene} / {what}"
        assert place not in SAID, f"{place} twice"
        SAID[place] = answer
        if UPDATE:
            continue
        want, listed = WANT.get(place, ("nothing",))[0], LISTED.get(place) if AGAINST_OURS else None
        if listed and listed[0] == answer and answer != want:
            if not listed[1]:
                complaints.append(f"{what}: listed without a reason")
        elif listed:
            complaints.append(f"{what}: listed as another answer than: {answer} Kafka: {want}")
        elif answer != want:
            complaints.append(f"{what}: {answer} Kafka: {want}")
    if os.environ.get("SHOW"):
        for complaint in complaints:
            print("#", scene, complaint, flush=True)
    assert not complaints, f"{len(complaints)} of {len(lines)} differ, first {complaints[0]}"


def write_down():
    """What Kafka said; or, against milena, what differs, with the reasons that are known."""
    if not AGAINST_OURS:
        head = "# What Apache Kafka 4.3.1 answered; written by test_differential.py, see there.\n"
        KAFKA.write_text(head + "".join(f"{place}\t{answer}\n" for place, answer in SAID.items()))
        return
    differs = {place: answer for place, answer in SAID.items() if WANT.get(place, ("",))[0] != answer}
    DIFFERENCES.write_text("".join(
        f"# {LISTED.get(place, ('', ''))[1]}\n{place}\t{answer}\n" for place, answer in differs.items()))


def register(name, scene):
    @suite.test(name, timeout=60)
    def _():
        talk = Talk()
        try:
            scene(talk)
        finally:
            judge(name, talk.lines)


for name, scene in SCENES:
    register(name, scene)

if UPDATE:
    # The suite ends the process itself, so the last of its tests writes.
    suite.test("written-down", timeout=1)(write_down)


suite.main(workers=1)
