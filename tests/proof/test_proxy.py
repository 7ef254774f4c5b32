"""The proxy does to real connections what it says, at once, and nothing when healed."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.kit.processes import eventually
from tests.proof.proxy import HOST, Flow, Proxy

SILENT = Flow(silent=True)
BIG = bytes(range(256)) * 4_000


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.server.heard = []  # type: ignore[attr-defined]
        try:
            while data := self.request.recv(65_536):
                self.server.heard.append(data)  # type: ignore[attr-defined]
                self.request.sendall(data)
        except ConnectionError:
            self.server.resets += 1  # type: ignore[attr-defined]


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    resets = 0
    heard: list[bytes]


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    """A server that answers what it is told."""
    with EchoServer((HOST, 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: EchoServer) -> Iterator[Proxy]:
    with Proxy() as started:
        started.upstream = echo.server_address[1]
        yield started


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connected(proxy) as connection:
        yield connection


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=10)


def asked(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return answer(client, len(words))


def answer(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        more = client.recv(65_536)
        if not more:
            break
        got += more
    return got


def nothing_comes(client: socket.socket) -> bool:
    client.settimeout(0.3)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(10)
    return False


def expect_reset(proxy: Proxy) -> None:
    """The reset may come before or after the client knows that it is connected."""
    with pytest.raises(ConnectionResetError), connected(proxy) as refused:
        refused.recv(1)


def test_without_a_fault_bytes_pass_unchanged_and_the_end_of_one_side_reaches_the_other(
    proxy: Proxy, client: socket.socket
) -> None:
    sender = threading.Thread(target=client.sendall, args=(BIG,))
    sender.start()
    assert answer(client, len(BIG)) == BIG
    sender.join()
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert eventually(lambda: proxy.open == 0)
    assert (proxy.count.up_bytes, proxy.count.down_bytes, proxy.count.lost_bytes) == (len(BIG), len(BIG), 0)


def test_slices_and_a_thin_line_change_the_pieces_and_not_the_bytes(proxy: Proxy, client: socket.socket) -> None:
    proxy.flow(up=Flow(slice_bytes=3), down=Flow(bytes_per_s=200_000, slice_bytes=7))
    assert asked(client, BIG[:5_000]) == BIG[:5_000]


def test_a_delay_keeps_the_order_and_healing_ends_it_at_once(proxy: Proxy, client: socket.socket) -> None:
    proxy.flow(up=Flow(delay_s=3_600))
    client.sendall(b"first")
    assert nothing_comes(client)
    client.sendall(b"second")
    proxy.heal()
    assert answer(client, 11) == b"firstsecond"


def test_of_a_mute_server_only_the_answers_are_lost_and_the_client_is_reset_when_it_heals(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    assert asked(client, b"before") == b"before"
    proxy.flow(down=SILENT)
    client.sendall(b"done but not said")
    assert eventually(lambda: proxy.count.lost_bytes == len(b"done but not said"))
    assert b"done but not said" in b"".join(echo.heard)
    assert nothing_comes(client)
    proxy.heal()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with connected(proxy) as again:
        assert asked(again, b"after") == b"after"


def test_who_lost_nothing_keeps_the_connection_through_a_silence(proxy: Proxy, client: socket.socket) -> None:
    assert asked(client, b"before") == b"before"
    proxy.flow(up=SILENT, down=SILENT)
    proxy.heal()
    assert asked(client, b"after") == b"after"


def test_a_half_open_connection_is_reset_for_the_server_and_silent_for_the_client(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    assert asked(client, b"before") == b"before"
    proxy.half_open()
    assert eventually(lambda: echo.resets == 1)
    client.sendall(b"into the void")
    assert nothing_comes(client)
    proxy.heal()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_reset_is_seen_by_both_ends_and_new_connections_are_taken(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    assert asked(client, b"before") == b"before"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert eventually(lambda: echo.resets == 1)
    with connected(proxy) as again:
        assert asked(again, b"after") == b"after"


def test_a_refusing_proxy_resets_new_connections_until_it_heals(proxy: Proxy) -> None:
    proxy.refuse()
    expect_reset(proxy)
    proxy.heal()
    with connected(proxy) as again:
        assert asked(again, b"after") == b"after"


def test_a_server_that_is_not_there_resets_its_clients(proxy: Proxy) -> None:
    proxy.upstream = 1
    expect_reset(proxy)
    assert proxy.count.refused == 1
