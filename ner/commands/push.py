"""Upload a run to the Hugging Face Hub: the files of its manifest, its model card, history and metrics."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ner.errors import InputError
from ner.runtime import cli

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner push``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, metavar="DIR", help="run directory")
    parser.add_argument("--repo", required=True, metavar="NAME", help="user/model or organisation/model")
    parser.add_argument("--private", action="store_true", help="create a private repository; others stay as they are")
    parser.add_argument("--endpoint", metavar="URL", help="another hub (default: HF_ENDPOINT or huggingface.co)")
    parser.add_argument(
        "--token-file", metavar="FILE", help="file that contains the token (default: HF_TOKEN or hf auth login)"
    )
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from huggingface_hub import CommitOperationAdd, HfApi

        from ner.runs.directory import HISTORY, METRICS, resolve_run
        from ner.runs.model_card import CARD, write_card
        from ner.runtime import manifest

        if arguments.endpoint and not arguments.endpoint.startswith(("http://", "https://")):
            raise InputError(f"--endpoint: expected a URL (https://...), found {arguments.endpoint!r}")
        api = HfApi(endpoint=arguments.endpoint, token=_token(arguments.token_file))
        directory = resolve_run(arguments.run)
        names = [manifest.MANIFEST, *manifest.verify(directory)]
        if not (directory / CARD).exists():
            write_card(directory)
        optional = (CARD, HISTORY, METRICS)  # the manifest does not list them
        names += [name for name in optional if name not in names and (directory / name).is_file()]
        with _readable_errors(api.endpoint, arguments.repo):
            repo = api.create_repo(arguments.repo, private=arguments.private or None, exist_ok=True)
            additions = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=directory / name) for name in names]
            api.create_commit(repo.repo_id, additions, commit_message=f"Run {directory.resolve().name}")
        sys.stdout.write(f"{repo}\n")
    return status.code


def _token(path: str | None) -> str:
    from huggingface_hub import get_token

    if path is None:
        token = get_token()
        if not token:
            raise InputError(
                "no Hugging Face token found: set HF_TOKEN, run 'hf auth login', or pass --token-file FILE"
            )
        return token
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(token.split()) != 1:
        raise InputError(f"{path}: expected a token and nothing else, found {len(token.split())} words")
    return token


@contextmanager
def _readable_errors(endpoint: str, repo: str) -> Iterator[None]:
    """Convert errors of the Hub and of the connection to one line.

    Raises:
        InputError: For each of these errors.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

    try:
        yield
    except OfflineModeIsEnabled:
        raise InputError(f"{endpoint} cannot be reached: HF_HUB_OFFLINE is set; unset it to push") from None
    except HfHubHTTPError as error:
        raise InputError(f"{endpoint} refused {repo}: {_reason(error)}") from None
    except HTTPError as error:  # connection error
        raise InputError(f"{endpoint} cannot be reached: {_line(error)}") from None
    except (ValueError, RuntimeError, OSError) as error:  # invalid name, rejected card or file
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise InputError(f"{endpoint} refused {repo}: {_reason(cause)}") from None
        raise InputError(f"{repo} cannot be pushed to {endpoint}: {_line(error)}") from None


def _reason(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    hint = {
        401: "; the token is wrong or has expired",
        403: "; the token may not write there",
        404: "; the repository does not exist for this token",
    }.get(status, "")
    return f"{status} {error.server_message or error.response.reason_phrase}".strip() + hint


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
