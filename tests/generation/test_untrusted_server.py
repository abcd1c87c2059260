"""Servers that send what is no answer, never end, are not there, or quote a key: each is one line, and nothing is lost."""

from __future__ import annotations

import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from qalign.cli import app
from qalign.errors import ModelError, QAlignError, SettingError
from qalign.generation import DecodingConfig, Request, generate, open_backend, questions_of
from qalign.generation.bounded import MOST_BYTES, address
from qalign.generation.endpoint import NoAnswerError, read_reply
from qalign.generation.run import KEPT
from qalign.placement import Placement
from qalign.records import Problem

pytest.importorskip("openai")

DECODING = DecodingConfig(max_new_tokens=7, backend="endpoint")
OSC = "\x1b]52;c;cm0gLXJmIH4=\x07"
Reply = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


def reply_with(**changes: Any) -> dict[str, Any]:
    """A reply of the protocol with some values of its own: of the message, of the choice, or of the whole."""
    message = {"role": "assistant", "content": "the answer is 1"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    whole["usage"] = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
    for name, value in changes.items():
        part = whole if name in whole else choice if name in choice else message
        part[name] = value
    return whole


def body_of(**changes: Any) -> bytes:
    return json.dumps(reply_with(**changes)).encode()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], str]]:
    """Starts a server that answers as a function does; gives its URL."""
    started: list[ThreadingHTTPServer] = []

    def one(reply: Reply) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply(self, asked)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that has gone is no news."""

        server = Server(("127.0.0.1", 0), Handler)
        started.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield one
    for server in started:
        server.shutdown()
        server.server_close()


def ask(url: str, tmp_path: Path, seconds: float = 60.0) -> list[Any]:
    placement = Placement(quiet=True, endpoint=url, served_model="m", seconds_per_request=seconds)
    return list(open_backend(tmp_path, DECODING, placement).generate([Request("k", "one")]))


# --- shapes of replies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (body_of(content=5), "Expected `str | null`, got `int`"),
        (body_of(content={"text": "x"}), "got `object`"),
        (body_of(content=None), "no text"),
        (body_of(content=None, refusal="I cannot"), "no text, but a refusal: I cannot"),
        (body_of(content=[{"type": "image_url", "image_url": "x"}]), "got `array`"),
        (body_of(content=[{"type": "text", "text": "the answer is 1"}]), "got `array`"),
        (body_of(tool_calls=[{"id": "1"}]), "a call of a tool"),
        (body_of(finish_reason=None), "got `null`"),
        (body_of(finish_reason="tool_calls"), "finish_reason is 'tool_calls'"),
        (body_of(finish_reason=["stop"]), "got `array`"),
        (body_of(usage="x"), "Expected `object | null`, got `str`"),
        (body_of(usage={"completion_tokens": "3"}), "Expected `int | null`, got `str`"),
        (body_of(usage={"completion_tokens": -1}), ">= 0"),
        (body_of(usage={"completion_tokens": 10**40}), "usage.completion_tokens"),
        (body_of(choices=[]), "length >= 1"),
        (body_of(choices=reply_with()["choices"] * 2), "length <= 1"),
        (body_of(choices={"0": 1}), "Expected `array`"),
        (body_of(choices=[{"message": "x", "finish_reason": "stop"}]), "got `str`"),
        (b'{"error": {"message": "no such model"}}', "no such model"),
        (b"[]", "got `array`"),
        (b"null", "got `null`"),
        (b"", "not valid JSON"),
        (b"\xff\xfe{", "not UTF-8"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested deeper than 100 levels"),
        (b"[" * 200_000, "nested deeper than 100 levels"),
        (b'{"choices": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"choices": [], "choices": []}', "appears twice"),
        (body_of(content=OSC), None),
    ],
)
def test_a_reply_of_another_shape_is_one_line(
    body: bytes, says: str | None, serve: Callable[[Reply], str], tmp_path: Path
) -> None:
    url = serve(lambda handler, asked: send(handler, body))
    if says is None:
        assert [answer.text for answer in ask(url, tmp_path)] == [OSC], "a text is a text"
        return
    with pytest.raises(ModelError) as error:
        ask(url, tmp_path)
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 700
    assert "answered k with something that is not a finished answer" in str(error.value)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (body_of(), ("the answer is 1", 3, "stop")),
        (body_of(content=""), ("", 3, "stop")),
        (body_of(content=None, finish_reason="length"), ("", 3, "length")),
        (body_of(content=None, reasoning_content="so ..."), ("", 3, "stop")),
        (body_of(usage=None), ("the answer is 1", 0, "stop")),
        (body_of(usage={}, refusal=None, tool_calls=[], created="x"), ("the answer is 1", 0, "stop")),
    ],
)
def test_a_reply_of_the_protocol_is_an_answer(body: bytes, answer: tuple[str, int, str]) -> None:
    assert read_reply(body) == answer


def test_an_excerpt_holds_no_half_of_a_key() -> None:
    with pytest.raises(NoAnswerError) as error:
        read_reply(b"x" * 190 + b"my-own-k3y-abcdef", {"my-own-k3y-abcdef"})
    assert "my-own" not in str(error.value) and "***" in str(error.value)


def test_a_text_with_nan_is_no_reply() -> None:
    with pytest.raises(NoAnswerError, match="NaN is not a number"):
        read_reply(body_of(created=float("nan")))


def test_halves_of_surrogate_pairs_are_mended_and_said(
    serve: Callable[[Reply], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"a": r"\ud800 the answer is 1", "b": r"\ud83d\ude00 2", "c": r"\udc00\ud800 3"}
    url = serve(
        lambda handler, asked: send(
            handler, body_of(content="@").replace(b"@", texts[asked["messages"][0]["content"]].encode())
        )
    )
    problems = [Problem(key, "en", key, None, "1", "test") for key in texts]
    placement = Placement(quiet=True, endpoint=url, served_model="m")
    found = generate(
        questions_of(problems), open_backend(tmp_path, DECODING, placement), tmp_path, {}, "mGSM", placement
    )
    assert [p.text for p in found] == ["\ufffd the answer is 1", "\U0001f600 2", "\ufffd\ufffd 3"]
    said = capsys.readouterr().err
    assert said[9:] == "mGSM: 2 answers held half of a surrogate pair; U+FFFD stands in its place\n"
    assert (
        generate(
            questions_of(problems),
            open_backend(tmp_path, DECODING, Placement(endpoint="http://127.0.0.1:9/v1")),
            tmp_path,
            {},
            "mGSM",
            placement,
        )
        == found
    )


# --- time and size ----------------------------------------------------------------------------------------------------


def test_a_body_that_never_ends_ends_in_time(
    serve: Callable[[Reply], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def drip(handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.2)

    began = time.monotonic()
    with pytest.raises(
        ModelError, match=r"did not answer k \(no whole answer within 1 s; give it more --seconds-per-request"
    ):
        ask(serve(drip), tmp_path, seconds=1.0)
    assert time.monotonic() - began < 15
    assert "no whole answer within 1 s; it is asked again" in capsys.readouterr().err


def test_headers_that_never_end_end_in_time(serve: Callable[[Reply], str], tmp_path: Path) -> None:
    def drip(handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        while True:
            handler.wfile.write(b"H")
            handler.wfile.flush()
            time.sleep(0.2)

    with pytest.raises(ModelError, match="no whole answer within 1 s"):
        ask(serve(drip), tmp_path, seconds=1.0)


def test_a_body_without_bound_is_refused_while_it_streams(serve: Callable[[Reply], str], tmp_path: Path) -> None:
    sent = []

    def pour(handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            sent.append(handler.wfile.write(b" " * 2**20))

    with pytest.raises(ModelError, match=r"answered k with \(a body of more than 32 MiB\)"):
        ask(serve(pour), tmp_path)
    assert sum(sent) < 3 * MOST_BYTES


def test_a_packed_body_is_not_unpacked(serve: Callable[[Reply], str], tmp_path: Path) -> None:
    bomb = zlib.compress(b" " * 2**26, wbits=31)
    url = serve(lambda handler, asked: send(handler, bomb, Content_Encoding="gzip"))
    with pytest.raises(ModelError, match="an answer in the coding 'gzip', which was not asked for"):
        ask(url, tmp_path)


# --- who is asked -----------------------------------------------------------------------------------------------------

WRONG = ["localhost:8000/v1", "ftp://host/v1", "http://", "http:///v1", "http:/host/v1", "http://host:80a/v1", "http://host:99999/v1",
         "http://host:/v1", "http://host:0", "http://ho st/v1", "http://host/v1 ", "http://host/v1\n", "http://ho\x1bst", "http://[::1",
         "http://a..b/v1", "http://ho|st/v1", "http://\uff41.b/v1", "//host/v1", "http://host/v1#x", "http://host/v1?a=1&a=2", "http://u:s3cr3t@/v1",
         "u:s3cr3t@host/v1", "http://u:s3cr3t@host:x/v1", "http://host:x/v1?api_key=s3cr3t"]  # fmt: skip


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_one_line_before_anything_starts(url: str, tmp_path: Path) -> None:
    words = ["eval", "m", "--endpoint", url, "--test", "no-such-test", "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and not (tmp_path / "runs").exists()
    (line,) = result.stderr.splitlines()
    assert line.startswith("qalign: error: --endpoint") and "is not the URL of a server" in line
    assert "s3cr3t" not in line and "\x1b" not in line


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/v1", "https://[::1]:8000", "HTTP://10.0.0.1/", "http://müller.de/v1", "http://a_b.c./x"],
)
def test_a_url_of_a_server_is_one(url: str) -> None:
    assert address(url).url


def test_a_key_that_no_header_can_hold_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "kéy\n2")
    with pytest.raises(SettingError, match="OPENAI_API_KEY holds a character") as error:
        address("http://host/v1")
    assert "kéy" not in str(error.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_server_that_refuses_is_one_line_at_once_without_the_key(
    status: int, serve: Callable[[Reply], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cr3t-key")
    asked = []

    def refuse(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        asked.append(handler.path)
        said = f"{OSC} wrong: {handler.headers['Authorization']} {handler.path}"
        send(handler, json.dumps({"error": {"message": said}}).encode(), status, X_Should_Retry="true")

    with pytest.raises(ModelError) as error:
        ask(serve(refuse) + "?token=t0k3n", tmp_path)
    assert asked == ["/v1/chat/completions?token=t0k3n"]
    message = str(error.value)
    assert f"Error code: {status}" in message and "***" in message
    assert not [secret for secret in ("s3cr3t", "t0k3n", "\x1b") if secret in message]


def test_a_password_in_the_url_is_sent_and_never_shown_or_kept(
    serve: Callable[[Reply], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second question is refused, with all that was sent quoted back; then the first of the next run is answered."""
    monkeypatch.setenv("OPENAI_API_KEY", "s3cr3t-key-9")
    headers = []
    failing = [True]

    def quote(handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        headers.append(handler.headers["Authorization"])
        if len(headers) > 1 and failing[0]:
            said = f"{headers[-1]} {handler.path} anna pa55w0rd! pa55w0rd%21"
            send(handler, json.dumps({"error": {"message": said}}).encode(), 403)
        else:
            send(handler, body_of(content="the answer is 1, s3cr3t-key-9 t0k3n-99"))

    (tmp_path / "own").mkdir()
    rows = [{"id": str(n), "question": f"How many? {n}", "answer": "1"} for n in range(2)]
    (tmp_path / "own" / "th.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    url = serve(quote).replace("127.0.0.1", "anna:pa55w0rd%21@127.0.0.1") + "?api_key=t0k3n-99"
    words = ["eval", "m", "--endpoint", url, "--test", str(tmp_path / "own"), "--test-languages", "th", "--scale", "sample",
             "--runs", str(tmp_path / "runs"), "--requests-in-flight", "1"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["qalign", *words])
    outputs = []
    for status in (2, 0):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == status, result.output
        outputs.append(result.output)
        failing[0] = False
    assert len(headers) == 3, "what was answered is not asked again"
    assert set(headers) == {"Basic YW5uYTpwYTU1dzByZCE="}
    kept = "".join(path.read_text(errors="replace") for path in (tmp_path / "runs").rglob("*") if path.is_file())
    assert "Error code: 403" in outputs[0] and "the answer is 1, ***" in kept
    for secret in ("pa55w0rd", "t0k3n", "s3cr3t-key", "YW5uYTpw"):
        assert secret not in kept + "".join(outputs)


def test_a_redirect_is_not_followed_with_a_key(serve: Callable[[Reply], str], tmp_path: Path) -> None:
    reached = []
    other = serve(lambda handler, asked: (reached.append(1), send(handler, body_of()))[1])
    url = serve(lambda handler, asked: send(handler, b"", 307, Location=f"{other}/chat/completions?x=1"))
    with pytest.raises(
        ModelError, match=r"it redirects to 'http://127.0.0.1:\d+/v1/chat/completions\?x=\*\*\*'; give that address"
    ):
        ask(url, tmp_path)
    assert reached == []


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_missing_server_is_said_while_it_is_tried(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qalign.generation.endpoint.RETRIES", 2)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"did not answer k \(APIConnectionError: "):
        ask(f"http://{host}:{port}/v1", tmp_path)
    assert time.monotonic() - began < 30
    (line,) = [line[9:] for line in capsys.readouterr().err.splitlines()]  # behind the time
    assert line.startswith(f"http://{host}:{port}/v1: ConnectError: ") and line.endswith("it is asked again")


def test_a_server_that_does_not_accept_is_said_within_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue of connections is full: the next one is neither taken nor refused."""
    monkeypatch.setattr("qalign.generation.endpoint.RETRIES", 0)
    said: list[float] = []
    began = time.monotonic()
    monkeypatch.setattr("qalign.generation.endpoint.log", lambda text: said.append(time.monotonic() - began))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first, socket.socket() as second:
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        time.sleep(0.2)
        with pytest.raises(ModelError, match="did not answer k"):
            ask(f"http://127.0.0.1:{full.getsockname()[1]}/v1", tmp_path)
    assert said and said[0] < 10


# --- kept answers -----------------------------------------------------------------------------------------------------


def test_any_damage_to_a_line_of_kept_answers_has_that_line_alone_asked_again(
    serve: Callable[[Reply], str], tmp_path: Path
) -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        asked.append(body["messages"][0]["content"])
        send(handler, body_of(content=f"the answer is {asked[-1]}"))

    placement = Placement(quiet=True, endpoint=serve(answer), served_model="m", requests_in_flight=1)
    problems = [Problem(str(n), "en", str(n), None, "1", "test") for n in range(6)]

    def run() -> list[Any]:
        return generate(
            questions_of(problems), open_backend(tmp_path, DECODING, placement), tmp_path, {"a": 1}, "test", placement
        )

    whole = run()
    kept = tmp_path / KEPT
    lines = kept.read_bytes().splitlines(keepends=True)
    (digest, _, rows) = lines[3].partition(b" ")
    damages = [
        rows.replace(b"answer", b"answes"), rows.replace(b"answer", b"answes").join([digest + b" ", b""]),
        b"null\n", b"{}\n", b"5\n",
        b'[["en"]]\n', lines[2], lines[3][:-1], lines[3].replace(b'"stop"', b'"halt"'), b"\xff\n", b"[" * 10_000 + b"\n", b"\n",
        lines[3].replace(b", 3, ", b", -3, "), lines[3].replace(b'"en"', b'"de"'),
    ]  # fmt: skip
    for damage in damages:
        kept.write_bytes(b"".join([*lines[:3], damage, *lines[4:]]))
        asked.clear()
        assert run() == whole
        expected = [json.loads(rows)[0][1]]
        if not damage.endswith(b"\n"):  # runs into the line behind it
            expected.append(json.loads(lines[4].partition(b" ")[2])[0][1])
        assert sorted(asked) == sorted(expected), damage


def test_a_forged_line_with_its_hash_is_not_taken_over(tmp_path: Path) -> None:
    """What the hash does not show: other keys, other types, a finish that there is not."""
    from qalign.generation.scripted import Scripted
    from qalign.records import sha256

    problems = [Problem(str(n), "en", str(n), None, "1", "test") for n in range(2)]
    backend = Scripted({}, "the answer is 1")
    whole = generate(questions_of(problems), backend, tmp_path, {}, "test", Placement(quiet=True))
    kept = tmp_path / KEPT
    header, line = kept.read_bytes().splitlines()
    rows = json.loads(line.partition(b" ")[2])
    for changed in (
        [rows[0]], [rows[1], rows[0]], [*rows, rows[0]],
        [["en", "9", *rows[0][2:]], rows[1]], [[*rows[0][:4], -1, "stop"], rows[1]],
        [[*rows[0][:4], 1, "filtered"], rows[1]], [[*rows[0][:4], "1", "stop"], rows[1]], [rows[0][:5], rows[1]],
        [], None, {"a": rows},
    ):  # fmt: skip
        text = json.dumps(changed)
        kept.write_bytes(header + f"\n{sha256(text)} {text}\n".encode())
        assert generate(questions_of(problems), backend, tmp_path, {}, "test", Placement(quiet=True)) == whole
    for torn in (
        b"",
        b"\n",
        b"null\n",
        b'{"chunk": 512}\n',
        b"[" * 100_000,
        header[:40],
        header.replace(b"512", b"0") + b"\n",
    ):
        kept.write_bytes(torn)
        assert generate(questions_of(problems), backend, tmp_path, {}, "test", Placement(quiet=True)) == whole


class Backend:
    """A backend that answers with given completions."""

    chunk = None

    def __init__(self, *completions: Any) -> None:
        self.completions = completions

    def generate(self, requests: Any) -> Iterator[Any]:
        yield from self.completions


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"text": 5}, "got `int`"), ({"text": None}, "got `null`"), ({"text": ["x"]}, "got `array`"),
        ({"text": b"x"}, "answered en/0"),
        ({"tokens": -1}, ">= 0"), ({"tokens": "1"}, "got `str`"), ({"finish": "content_filter"}, "Invalid enum value"),
        ({"finish": None}, "answered en/0"), ({"key": "en/9"}, "en/9, which was not asked"),
    ],
)  # fmt: skip
def test_no_backend_hands_on_what_is_no_answer(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    from qalign.generation.protocol import Completion

    values = {"key": "en/0", "text": "x", "prompt_sha256": "0", "tokens": 1, "finish": "stop"} | changes
    problems = [Problem("0", "en", "0", None, "1", "test")]
    with pytest.raises(QAlignError, match="the backend answered") as error:
        generate(questions_of(problems), Backend(Completion(**values)), tmp_path, {}, "test", Placement(quiet=True))
    assert says in str(error.value)
    assert (tmp_path / KEPT).read_bytes().count(b"\n") == 1


@pytest.mark.parametrize(
    "script",
    [
        "[]",
        "5",
        '{"answers": []}',
        '{"answers": {"a": 5}}',
        '{"answers": {}, "otherwise": 5}',
        "[" * 10_000,
        "{",
        "\xff",
    ],
)
def test_a_script_of_another_shape_is_one_line(script: str, tmp_path: Path) -> None:
    (tmp_path / "script.json").write_bytes(script.encode("latin-1"))
    with pytest.raises(ModelError, match="is not a script"):
        open_backend(tmp_path, DecodingConfig(max_new_tokens=7, backend="scripted"), Placement())


def test_a_script_with_half_a_surrogate_pair_can_be_measured(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "script.json").write_text('{"answers": {}, "otherwise": "x \\ud800 the answer is 1"}')
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "th.jsonl").write_text('{"id": "1", "question": "How many?", "answer": "1"}\n')
    words = ["eval", tmp_path / "model", "--test", tmp_path / "own", "--test-languages", "th", "--scale", "sample", "--quiet",
             "--runs", tmp_path / "runs", "--set", "generation.backend=scripted"]  # fmt: skip
    for said in (1, 0):
        result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert result.stderr.count("1 answer held half of a surrogate pair") == said
    (results,) = tmp_path.glob("runs/results/*/results.json")
    assert json.loads(results.read_text())["systems"]["model"]["own"]["th"]["correct"] == 1
