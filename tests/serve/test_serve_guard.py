"""Who may ask, how much, and how many at once."""

import json
import logging
import socket
import threading
import time

import httpx
import pytest

from tomos.serve import guard, listen
from tomos.serve.desk import Limits
from tomos.types import SettingsError

PNG = {"content-type": "image/png"}


@pytest.mark.fast
def test_every_answer_carries_the_security_headers(client):
    foreign = client.get("/", headers={"host": "evil"})
    own = [client.get(path) for path in ("/", "/health", "/nowhere")]
    for answer in (*own, client.post("/api/read"), foreign):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.fast
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "8.8.8.8", "", "a b"])
def test_a_foreign_host_name_is_refused(client, host):
    assert client.get("/health", headers={"host": host}).status_code == 421


@pytest.mark.fast
@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:99", "[::1]:8080"])
def test_this_machines_names_are_answered(client, host):
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.fast
def test_posts_from_other_sites_are_refused(client, grey_png):
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
    ):
        assert client.post("/api/read", content=grey_png(1), headers=headers).status_code == 403
    own = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert client.post("/api/read", content=grey_png(1), headers=own).status_code == 200


@pytest.mark.fast
def test_hosts_answered_beyond_this_machine():
    assert "*" not in listen.hosts_for("127.0.0.1", [])
    outside = listen.hosts_for("0.0.0.0", ["Reading.Hospital"])
    assert "*" in outside and "reading.hospital" in outside
    keeper = guard.Guard(None, None, outside)
    assert keeper._known("10.0.0.7") and not keeper._known("evil.example")


@pytest.mark.fast
def test_a_taken_port_is_named():
    first = listen.bind("127.0.0.1", 0)
    port = first.getsockname()[1]
    with pytest.raises(SettingsError, match=f"port {port} is in use"):
        listen.bind("127.0.0.1", port)
    first.close()


@pytest.mark.fast
def test_route_names_hold_nothing_from_outside():
    assert guard.route_name("/v1/models/x:predict") == "/v1/models/NAME:predict"
    assert guard.route_name("/api/models/Doe%5EJane") == "/api/models/NAME"
    assert guard.route_name("/secret/Doe") == "other"


@pytest.mark.fast
def test_logs_name_no_file(client, caplog, grey_png):
    caplog.set_level(logging.DEBUG)
    files = {"file": ("Doe^Jane.png", grey_png(1), "image/png")}
    client.post("/api/read", files=files)
    client.post("/api/read", files={"file": ("Doe^Jane.txt", b"text" * 100)})
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("tomos")]
    assert any("/api/read 200" in line for line in ours)
    assert not any("Doe" in line for line in ours)


def raw(address: str, request: bytes) -> tuple[int, dict]:
    """Send bytes as they are, even while an answer already waits; its status and JSON."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as line:
        line.sendall(request)
        head, _, body = _all(line).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def _all(line: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
        piece = line.recv(65536)
        if not piece:
            break
        received += piece
    return received


def test_bodies_are_bounded_whatever_they_promise(reader, grey_png, live):
    head = b"POST /api/read HTTP/1.1\r\nHost: localhost\r\n"
    big = b"x" * 400_000
    with live([reader], Limits(upload_bytes=100_000, idle_seconds=0.5)) as address:
        declared = head + b"Content-Length: 400000\r\n\r\n" + big
        assert raw(address, declared)[0] == 413
        chunk = b"%x\r\n%s\r\n" % (len(big), big)
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
        assert raw(address, chunked)[0] == 413
        status, body = raw(address, head + b"Content-Length: 50000\r\n\r\n" + b"x" * 100)
        assert (status, "stalled" in body["error"]) == (408, True)
        form = b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n" + big
        kind = b"Content-Type: multipart/form-data; boundary=b\r\n"
        chunk = b"%x\r\n%s\r\n" % (len(form), form)
        lying = head + kind + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
        assert raw(address, lying)[0] == 413
        assert httpx.post(f"{address}/api/read", content=grey_png(9)).status_code == 200


def test_health_answers_while_the_queue_is_full_and_more_get_503(reader, grey_png, live):
    reader.gate = threading.Event()
    with live([reader], Limits(workers=1, waiting=1)) as address:
        post = lambda: answers.append(  # noqa: E731
            httpx.post(f"{address}/api/read", content=grey_png(9), headers=PNG, timeout=20)
        )
        answers: list[httpx.Response] = []
        threads = [threading.Thread(target=post) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert reader.entered.acquire(timeout=10)
        deadline = time.monotonic() + 10
        while "tomos_queue_waiting 1" not in httpx.get(f"{address}/metrics").text:
            assert time.monotonic() < deadline
        full = httpx.post(f"{address}/api/read", content=grey_png(9), headers=PNG)
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) >= 1
        assert httpx.get(f"{address}/health").status_code == 200
        reader.gate.set()
        for thread in threads:
            thread.join(20)
        assert [answer.status_code for answer in answers] == [200, 200]


def test_a_slow_model_is_given_up_and_its_slot_kept_until_it_ends(reader, grey_png, live):
    reader.gate = threading.Event()
    with live([reader], Limits(workers=1, seconds=0.3)) as address:
        late = httpx.post(f"{address}/api/read", content=grey_png(9), timeout=20)
        assert late.status_code == 504
        assert "tomos_workers_busy 1" in httpx.get(f"{address}/metrics").text
        reader.gate.set()
        assert httpx.post(f"{address}/api/read", content=grey_png(9)).status_code == 200
