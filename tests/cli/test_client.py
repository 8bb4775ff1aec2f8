"""The client against real servers: what it sends, how long it waits, which way it goes."""

import gzip
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service.client import Client, ProblemError, Unreachable
from tests.support import TINY, Server, server

MIB = 1024**2


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("client") / "data", "--workers", "0") as found:
        yield found


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.csv"
    path.write_text("x,y\n" + "1.25,2.5\n" * (20 * MIB // 9))
    return path


def test_a_file_is_uploaded_in_blocks(served: Server, big: Path) -> None:
    tracemalloc.start()
    try:
        dataset = served.client.upload(big)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert dataset.received_bytes == big.stat().st_size
    assert most < 4 * MIB


def test_an_upload_waits_for_the_server_to_read_the_file(served: Server, big: Path) -> None:
    big.write_text(big.read_text() + "1,2\n")  # not the bytes of another test

    with Client(served.url, timeout_seconds=0.2) as client:
        assert client.upload(big).rows > 2_000_000


def test_a_proxy_is_not_asked_the_way_to_loopback(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    for host in ("127.0.0.1", "localhost"):
        with Client(f"http://{host}:{served.port}") as client:
            assert client.is_live()


def test_a_proxy_leads_to_other_hosts(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, served.url)

    with Client("http://chainrule.invalid") as client, pytest.raises(ProblemError, match="got 'chainrule"):
        client.limits()


class Stranger(BaseHTTPRequestHandler):
    """A server that is not ours: it answers everything with a page, and one path never."""

    def do_GET(self) -> None:
        if self.path == "/v1/runs/slow":
            self.server.released.wait(5)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<p>Welcome")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Stranger) as found:
        found.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.released.set()  # type: ignore[attr-defined]
        found.shutdown()
        thread.join()


def test_another_server_is_told_apart(stranger: str) -> None:
    with Client(stranger) as client, pytest.raises(Unreachable, match="is this a Chainrule server"):
        client.run("run_1")


def test_a_silent_server_is_told_from_an_absent_one(stranger: str) -> None:
    with (
        Client(stranger, timeout_seconds=0.1) as client,
        pytest.raises(Unreachable, match=r"no answer in 0\.1 seconds"),
    ):
        client.run("slow")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "http://[::1"])
def test_an_address_that_is_none_is_a_sentence(url: str) -> None:
    with pytest.raises(Unreachable), Client(url) as client:
        client.limits()


def test_a_files_name_and_options_say_how_it_is_read(served: Server, tmp_path: Path) -> None:
    (tmp_path / "zips.tsv.gz").write_bytes(gzip.compress(b"zip\tx\n1\t?\n2\t3\n"))

    dataset = served.client.upload(tmp_path / "zips.tsv.gz", types={"zip": "text"}, na=["?"], header=True)

    assert (dataset.name, dataset.media_type) == ("zips", "text/tab-separated-values")
    assert [(column.type, column.missing) for column in dataset.columns] == [("text", 0), ("integer", 1)]
    assert dataset.format is not None
    assert dataset.format["compression"] == "gzip"


def test_bytes_are_uploaded_as_a_file_is(served: Server, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(TINY)

    assert served.client.upload(tmp_path / "table.csv").id == served.client.upload_bytes(TINY, name="table").id
