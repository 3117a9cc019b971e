"""The server: socket, processes, signals."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from loguru import logger
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess

from ner.errors import InputError, printable, reason
from ner.runtime import cli
from ner.runtime.log import set_up_log
from ner.service import app, metrics
from ner.service.model import ServedModel

BACKLOG = 1024


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes:
        directory: Run or export.
        host, port: Address to listen on; port 0 chooses a free one.
        workers: Number of processes, each with a copy of the model.
        limits: Limits of each process.
        plugins: Files of components that the run needs.
    """

    directory: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    limits: app.Limits = field(default_factory=app.Limits)
    plugins: Sequence[str] = ()


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        InputError: If the host is not an address of this machine, or the port is in use.
    """
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        if host != "localhost":
            raise InputError(f"--host: expected an IP address such as 127.0.0.1 or 0.0.0.0, found {host!r}") from None
        host, family = "127.0.0.1", socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that are created with IPPROTO_TCP
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OverflowError:
        listener.close()
        raise InputError(f"--port: expected a number from 0 to 65535, found {port}") from None
    except OSError as error:
        listener.close()
        raise InputError(f"--host {host} --port {port}: {reason(error)}; choose another with --port") from None
    listener.set_inheritable(True)
    return listener


def serve(settings: Settings) -> None:
    """Serve a model until SIGTERM or SIGINT.

    Raises:
        InputError: If the address cannot be used, or the model cannot be loaded.
    """
    listener = bind(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    logger.info("serving {} at http://{}:{}/", settings.directory, f"[{host}]" if ":" in host else host, port)
    if settings.workers == 1:
        _serve_alone(settings, listener)
    else:
        with tempfile.TemporaryDirectory(prefix="ner-serve-") as folder:
            os.environ[metrics.SHARED] = folder
            config = configuration(partial(_worker, settings), factory=True, workers=settings.workers)
            supervisor = Multiprocess(config, sockets=[listener])
            supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            raise InputError(f"{settings.directory}: the processes could not load the model")
    logger.info("stopped serving {}", settings.directory)


def configuration(application: Any, **options: Any) -> uvicorn.Config:
    """Return the configuration of uvicorn."""
    return uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        timeout_graceful_shutdown=5,
        timeout_worker_healthcheck=15,  # imports of a worker take seconds; a death during a check is noticed after it
        **options,
    )


def _serve_alone(settings: Settings, listener: socket.socket) -> None:
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    service = app.Service(partial(_load, settings), settings.limits, fail)
    server = uvicorn.Server(configuration(app.create(service)))
    server.run([listener])
    if failures:
        raise failures[0]


def _worker(settings: Settings) -> Any:
    """Return the application of a process of several; a model that cannot be loaded ends the server."""

    def fail(error: BaseException) -> None:
        logger.error("{}", printable(str(error)))
        os._exit(STARTUP_FAILURE)

    set_up_log(sys.stderr)
    return app.create(app.Service(partial(_load, settings), settings.limits, fail))


def _load(settings: Settings) -> ServedModel:
    if settings.workers > 1 and settings.plugins:
        from ner.config.plugins import load_file

        for path in settings.plugins:
            load_file(path)
    with cli.paused_garbage_collection():
        model = ServedModel(settings.directory)
    logger.info("ready: {} of {}, model {}", model.tagger.decoder_name, settings.directory, model.sha256[:12])
    return model
