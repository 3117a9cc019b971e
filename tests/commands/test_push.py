"""Against a hub of our own on this machine, which keeps what arrives."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ner.commands import push
from ner.runtime import atomic, manifest

CONTENTS = {
    "config.yaml": b"encoder: {name: embedding}\n",
    "labels.json": b'{"labels": {"LOC": 3}}',
    "encoder/words.json": '["Zürich"]'.encode(),
    "model.safetensors": bytes(range(256)) * 40,
}


class Hub(ThreadingHTTPServer):
    """Repositories as the library of the Hub uploads to them; large files go as LFS objects."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.repos: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.commits: list[dict[str, bytes]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        self.tokens: set[str | None] = set()


class Handler(BaseHTTPRequestHandler):
    """The endpoints that an upload needs."""

    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, value: Any, status: int = 200, message: str = "") -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if message:
            self.send_header("X-Error-Message", message)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self) -> None:
        self.answer({}, 404)

    def do_PUT(self) -> None:
        self.server.objects[self.path.removeprefix("/lfs/")] = self.body()
        self.answer({})

    def do_POST(self) -> None:
        body = self.body()
        self.server.tokens.add(self.headers.get("Authorization"))
        for part, (status, message) in self.server.refuse.items():
            if part in self.path:
                self.answer({"error": message}, status, message)
                return
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            status = 409 if repo in self.server.repos else 200
            self.server.repos.setdefault(repo, asked)
            self.answer({"url": f"{self.server.url}/{repo}"}, status)
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            modes = [
                {"path": file["path"], "shouldIgnore": False, "oid": None, "uploadMode": self.mode(file["path"])}
                for file in json.loads(body)["files"]
            ]
            self.answer({"files": modes})
        elif self.path.endswith(".git/info/lfs/objects/batch"):
            self.answer({"transfer": "basic", "objects": [self.place(asked) for asked in json.loads(body)["objects"]]})
        elif "/commit/" in self.path:
            self.server.commits.append(dict(filter(None, map(self.committed, body.splitlines()))))
            repo = self.path.removeprefix("/api/models/").partition("/commit/")[0]
            self.answer({"commitUrl": f"{self.server.url}/{repo}/commit/1", "commitOid": "1"})
        else:
            self.answer({}, 404)

    @staticmethod
    def mode(path: str) -> str:
        return "lfs" if path.endswith(".safetensors") else "regular"

    def place(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {**asked, "actions": {"upload": {"href": f"{self.server.url}/lfs/{asked['oid']}"}}}

    def committed(self, line: bytes) -> tuple[str, bytes] | None:
        found = json.loads(line)
        value = found["value"]
        if found["key"] == "file":
            return value["path"], base64.b64decode(value["content"])
        if found["key"] == "lfsFile":
            return value["path"], self.server.objects[value["oid"]]
        assert found["key"] == "header"
        return None


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that runs, and a library of the Hub that knows no other and no token of this machine."""
    from huggingface_hub import close_session, constants

    server = Hub()
    for name in list(os.environ):
        if name.startswith(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    for name in ("HF_TOKEN_PATH", "HF_STORED_TOKENS_PATH", "AGENT_HARNESSES_PATH"):
        monkeypatch.setattr(constants, name, str(tmp_path / "home" / name), raising=False)
    close_session()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    close_session()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A whole run directory, small files in place of a model."""
    directory = tmp_path / "tiny"
    for name, content in CONTENTS.items():
        atomic.write_bytes(directory / name, content)
    manifest.write_manifest(directory, CONTENTS)
    for name in ("history.csv", "timing.csv", "last/model.safetensors", "predictions/test.conll", "train.log"):
        atomic.write_bytes(directory / name, b"epoch,f1\n1,0.5\n")
    atomic.write_bytes(directory / "metrics.json", b"{}")
    return directory


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text("hf_ours\n", encoding="utf-8")
    return str(path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence on standard error, after bars of uploads, of a push that ends with exit code 2."""
    assert push.main(list(arguments)) == 2
    found = capsys.readouterr()
    assert found.out == ""
    *bars, last = found.err.splitlines()
    assert all("%|" in bar or not bar for bar in bars)
    assert last.startswith("error: ")
    return last.removeprefix("error: ")


@pytest.mark.slow
def test_exactly_the_files_of_the_run_arrive_byte_for_byte(
    hub: Hub, run: Path, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--run", str(run), "--repo", "me/tiny", "--private", "--endpoint", hub.url, "--token-file", token]
    assert push.main(arguments) == 0
    assert capsys.readouterr().out == f"{hub.url}/me/tiny\n"
    (arrived,) = hub.commits
    names = {*CONTENTS, "manifest.json", "README.md", "history.csv", "metrics.json"}
    assert arrived == {name: (run / name).read_bytes() for name in names}
    assert list(hub.objects.values()) == [CONTENTS["model.safetensors"]]
    assert hub.repos["me/tiny"].get("visibility", "private") == "private"
    assert hub.tokens == {"Bearer hf_ours"}


@pytest.mark.slow
def test_what_arrives_is_a_run_that_can_be_verified(hub: Hub, run: Path, token: str, tmp_path: Path) -> None:
    assert push.main(["--run", str(run), "--repo", "me/tiny", "--endpoint", hub.url, "--token-file", token]) == 0
    for name, content in hub.commits[0].items():
        atomic.write_bytes(tmp_path / "fetched" / name, content)
    assert sorted(manifest.verify(tmp_path / "fetched")) == sorted(CONTENTS)


def test_a_repository_and_a_card_that_are_there_are_kept(
    hub: Hub, run: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    hub.repos["me/tiny"] = {}
    (run / "README.md").write_bytes(b"---\nlicense: mit\n---\n# Mine\n")
    assert push.main(["--run", str(run), "--repo", "me/tiny", "--endpoint", hub.url]) == 0
    assert hub.commits[0]["README.md"] == b"---\nlicense: mit\n---\n# Mine\n"
    assert hub.tokens == {"Bearer hf_environment"}


def test_a_run_that_was_changed_is_not_pushed(
    hub: Hub, run: Path, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "labels.json").write_bytes(b"{}")
    said = refused(capsys, "--run", str(run), "--repo", "me/tiny", "--endpoint", hub.url, "--token-file", token)
    assert said == f"{run / 'labels.json'}: SHA-256 or size differs from the manifest; copy it again"
    assert not hub.repos
    assert not (run / "README.md").exists()


def test_without_a_token_nothing_is_sent(hub: Hub, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--run", str(run), "--repo", "me/tiny", "--endpoint", hub.url)
    assert said == "no Hugging Face token found: set HF_TOKEN, run 'hf auth login', or pass --token-file FILE"
    assert not hub.tokens


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "expected a token and nothing else, found 0 words"),
        ("a b", "expected a token and nothing else, found 2 words"),
    ],
)
def test_a_file_without_a_token_is_one_sentence(
    hub: Hub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    path = tmp_path / "other"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert refused(capsys, "--run", str(run), "--repo", "me/a", "--token-file", str(path)) == f"{path}: {message}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "status", "message", "said"),
    [
        ("/api/repos/create", 401, "Invalid token", "401 Invalid token; the token is wrong or has expired"),
        ("/api/repos/create", 403, "Not yours", "403 Not yours; the token may not write there"),
        ("/api/repos/create", 400, "Bad name", "400 Bad name"),
        ("/preupload/", 404, "Gone", "404 Gone; the repository does not exist for this token"),
        ("/commit/", 403, "Read only", "403 Read only; the token may not write there"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    hub: Hub,
    run: Path,
    token: str,
    capsys: pytest.CaptureFixture[str],
    part: str,
    status: int,
    message: str,
    said: str,
) -> None:
    hub.refuse[part] = (status, message)
    arguments = ["--run", str(run), "--repo", "me/tiny", "--endpoint", hub.url, "--token-file", token]
    assert refused(capsys, *arguments) == f"{hub.url} refused me/tiny: {said}"


@pytest.mark.slow
def test_a_card_that_the_hub_does_not_accept_is_one_sentence(
    hub: Hub, run: Path, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.refuse["/api/validate-yaml"] = (400, "license must be one of")
    said = refused(capsys, "--run", str(run), "--repo", "me/tiny", "--endpoint", hub.url, "--token-file", token)
    assert said.startswith(f"{hub.url} refused me/tiny: 400 license must be one of")


@pytest.mark.slow
def test_no_network_and_a_wrong_name_are_one_sentence(
    hub: Hub, run: Path, token: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    arguments = ["--run", str(run), "--token-file", token]
    said = refused(capsys, *arguments, "--repo", "me/tiny", "--endpoint", "http://127.0.0.1:1")
    assert said.startswith("http://127.0.0.1:1 cannot be reached: ")
    said = refused(capsys, *arguments, "--repo", "me/tiny", "--endpoint", "hub.example")
    assert said == "--endpoint: expected a URL (https://...), found 'hub.example'"
    said = refused(capsys, *arguments, "--repo", "a/b/c", "--endpoint", hub.url)
    assert said.startswith(f"a/b/c cannot be pushed to {hub.url}: ")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = refused(capsys, *arguments, "--repo", "me/tiny", "--endpoint", hub.url)
    assert said == f"{hub.url} cannot be reached: HF_HUB_OFFLINE is set; unset it to push"
