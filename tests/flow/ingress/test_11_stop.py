"""Told to stop, it answers what is under way and ends with 0."""

import http.client
import socket
import subprocess
import threading

from ingress_tests import CALLBACK, check, expect, wait_for


def test_under_load_nothing_acknowledged_is_lost(env):
    ingress = env.ingress("stop")
    env.drain("reconcile-dlr.normal")
    answered = []

    def post():
        connection = http.client.HTTPConnection("127.0.0.1", ingress.port, timeout=10)
        try:
            while True:
                connection.request("POST", CALLBACK, "id=ATXid_%d&status=Success" % id(connection),
                                   {"Content-Type": "application/x-www-form-urlencoded"})
                reply = connection.getresponse()
                reply.read()
                if reply.status == 200:
                    answered.append(1)
        except (OSError, http.client.HTTPException):
            pass  # it has stopped

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for("callbacks are answered", 10, lambda: len(answered) > 200)
    ingress.stop()
    for thread in threads:
        thread.join()
    kept = sum(len(body["reports"]) for _, _, body in env.drain("reconcile-dlr.normal"))
    check(kept >= len(answered), "%d answered, %d kept" % (len(answered), kept))


def test_with_idle_connections_streams_and_half_requests(env):
    ingress = env.ingress("idle")
    made = env.sms().body["id"]
    idle = [socket.create_connection(("127.0.0.1", ingress.port)) for _ in range(20)]
    idle[0].sendall(b"POST /api/messages/send/ HTTP/1.1\r\nHost: a\r\nContent-")
    idle[1].sendall(("POST /api/communications/sms?title=Half&messageTemplate=x HTTP/1.1\r\nHost: a\r\n"
                     "Authorization: Bearer %s\r\nContent-Type: text/csv\r\nContent-Length: 9999\r\n\r\n"
                     "phone\n0712345678\n" % env.keys["send"]).encode())
    stream = http.client.HTTPConnection("127.0.0.1", ingress.port, timeout=10)
    stream.request("GET", "/api/campaigns/%s/events" % made,
                   headers={"Authorization": "Bearer " + env.keys["read"]})
    check(stream.getresponse().readline(), "the stream runs")
    wait_for("half an upload", 5, lambda: env.sql("SELECT 1 FROM campaigns WHERE title = 'Half'"))
    ingress.stop()
    expect(env.sql("SELECT status FROM campaigns WHERE title = 'Half'"), [["abandoned"]], "the half")
    check("stopped" in ingress.log.read_text(), "the log's last word")


def test_bad_settings_are_told_together(env):
    done = subprocess.run([str(env.build / "ingress/ingress")], stderr=subprocess.PIPE, text=True, env={
        **env.environment, "HTTP_WORKERS": "many", "COMMUNICATIONS_WEBHOOK_TOKEN": "a/b",
        "HTTP_IDLE": "5", "LOG_LEVEL": "loud"})
    expect(done.returncode, 78, "exit status")
    for name in ("HTTP_WORKERS", "HTTP_IDLE"):
        check(name in done.stderr, "%s in %r" % (name, done.stderr))
    done = subprocess.run([str(env.build / "ingress/ingress"), "--check"], stderr=subprocess.PIPE,
                          text=True, env={**env.environment, "AMQP_URL": "amqp://x:y@127.0.0.1:1/",
                                          "DATABASE_URL": "postgresql://x@127.0.0.1:1/x"})
    expect(done.returncode, 1, "exit status of --check")
    check("database" in done.stderr and "broker" in done.stderr, done.stderr)
