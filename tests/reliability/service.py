"""``ner serve`` under load, disturbed and attacked, only on the loopback interface; each case starts its own server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from ner.commands import train
from ner.export.export import export
from ner.model.saving import save
from tests.builders import build, documents, settings
from tests.reliability.report import Case, main
from tests.service.builders import Process, ask

PROMISE = (
    "An overloaded service answers 200 or 429 and stays fast and small, SIGTERM loses no request, batches pay, and no "
    "request makes it fail."
)
SENTENCE = "Ada Lovelace met Charles Babbage of the University of Cambridge in London , and wrote about it in Nature . "
CLIENTS = 16
KEEP_ALIVE = 3
"""Seconds without a request after which a client opens a new connection; the server closes its side after 5."""


class LostError(Exception):
    """A request that was sent on an accepted connection and not answered."""


class Client:
    """A keep-alive connection that counts what it sends."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.used = 0.0

    async def ask(self, body: bytes, path: str = "/tag") -> tuple[int, bytes]:
        """Return status and content.

        Raises:
            ConnectionRefusedError: If the server no longer listens.
            LostError: If the connection ends before the answer.
        """
        if time.perf_counter() - self.used > KEEP_ALIVE:
            self.close()
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        try:
            writer.write(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)))
            writer.write(body)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            content = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise LostError(repr(error)) from error
        self.used = time.perf_counter()
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), content

    def close(self) -> None:
        """Close the connection."""
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


class Load:
    """Statuses and seconds of requests."""

    def __init__(self) -> None:
        self.seconds: dict[int, list[float]] = {}
        self.elapsed = 0.0

    def add(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.seconds.setdefault(status, []).append(seconds)

    def rate(self, status: int = 200) -> float:
        """Return the answers with a status per second."""
        return len(self.seconds.get(status, ())) / self.elapsed

    def p99(self, status: int = 200) -> float:
        """Return the 99th percentile of the seconds of answers with a status."""
        values = sorted(self.seconds.get(status, [0.0]))
        return values[min(len(values) - 1, math.ceil(0.99 * len(values)) - 1)]


async def closed_loop(port: int, body: bytes, clients: int, seconds: float) -> Load:
    """Send requests from clients that wait for each answer."""
    load, end = Load(), time.perf_counter() + seconds

    async def client() -> None:
        connection = Client(port)
        while (started := time.perf_counter()) < end:
            status, _ = await connection.ask(body)
            load.add(status, time.perf_counter() - started)
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    load.elapsed = time.perf_counter() - started
    return load


async def open_loop(port: int, body: bytes, rate: float, seconds: float, most: int = 1000) -> Load:
    """Send requests at a rate, whether earlier ones are answered or not, on at most ``most`` connections."""
    load, free, tasks = Load(), [Client(port) for _ in range(most)], set()

    async def send(connection: Client) -> None:
        begun = time.perf_counter()
        status, _ = await connection.ask(body)
        load.add(status, time.perf_counter() - begun)
        free.append(connection)

    started, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - started) < seconds:
        while sent < now * rate and free:
            task = asyncio.create_task(send(free.pop()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(0.002)
    load.elapsed = time.perf_counter() - started
    load.seconds[0] = [0.0] * sent
    await asyncio.gather(*tasks)
    for connection in free:
        connection.close()
    return load


@cache
def workspace() -> Path:
    """The folder of the experiment, which is removed at the end."""
    folder = tempfile.TemporaryDirectory(prefix="service-")
    workspace.folder = folder  # type: ignore[attr-defined]
    return Path(folder.name)


@cache
def model(name: str) -> Path:
    """The export of a model: ``tiny`` is the recipe, ``minilm`` the bundled encoder with random tag scores."""
    run = workspace() / name
    with contextlib.redirect_stdout(io.StringIO()):
        if name == "tiny":
            assert train.main(["--config", "tiny", "--run", str(run)]) == 0
        else:
            config = settings("all-MiniLM-L6-v2", decoder={"name": "crf"}, encoder__pooling="first")
            save(build(config, documents()).eval(), config, run)
    export(run, workspace() / f"{name}-export")
    return workspace() / f"{name}-export"


def memory(process: Process) -> float:
    """Return the resident memory of a server in MB."""
    pages = Path(f"/proc/{process.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def request(sentences: int = 1, **options: Any) -> bytes:
    """Return the body of a request."""
    return json.dumps({"text": SENTENCE * sentences, **options}).encode()


def require(condition: bool, figure: str) -> None:
    """Check a condition; its figure is the reason of a failure."""
    if not condition:
        raise AssertionError(figure)


def overload(name: str, sentences: int, seconds: float = 20) -> str:
    """Offer ten times the peak, whose rate is the mean of those before and after."""
    body = request(sentences)
    with Process(model(name)) as process:
        process.wait_until_ready()
        asyncio.run(closed_loop(process.port, body, 4 * CLIENTS, 3))
        peaks = [asyncio.run(closed_loop(process.port, body, 4 * CLIENTS, 8)).rate()]
        before = memory(process)
        load = asyncio.run(open_loop(process.port, body, 10 * peaks[0], seconds))
        growth = memory(process) - before
        offered = len(load.seconds.pop(0)) / load.elapsed / peaks[0]
        peaks.append(asyncio.run(closed_loop(process.port, body, 4 * CLIENTS, 8)).rate())
        peak = sum(peaks) / 2  # the speed of a shared machine changes
        require(ask(process.port, body=body).status == 200, "the next request is not answered")
    figure = (
        f"{peak:.0f} requests/s at the peak; {offered:.1f} times as many offered for {seconds:g} s: statuses "
        f"{sorted(load.seconds)}, goodput {load.rate() / peak:.0%} of the peak, rejections {load.rate(429):.0f}/s with "
        f"p99 {1000 * load.p99(429):.0f} ms, memory {growth:+.0f} MB"
    )
    good = load.rate() >= 0.9 * peak and load.p99(429) < 0.1 and growth < 50 and offered > 9
    require(good and {*load.seconds} == {200, 429}, figure)
    return figure


def batching(name: str, seconds: float = 8) -> str:
    """Compare 16 clients with and without batches, and with a single client."""
    loads = {}
    for kind, options in (("batches", ()), ("one", ("--batch-pieces", "1"))):
        with Process(model(name), *options) as process:
            process.wait_until_ready()
            asyncio.run(closed_loop(process.port, request(), CLIENTS, 2))
            if kind == "batches":
                loads["alone"] = asyncio.run(closed_loop(process.port, request(), 1, seconds))
            loads[kind] = asyncio.run(closed_loop(process.port, request(), CLIENTS, seconds))
    gain = loads["batches"].rate() / loads["one"].rate()
    slower = loads["batches"].p99() / loads["alone"].p99()
    figure = (
        f"{loads['batches'].rate():.0f} requests/s, {gain:.2f} times those of batch size 1; p99 "
        f"{1000 * loads['batches'].p99():.0f} ms, {slower:.1f} times that of a single client "
        f"({1000 * loads['alone'].p99():.0f} ms; {1000 * loads['one'].p99():.0f} ms with batch size 1)"
    )
    require(gain >= 1.5 and slower <= 3, figure)
    return figure


async def until_drained(process: Process, number: int) -> Counter[str]:
    """Send requests from 16 clients, then a signal; clients stop when the service drains."""
    counts: Counter[str] = Counter()
    signalled = False

    async def client() -> None:
        connection = Client(process.port)
        while True:
            try:
                status, _ = await connection.ask(request())
            except ConnectionRefusedError:
                return
            except LostError:
                counts["lost"] += 1
                return
            counts[str(status)] += 1
            if status == 503 and signalled:
                connection.close()
                return

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    while counts["200"] < 120:
        await asyncio.sleep(0.005)
    signalled = True
    process.process.send_signal(number)
    await asyncio.gather(*clients)
    return counts


def restarts(workers: int, times: int = 20) -> str:
    """Restart a server under load."""
    counts: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(times):
        with Process(model("tiny"), "--workers", str(workers)) as process:
            process.wait_until_ready()
            counts += asyncio.run(until_drained(process, 15))
            started = time.perf_counter()
            require(process.stop(0) == 0, f"exit code {process.process.returncode}")
            slowest = max(slowest, time.perf_counter() - started)
    accepted = counts["200"] + counts["lost"]
    figure = f"{counts['lost']} of {accepted} accepted requests lost in {times} restarts; exit within {slowest:.1f} s"
    require(not counts["lost"] and accepted >= 100 * times and {*counts} <= {"200", "503", "lost"}, figure)
    return figure


def start(name: str, times: int = 5) -> str:
    """Measure the seconds from the start of the process until it is ready."""
    seconds = []
    model(name)
    for _ in range(times):
        started = time.perf_counter()
        with Process(model(name)) as process:
            process.wait_until_ready()
            seconds.append(time.perf_counter() - started)
    figure = f"median {sorted(seconds)[times // 2]:.2f} s, at most {max(seconds):.2f} s"
    require(sorted(seconds)[times // 2] <= 2, figure)
    return figure


def same_answers(name: str) -> str:
    """Compare answers under load with those of single requests."""
    generator = random.Random(0)
    words = [*SENTENCE.split(), "\u200b", "中国", "😀", "x" * 40]
    bodies = [
        json.dumps({"text": " ".join(generator.choices(words, k=generator.randint(1, 60))), "n_best": 0}).encode()
        for _ in range(300)
    ]

    async def together(port: int) -> list[bytes]:
        clients = [Client(port) for _ in range(CLIENTS)]
        answers: dict[int, bytes] = {}

        async def client(number: int) -> None:
            for index in range(number, len(bodies), CLIENTS):
                answers[index] = (await clients[number].ask(bodies[index]))[1]
            clients[number].close()

        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        return [answers[index] for index in range(len(bodies))]

    def spans(content: bytes) -> list[Any]:
        return [(e["start"], e["end"], e["label"]) for e in json.loads(content)["documents"][0]["entities"]]

    with Process(model(name)) as process:
        process.wait_until_ready()
        alone = [spans(ask(process.port, body=body).body) for body in bodies]
        batched = [spans(content) for content in asyncio.run(together(process.port))]
    different = sum(one != other for one, other in zip(alone, batched, strict=True))
    require(not different, f"{different} of {len(bodies)} answers differ")
    return f"{sum(map(len, alone))} spans of {len(bodies)} texts are the same alone and in batches"


FUZZ: dict[str, tuple[set[int], Callable[[random.Random], bytes]]] = {}
"""Kind of request -> permitted statuses and a maker of bodies."""


def fuzz(kind: str, *statuses: int) -> Callable[[Callable[[random.Random], bytes]], Callable[[random.Random], bytes]]:
    """Register a maker of bodies."""

    def register(make: Callable[[random.Random], bytes]) -> Callable[[random.Random], bytes]:
        FUZZ[kind] = ({*statuses}, make)
        return make

    return register


@fuzz("random bytes", 400)
def _bytes(generator: random.Random) -> bytes:
    return b"\xff" + generator.randbytes(generator.randint(0, 2000))


@fuzz("wrong types", 422)
def _types(generator: random.Random) -> bytes:
    wrong = [None, 99, -1.5, True, [], {}, [[]], [1], ["a", 1], [["a", ""]], {"text": "a"}, 10**400, ["a", None]]
    field = generator.choice(["text", "texts", "words", "sentences", "n_best", "probabilities", "unknown"])
    value = generator.choice(wrong if field != "probabilities" else [value for value in wrong if value is not True])
    base = {} if field in ("text", "texts", "words", "sentences") else {"text": "a"}
    return json.dumps({**base, field: value}).encode()


@fuzz("several inputs", 422)
def _several(generator: random.Random) -> bytes:
    inputs = {"text": "a", "texts": ["a"], "words": ["a"], "sentences": [["a"]]}
    return json.dumps({name: inputs[name] for name in generator.sample([*inputs], generator.randint(2, 4))}).encode()


@fuzz("huge bodies", 413)
def _huge(generator: random.Random) -> bytes:
    return json.dumps({"text": "a" * generator.randint(1 << 20, 3 << 20)}).encode()


@fuzz("deep JSON", 400, 422)
def _deep(generator: random.Random) -> bytes:
    depth = generator.randint(50, 100_000)
    opening, closing = generator.choice([(b"[", b"]"), (b'{"text":', b"}")])
    return opening * depth + (b"1" + closing * depth if generator.random() < 0.5 else b"")


@fuzz("invalid UTF-8", 400)
def _invalid(generator: random.Random) -> bytes:
    broken = generator.choice([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\\ud83d", b"\xe4\xb8"])
    return b'{"text": "' + b"a" * generator.randint(0, 99) + broken + b'"}'


@fuzz("cut JSON", 400)
def _cut(generator: random.Random) -> bytes:
    body = request(2)
    return body[: generator.randrange(len(body))]


@fuzz("texts without visible characters", 200)
def _invisible(generator: random.Random) -> bytes:
    text = "".join(
        generator.choices("\u200b\u200c\u200d\u2060\ufeff\u00ad \n\t\x00\u202e", k=generator.randint(0, 500))
    )
    return json.dumps({"text": text, "split_into_sentences": generator.random() < 0.5}).encode()


@fuzz("random Unicode", 200)
def _unicode(generator: random.Random) -> bytes:
    codes = (generator.choice([generator.randrange(0xD800), generator.randrange(0xE000, 0x110000)]) for _ in range(300))
    return json.dumps({"text": "".join(map(chr, codes)), "with_words": True}).encode()


def fuzzed(kind: str, number: int) -> str:
    """Send hostile requests of a kind; each has its status, and the next request is right."""
    statuses, make = FUZZ[kind]
    generator = random.Random(kind)
    found: Counter[int] = Counter()
    with Process(model("tiny")) as process:
        process.wait_until_ready()
        right = ask(process.port, body=request()).body
        for _ in range(number):
            body = make(generator)
            status = ask(process.port, body=body).status
            require(status in statuses, f"status {status}, expected {statuses}, for {body[:80]!r}")
            found[status] += 1
            require(ask(process.port, body=request()).body == right, f"wrong answer after {body[:80]!r}")
        require(process.process.poll() is None, "the process has ended")
    return ", ".join(f"{count} times {status}" for status, count in sorted(found.items()))


def slow(number: int = 50) -> str:
    """Open connections that send their body slowly, and others that send no request."""

    async def send(port: int, head: bytes) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        with contextlib.suppress(OSError):
            for _ in range(15):
                writer.write(b" ")
                await writer.drain()
                if (answer := await read(reader)) is not None:
                    writer.close()
                    return answer
        writer.close()
        return 0

    async def read(reader: asyncio.StreamReader) -> int | None:
        try:
            async with asyncio.timeout(1):
                return int((await reader.readuntil(b"\r\n"))[9:12])
        except TimeoutError:
            return None

    async def all_of(port: int) -> list[int]:
        head = b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]
        slow = asyncio.gather(*(send(port, head) for _ in range(number)))
        await asyncio.sleep(1)
        status, _ = await Client(port).ask(request())
        require(status == 200, f"status {status} beside slow clients")
        statuses = await slow
        for _, writer in idle:
            writer.close()
        return statuses

    with Process(model("tiny")) as process:
        process.wait_until_ready()
        found = Counter(asyncio.run(all_of(process.port)))
        require(ask(process.port, body=request()).status == 200, "the next request is not answered")
    require({*found} == {408}, f"statuses {dict(found)}")
    return f"{found[408]} times 408"


def cases(number: int = 50) -> Iterator[Case]:
    """Yield the cases; ``number`` is that of fuzzed requests of a kind."""
    yield Case("overload", "tiny, 420 words", partial(overload, "tiny", 20))
    yield Case("overload", "MiniLM, 40 words", partial(overload, "minilm", 2))
    yield Case("batching", "tiny, 16 clients", partial(batching, "tiny"))
    yield Case("batching", "MiniLM, 16 clients", partial(batching, "minilm"))
    yield Case("SIGTERM", "one process", partial(restarts, 1))
    yield Case("SIGTERM", "two processes", partial(restarts, 2, 5))
    yield Case("start", "tiny", partial(start, "tiny"))
    yield Case("start", "MiniLM", partial(start, "minilm"))
    yield Case("same answers", "tiny", partial(same_answers, "tiny"))
    yield Case("same answers", "MiniLM", partial(same_answers, "minilm"))
    for kind in FUZZ:
        yield Case("fuzz", kind, partial(fuzzed, kind, number))
    yield Case("fuzz", "slow clients", partial(slow, number))


if __name__ == "__main__":
    sys.exit(main("service", PROMISE, cases()))
