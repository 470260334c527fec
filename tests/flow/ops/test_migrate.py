#!/usr/bin/python3
"""test_migrate.py BUILD - the schema goes forward, once, and never differently

Against a PostgreSQL of its own; each test has a database of its own.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SERVERS = ROOT / "tests/support/servers"
COUNT = len(list((ROOT / "migrations").glob("*.sql")))

TUMACTL = ""


def setUpModule():
    global folder, server
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tuma-migrate.", dir="/tmp"))
    folder.chmod(0o755)  # the server may run as another user
    subprocess.run([SERVERS, "start", folder / "servers", "postgres"], check=True,
                   env={**os.environ, "SERVERS_OWNER": str(os.getpid())})
    lines = (folder / "servers/env").read_text().splitlines()
    server = dict(line.split("=", 1) for line in lines)["DATABASE_URL"]


def tearDownModule():
    subprocess.run([SERVERS, "discard", folder / "servers"], check=True)
    shutil.rmtree(folder)


class Migrate(unittest.TestCase):
    def setUp(self):
        name = self._testMethodName
        self.url = server.rsplit("/", 1)[0] + "/" + name
        self.psql(server, "CREATE DATABASE " + name)
        self.folder = folder / name
        shutil.copytree(ROOT / "migrations", self.folder)

    @staticmethod
    def psql(url, sql):
        return subprocess.run(["psql", "-qXAtd", url, "-v", "ON_ERROR_STOP=1", "-c", sql],
                              check=True, capture_output=True, text=True).stdout.strip()

    def start(self, *words):
        return subprocess.Popen([TUMACTL, "migrate", *words], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                env={"DATABASE_URL": self.url, "TUMA_MIGRATIONS": str(self.folder)})

    def migrate(self, *words, status=0):
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, status, out + err)
        return out + err

    def applied(self):
        return int(self.psql(self.url, "SELECT count(*) FROM schema_migrations"))

    def test_a_second_run_changes_nothing(self):
        self.assertIn("%d applied now" % COUNT, self.migrate())
        self.assertIn(" 0 applied now", self.migrate())
        self.assertEqual(self.applied(), COUNT)
        self.assertEqual(self.psql(self.url, "SELECT count(*) FROM routes"), "2")

    def test_two_at_once_wait_for_each_other(self):
        both = [self.start(), self.start()]
        said = [process.communicate(timeout=60) for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], said)
        self.assertEqual(sum("0001_accounts.sql" in out for out, _ in said), 1)
        self.assertEqual(self.applied(), COUNT)

    def test_a_new_file_is_applied_alone(self):
        self.migrate()
        new = "%04d_more.sql" % (COUNT + 1)
        (self.folder / new).write_text("-- More.\nCREATE TABLE more (id int);\n")
        said = self.migrate()
        self.assertIn("applied " + new, said)
        self.assertIn(" 1 applied now", said)
        self.psql(self.url, "SELECT * FROM more")

    def test_a_changed_file_is_refused(self):
        self.migrate()
        with open(self.folder / "0002_tokens.sql", "a", encoding="utf-8") as file:
            file.write("-- a thought\n")
        self.assertIn("0002_tokens.sql was changed", self.migrate(status=1))

    def test_a_newer_database_is_refused(self):
        self.migrate()
        for file in self.folder.glob("*.sql"):
            if file.name >= "0004":
                file.unlink()
        self.assertIn("newer than this tumactl", self.migrate(status=1))

    def test_a_gap_is_refused_before_anything_is_done(self):
        (self.folder / "0003_campaigns.sql").unlink()
        self.assertIn("number 0003 is expected", self.migrate(status=1))
        self.assertEqual(self.psql(self.url, "SELECT to_regclass('accounts') IS NULL"), "t")

    def test_a_failing_file_leaves_those_before_it_and_nothing_of_itself(self):
        (self.folder / ("%04d_bad.sql" % (COUNT + 1))).write_text(
            "-- Bad.\nCREATE TABLE half (id int);\nSELECT 1/0;\n")
        said = self.migrate(status=1)
        self.assertIn("_bad.sql", said)
        self.assertIn("division by zero", said)
        self.assertEqual(self.applied(), COUNT)
        self.assertEqual(self.psql(self.url, "SELECT to_regclass('half') IS NULL"), "t")

    def test_the_folder_may_be_named(self):
        self.assertIn("is no folder", self.migrate("/nowhere", status=64))
        empty = folder / "empty"
        empty.mkdir()
        self.assertIn("has no migrations", self.migrate(str(empty), status=64))
        self.assertIn("%d applied now" % COUNT, self.migrate(str(ROOT / "migrations")))


if __name__ == "__main__":
    TUMACTL = str(pathlib.Path(sys.argv.pop(1)) / "deploy/tumactl")
    unittest.main()
