from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.service.builders import Answer, FakeModel, ask, in_thread


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with in_thread(FakeModel(), body_bytes=10_000) as (port, _):
        yield port


def wait_for(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"text": "Ada"}, 1),
        ({"texts": ["Ada", ""]}, 2),
        ({"words": ["Ada", "won"]}, 1),
        ({"sentences": [["Ada"], ["Bo", "won"]], "probabilities": False, "with_words": True}, 2),
        ({"text": "\u200b", "split_into_sentences": True}, 1),
    ],
)
def test_texts_and_words_are_answered_in_order(port: int, body: Any, number: int) -> None:
    answer = ask(port, body=body)
    assert answer.status == 200
    assert len(answer.json["documents"]) == answer.json["coverage"]["sentences"] == number
    assert answer.json["model"] == FakeModel.sha256


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b'{"text": "\xff"}', 400, None),
        (b'{"text": "\\ud800"}', 400, None),
        (b"[" * 5000, 400, None),
        (b'{"text": NaN}', 400, None),
        ([], 422, ""),
        ("text", 422, ""),
        ({}, 422, ""),
        ({"text": "a", "words": ["a"]}, 422, ""),
        ({"text": 1}, 422, "text"),
        ({"text": None}, 422, ""),
        ({"texts": []}, 422, "texts"),
        ({"texts": ["a", 2]}, 422, "texts.1"),
        ({"texts": ["a"] * 1001}, 422, "texts"),
        ({"words": ["a", ""]}, 422, "words.1"),
        ({"sentences": [["a"], []]}, 422, "sentences.1"),
        ({"text": "a", "n_best": 1}, 422, "n_best"),
        ({"text": "a", "n_best": -1}, 422, "n_best"),
        ({"text": "a", "n_best": 1e300}, 422, "n_best"),
        ({"text": "a", "probabilities": "yes"}, 422, "probabilities"),
        ({"text": "a", "txt": "a"}, 422, "txt"),
        ({"words": ["a"], "split_into_sentences": True}, 422, ""),
        (b" " * 10_001, 413, None),
        (b" " * 10_000_000, 413, None),
    ],
)
def test_a_request_that_is_not_valid_has_a_sentence_and_a_field(
    port: int, body: Any, status: int, field: str | None
) -> None:
    answer = ask(port, body=body)
    assert answer.status == status
    assert "\n" not in answer.json["error"]
    assert field == (answer.json["fields"][0]["field"] if "fields" in answer.json else None)
    assert ask(port, body={"text": "Ada"}).status == 200


def test_an_unknown_key_is_refused_with_the_most_similar_one_or_all(port: int) -> None:
    assert ask(port, body={"txt": "Ada"}).json["error"] == "txt: unknown key; did you mean 'text'?"
    assert "known keys: text, texts, words, sentences" in ask(port, body={"quux": "Ada"}).json["error"]


def test_other_paths_and_methods_are_refused_as_json(port: int) -> None:
    for path, status in (("/nothing", 404), ("/tag", 405)):
        answer = ask(port, path)
        assert answer.status == status
        assert "POST /tag" in answer.json["error"]


def test_a_body_without_a_length_is_limited_too(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"POST /tag HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(2 * (b"2000\r\n" + b" " * 0x2000 + b"\r\n") + b"0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
def test_a_body_that_does_not_arrive_is_given_up() -> None:
    with in_thread(FakeModel(), receive=0.1) as (port, _), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_text_on_which_the_model_fails_is_an_error_of_the_server(port: int) -> None:
    answer = ask(port, body={"text": "bad"})
    assert (answer.status, answer.json) == (500, {"error": "the model failed on this text"})


def test_a_full_queue_refuses_with_a_time() -> None:
    model = FakeModel()
    with in_thread(model, queue_pieces=6, batch_pieces=1) as (port, service), ThreadPoolExecutor(8) as clients:
        model.gate.clear()
        waiting: list[Any] = []
        for number in range(4):  # one is computed, three wait
            waiting.append(clients.submit(ask, port, "/tag", {"text": "a"}))
            wait_for(lambda number=number: service.in_flight == number + 1)
        wait_for(lambda: service.batcher.waiting_pieces == 3)
        refused = ask(port, body={"text": "a" * 12})
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) >= 1
        with socket.create_connection(("127.0.0.1", port), 5) as client:  # refused before its body is read
            client.sendall(b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n{")
            assert client.recv(100).startswith(b"HTTP/1.1 429 ")
        assert "ner_requests_in_flight 4" in ask(port, "/metrics").body.decode()
        model.gate.set()
        assert [client.result().status for client in waiting] == [200] * 4
        assert ask(port, body={"text": "a" * 8}).status == 200


@pytest.mark.slow
def test_a_request_at_its_deadline_leaves_the_queue() -> None:
    model = FakeModel()
    with in_thread(model, deadline=0.2) as (port, service), ThreadPoolExecutor(2) as clients:
        model.gate.clear()
        first = clients.submit(ask, port, "/tag", {"text": "first"})
        wait_for(lambda: service.in_flight == 1)
        assert ask(port, body={"text": "second"}).status == 504
        assert first.result().status == 504
        wait_for(lambda: service.batcher.waiting_pieces == 0)
        model.gate.set()
        assert ask(port, body={"text": "third"}).status == 200
        assert model.seen == ["first", "third"]


def test_a_request_of_a_client_that_is_gone_leaves_the_queue() -> None:
    model = FakeModel()
    with in_thread(model) as (port, service), ThreadPoolExecutor(1) as clients:
        model.gate.clear()
        first = clients.submit(ask, port, "/tag", {"text": "first"})
        wait_for(lambda: service.in_flight == 1)
        body = b'{"text": "gone"}'
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            wait_for(lambda: service.batcher.waiting_pieces)
        wait_for(lambda: not service.batcher.waiting_pieces)
        model.gate.set()
        assert first.result().status == 200
        wait_for(lambda: service.in_flight == 0)
        assert model.seen == ["first"]


def test_the_phases_are_loading_ready_and_draining() -> None:
    model = FakeModel()
    with in_thread(model) as (port, service), ThreadPoolExecutor(1) as clients:
        service.model = None
        assert (ask(port, "/readyz").status, ask(port, "/version").status, ask(port, "/healthz").status) == (
            503,
            503,
            200,
        )
        refused = ask(port, body={"text": "a"})
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        service.model = model  # type: ignore[assignment]
        assert ask(port, "/readyz").status == 200
        model.gate.clear()
        accepted = clients.submit(ask, port, "/tag", {"text": "accepted"})
        wait_for(lambda: service.in_flight == 1)
        service.is_draining = True
        assert (ask(port, "/readyz").status, ask(port, "/healthz").status) == (503, 200)
        refused = ask(port, body={"text": "a"})
        assert (refused.status, refused.headers["connection"]) == (503, "close")
        model.gate.set()
        answer: Answer = accepted.result()
        assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_the_description_names_every_status_and_field(port: int) -> None:
    found = ask(port, "/openapi.json").json
    assert {"200", "400", "408", "413", "422", "429", "500", "503", "504"} == {
        *found["paths"]["/tag"]["post"]["responses"]
    }
    request = found["components"]["schemas"]["TagRequest"]["properties"]
    assert {"text", "texts", "words", "sentences", "n_best"} <= {*request}
    references = {part.split('"')[0] for part in json.dumps(found).split("#/components/schemas/")[1:]}
    assert references <= {*found["components"]["schemas"]}


def test_a_gigabyte_is_refused_at_its_header(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
