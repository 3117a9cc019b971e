"""Serve a run or an export over HTTP, with a page to try it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ner.commands import _plugins
from ner.runtime import cli

PACKAGES = ("httptools", "jinja2", "markdown-it-py", "prometheus-client", "starlette", "uvicorn")
"""Packages of the extra ``serve``, and Jinja, which the runtime without torch does not require."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner serve``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory or export; default the newest run below runs/")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="default 8000; 0 chooses a free port")
    parser.add_argument(
        "--workers", type=cli.positive, default=1, metavar="N", help="processes, each with a copy; default 1"
    )
    help = "bytes of a request, at most; default 1048576"
    parser.add_argument("--max-bytes", type=cli.positive, default=1 << 20, metavar="N", help=help)
    help = "word pieces (4 bytes each) that are annotated together; default 4096"
    parser.add_argument("--batch-pieces", type=cli.positive, default=4096, metavar="N", help=help)
    help = "word pieces that may wait before requests are refused with 429; default 65536"
    parser.add_argument("--queue-pieces", type=cli.positive, default=65536, metavar="N", help=help)
    parser.add_argument("--deadline", type=float, default=30, metavar="S", help="seconds of a request; default 30")
    help = "seconds for requests in flight after SIGTERM; default 30"
    parser.add_argument("--drain", type=float, default=30, metavar="S", help=help)
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _serve(arguments)
    return status.code


def _serve(arguments: argparse.Namespace) -> None:
    from ner.errors import InputError, not_installed
    from ner.runs.directory import resolve_run
    from ner.runtime.log import set_up_log

    set_up_log(sys.stderr)
    try:
        import prometheus_client
        import starlette
        import uvicorn

        del prometheus_client, starlette, uvicorn
    except ModuleNotFoundError as error:
        raise InputError(not_installed(str(error.name), *PACKAGES)) from None
    from ner.service.app import Limits
    from ner.service.server import Settings, serve

    directory = resolve_run(arguments.run)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; expected a run or an export")
    for option in ("deadline", "drain"):
        if not 0 < getattr(arguments, option) < float("inf"):
            raise InputError(f"--{option}: expected seconds above 0, found {getattr(arguments, option)}")
    limits = Limits(
        body_bytes=arguments.max_bytes,
        batch_pieces=arguments.batch_pieces,
        queue_pieces=arguments.queue_pieces,
        deadline=arguments.deadline,
        drain=arguments.drain,
    )
    serve(Settings(directory, arguments.host, arguments.port, arguments.workers, limits, tuple(arguments.plugin)))


if __name__ == "__main__":
    sys.exit(main())
