"""``ner serve`` as a process: start, refusals, signals, several processes."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from ner.commands import serve
from ner.errors import InputError
from ner.service import server
from tests.service.builders import Process, ask

pytestmark = pytest.mark.processes
THOROUGH = pytest.mark.thorough


@pytest.mark.parametrize("host", ["nowhere.invalid", "", "127.0.0.1:80", "1.2.3", "*"])
def test_a_host_that_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="--host: expected an IP address"):
        server.bind(host, 0)


@pytest.mark.parametrize("port", [-1, 65536, 1 << 40])
def test_a_port_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(InputError, match="--port: expected a number"):
        server.bind("127.0.0.1", port)


def test_answers_are_sent_without_delay() -> None:
    async def no_delay() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with server.bind("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(accept, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                writer.close()
                return await asyncio.wait_for(found, 10)

    assert asyncio.run(no_delay())


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match="192.0.2.1"):
        server.bind("192.0.2.1", 0)


def test_a_port_in_use_is_refused(run_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve.main(["--run", str(run_directory), "--port", str(port)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: --host 127.0.0.1 --port {port}: Address already in use; choose another with --port"
    )


def test_a_missing_library_is_named_with_the_packages(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert serve.main(["--run", str(run_directory)]) == 2
    assert re.search("uvicorn is not installed; pip install .*starlette uvicorn\n", capsys.readouterr().err)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=THOROUGH), 2])
def test_a_model_that_cannot_be_loaded_ends_the_server(tmp_path: Path, workers: int) -> None:
    with Process(tmp_path, "--workers", str(workers)) as process:
        assert process.process.wait(60) != 0
    assert sum("manifest.json" in line for line in process.lines) in range(1, workers + 1)
    assert not any("Traceback" in line for line in process.lines)


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        (1, signal.SIGTERM),
        pytest.param(1, signal.SIGINT, marks=THOROUGH),
        pytest.param(2, signal.SIGTERM, marks=THOROUGH),
    ],
)
def test_a_signal_under_load_loses_no_request(export_directory: Path, workers: int, number: int) -> None:
    statuses: Counter[int | str] = Counter()
    with Process(export_directory, "--workers", str(workers)) as process:
        process.wait_until_ready()
        stopped = threading.Event()

        def client() -> None:
            while True:  # until the service drains
                try:
                    status = ask(process.port, body={"text": "Ann of Rare3, far. " * 9}).status
                except ConnectionRefusedError:
                    return
                except OSError as error:
                    statuses[repr(error)] += 1
                    return
                statuses[status] += 1
                if status == 503 and stopped.is_set():
                    return

        clients = [threading.Thread(target=client) for _ in range(8)]
        for thread in clients:
            thread.start()
        while statuses[200] < 50:
            stopped.wait(0.01)
        stopped.set()
        assert process.stop(number) == 0
        for thread in clients:
            thread.join(20)
    assert {*statuses} <= {200, 503}, statuses
    assert process.lines[-1].startswith("stopped serving")


@THOROUGH
def test_metrics_of_several_processes_are_summed(export_directory: Path) -> None:
    with Process(export_directory, "--workers", "2") as process:
        process.wait_until_ready()
        for _ in range(20):
            assert ask(process.port, body={"text": "Ann"}).status in (200, 503)
        metrics = ask(process.port, "/metrics").body.decode()
        counts = [float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("ner_requests_total{")]
        assert sum(counts) == 20
