"""Requests that could be read in two ways, and other bytes that are no request."""

import socket

from ingress_tests import CALLBACK, check, expect

BODY = "id=1&status=Success"


def speak(env, text, wait_s=5):
    """All that is answered to raw bytes, until the other side closes."""
    connection = socket.create_connection(("127.0.0.1", env.main.port), timeout=wait_s)
    connection.sendall(text.encode("latin-1"))
    answer = b""
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
    except (TimeoutError, ConnectionResetError):
        answer += b"\r\n[still open]"
    connection.close()
    return answer.decode("latin-1")


def post(path, *headers, body=BODY):
    return "POST %s HTTP/1.1\r\n%s\r\n\r\n%s" % (path, "\r\n".join(headers), body)


def test_ambiguous_requests_are_refused_and_the_connection_closed(env):
    env.drain("reconcile-dlr.normal")
    host, length = "Host: a", "Content-Length: %d" % len(BODY)
    chunked = "Transfer-Encoding: chunked"
    in_chunks = "5\r\nid=1&\r\n0\r\n\r\n"
    for path in (CALLBACK, "/api/messages/send/", "/healthz"):
        for headers, body in (([host, length, "Content-Length: 3"], BODY),
                              ([host, length, length], BODY),
                              ([host, length, chunked], in_chunks),
                              ([host, chunked, chunked], in_chunks),
                              ([host, "Transfer-Encoding: gzip, chunked"], in_chunks),
                              ([host, "Transfer-Encoding: identity"], BODY),
                              ([host, "Content-Length: +5"], BODY),
                              ([host, "Content-Length: 5, 5"], BODY),
                              ([host, "Host: b", length], BODY),
                              ([host, length, "Authorization: Bearer a", "Authorization: Bearer b"],
                               BODY)):
            smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            answer = speak(env, post(path, *headers, body=body) + smuggled)
            check(answer.startswith("HTTP/1.1 400"), "%r: %s" % (headers, answer[:200]))
            expect(answer.count("HTTP/1.1 "), answer.count("HTTP/1.1 400"),
                   "answers to %r: %s" % (headers, answer))
            check("still open" not in answer, "%r: the connection is open" % (headers,))
    expect(env.drain("reconcile-dlr.normal"), [], "kept")


def test_nonsense(env):
    for text in ("\x16\x03\x01\x02\x00\x01\x00", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\0" * 100,
                 "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "GET " + "x" * 40000 + " HTTP/1.1\r\n\r\n",
                 post(CALLBACK, "Host: a", "Content-Length: 99999999999999999999", body="")):
        answer = speak(env, text, wait_s=1)
        check("200 OK" not in answer, "%r: %s" % (text[:40], answer[:200]))
    expect(env.ask("GET", "/readyz", key=None).status, 200, "ready afterwards")


def test_several_requests_on_a_connection(env):
    connection = socket.create_connection(("127.0.0.1", env.main.port), timeout=5)
    for _ in range(3):
        connection.sendall(post(CALLBACK, "Host: a", "Content-Length: %d" % len(BODY)).encode())
        check(connection.recv(4096).startswith(b"HTTP/1.1 200"), "one after the other")
    request = post(CALLBACK, "Host: a", "Content-Length: %d" % len(BODY))
    connection.sendall((request * 3).encode())
    answer = b""
    while answer.count(b"OK\n") < 3:
        answer += connection.recv(4096)
    expect(answer.count(b"HTTP/1.1 200"), 3, "pipelined")
    connection.close()
