#!/usr/bin/python3
"""test_tokens.py BUILD - tokens by tumactl, and statements that customers can check

Against a PostgreSQL of its own; each test has accounts of its own.
"""
import csv
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SERVERS = ROOT / "tests/support/servers"
FAILED, USAGE, WRONG_SETTINGS = 1, 64, 78
ZEROS = "0" * 64

BUILD = None


def setUpModule():
    global folder, url
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tuma-tokens.", dir="/tmp"))
    folder.chmod(0o755)  # the server may run as another user
    subprocess.run([SERVERS, "start", folder / "servers", "postgres"], check=True,
                   env={**os.environ, "SERVERS_OWNER": str(os.getpid())})
    lines = (folder / "servers/env").read_text().splitlines()
    url = dict(line.split("=", 1) for line in lines)["DATABASE_URL"]
    ctl("migrate")
    ctl("statement-key", "create", folder / "key")


def tearDownModule():
    subprocess.run([SERVERS, "discard", folder / "servers"], check=True)
    shutil.rmtree(folder)


def ctl(*words, status=0, **environment):
    """Standard output, or with another status standard error."""
    done = subprocess.run(
        [BUILD / "deploy/tumactl", *map(str, words)], text=True, capture_output=True, check=False,
        timeout=60, cwd="/", stdin=subprocess.DEVNULL,
        env={"DATABASE_URL": url, "STATEMENT_KEY_FILE": str(folder / "key"), "USER": "clerk",
             "TUMA_MIGRATIONS": str(ROOT / "migrations"), **environment})
    if done.returncode != status:
        raise AssertionError("%s: %d: %s%s" % (words, done.returncode, done.stdout, done.stderr))
    return done.stdout if status == 0 else done.stdout + done.stderr


def sql(text):
    return subprocess.run(["psql", "-qXAtd", url, "-v", "ON_ERROR_STOP=1", "-c", text], check=True,
                          capture_output=True, text=True).stdout.strip()


class Case(unittest.TestCase):
    number = 0

    def account(self, tokens=0):
        Case.number += 1
        slug = "acme%d" % Case.number
        ctl("account", "create", "--slug", slug, "--name", "Acme", "--email", slug + "@test")
        if tokens:
            ctl("tokens", "add", "--account", slug, "--tokens", tokens)
        return slug

    def available(self, slug):
        return int(re.search(r"available +(\S+)",
                             ctl("tokens", "check", "--account", slug))[1].replace(",", ""))


class Tokens(Case):
    def test_a_reference_has_a_receipt(self):
        giver, taker = self.account(1000), self.account()
        said = ctl("tokens", "transfer", "--account", giver, "--to", taker, "--tokens", 300,
                   "--reason", "for the fair")
        reference = re.match(r"TRF-\d{12}", said)[0]
        for slug, words in ((giver, ["-300", taker]), (taker, ["+300", giver])):
            receipt = ctl("tokens", "receipt", reference, "--account", slug)
            for word in ["Acme", reference, "for the fair", "by", "clerk", *words]:
                self.assertIn(word, receipt)
        self.assertIn("no operation of %s is 'TRF-1'" % giver,
                      ctl("tokens", "receipt", "TRF-1", "--account", giver, status=FAILED))

    def test_usage_and_insights_of_an_account(self):
        slug = self.account(1000)
        said = ctl("tokens", "usage", "--account", slug, "--days", 3)
        self.assertEqual(len(re.findall(r"^20\d\d-\d\d-\d\d +0 +0 +0$", said, re.MULTILINE)), 3)
        self.assertIn("CAMPAIGN (0 of 0)", said)
        for days in (0, 367):
            ctl("tokens", "usage", "--account", slug, "--days", days, status=USAGE)
        said = ctl("tokens", "insights", "--user", slug + "@test")
        for words in ("available              1,000", "nothing was used", "by agreement",
                      "0 recipients, 0 tokens"):
            self.assertIn(words, said)

    def test_a_transfer_is_done_once_and_both_see_it(self):
        giver, taker = self.account(1000), self.account()
        words = ["tokens", "transfer", "--user", giver + "@test", "--to", taker + "@test",
                 "--tokens", 300, "--reason", "for the fair", "--reference", "TRF-%s" % giver]
        self.assertIn("300 from %s to %s" % (giver, taker), ctl(*words))
        self.assertIn("was transferred before", ctl(*words))
        self.assertEqual((self.available(giver), self.available(taker)), (700, 300))
        self.assertRegex(ctl("tokens", "history", "--account", giver),
                         r"transfer +300 +-300  TRF-%s to %s: for the fair, by clerk" % (giver, taker))
        self.assertRegex(ctl("tokens", "history", "--account", taker),
                         r"transfer +300 +300  TRF-%s from %s: for the fair, by clerk"
                         % (giver, giver))
        self.assertRegex(ctl("tokens", "transfer", "--account", giver, "--to", taker, "--tokens", 1),
                         r"^TRF-\d{12} transferred")

    def test_what_cannot_be_transferred_is_refused(self):
        giver, taker = self.account(10), self.account()
        base = ["tokens", "transfer", "--account", giver, "--to", taker, "--tokens"]
        self.assertIn("1 are missing", ctl(*base, 11, status=FAILED))
        for bad in ("0", "-1", "1.5", "1e3", "9" * 30, ""):
            self.assertIn("whole number", ctl(*base, bad, status=USAGE))
        self.assertIn("to itself", ctl("tokens", "transfer", "--account", giver, "--to", giver,
                                       "--tokens", 1, status=FAILED))
        self.assertIn("no account", ctl("tokens", "transfer", "--account", giver, "--to", "nobody@x",
                                        "--tokens", 1, status=FAILED))
        sql("UPDATE accounts SET status = 'closed' WHERE slug = '%s'" % taker)
        self.assertIn("is closed", ctl(*base, 1, status=FAILED))
        self.assertEqual(self.available(giver), 10)

    def test_a_correction_needs_a_reason_and_has_a_name(self):
        slug = self.account(100)
        words = ["tokens", "adjust", "--account", slug, "--tokens"]
        self.assertIn("needs --reason", ctl(*words, 5, status=USAGE))
        self.assertIn("nothing to add", ctl(*words, 0, "--reason", "x", status=USAGE))
        self.assertIn("1 are missing", ctl(*words, -101, "--reason", "x", status=FAILED))
        self.assertIn("150 available", ctl(*words, 50, "--reason", "outage"))
        self.assertIn("120 available", ctl(*words, -30, "--reason", "booked twice", "--by", "Eve",
                                           "--reference", "ADJ-1"))
        self.assertIn("was corrected before", ctl(*words, -30, "--reason", "booked twice",
                                                  "--reference", "ADJ-1"))
        self.assertIn("another correction", ctl(*words, -31, "--reason", "booked twice",
                                                "--reference", "ADJ-1", status=FAILED))
        told = ctl("tokens", "history", "--account", slug)
        self.assertIn("ADJ-1: booked twice, by Eve", told)
        self.assertIn(": outage, by clerk", told)

    def test_the_history_is_a_table_or_csv(self):
        slug, other = self.account(), self.account()
        for number in range(12):
            ctl("tokens", "add", "--account", slug, "--tokens", number + 1, "--reference",
                "TKN-%d" % number)
        ctl("tokens", "transfer", "--account", slug, "--to", other, "--tokens", 7,
            "--reason", 'say "hi", and\ngo', "--reference", "=1+1")
        lines = ctl("tokens", "history", "--account", slug).splitlines()
        self.assertEqual(lines[0].split()[:2], ["POSITION", "TIME"])
        self.assertIn("=1+1 to", lines[1])
        rows = list(csv.DictReader(ctl("tokens", "history", "--account", slug,
                                       "--csv").splitlines(keepends=True)))
        self.assertEqual([int(row["position"]) for row in rows], list(range(13, 0, -1)))
        self.assertEqual((rows[0]["reason"], rows[0]["peer"], rows[0]["available_change"]),
                         ('say "hi", and\ngo', other, "-7"))
        self.assertEqual((rows[12]["reference"], rows[12]["tokens"], rows[12]["from"]),
                         ("TKN-0", "1", "source"))
        page = list(csv.DictReader(ctl("tokens", "history", "--account", slug, "--csv", "--limit",
                                       5, "--before", 11).splitlines()))
        self.assertEqual([int(row["position"]) for row in page], [10, 9, 8, 7, 6])
        self.assertEqual(len(ctl("tokens", "history", "--account", slug, "--kind", "transfer",
                                 "--csv", "--to", "+1h").splitlines()), 3)  # the reason has two
        self.assertEqual(len(ctl("tokens", "history", "--account", slug, "--csv", "--from",
                                 "+1h").splitlines()), 1)

    def test_expired_tokens_are_retired_and_stay_in_the_chain(self):
        slug = self.account(5)
        for number in range(3):
            ctl("tokens", "add", "--account", slug, "--tokens", 10 + number, "--expires", "+1h")
        sql("UPDATE token_lots SET expires_at = now() - interval '1 second' WHERE expires_at < 'infinity'"
            " AND account_id = (SELECT id FROM accounts WHERE slug = '%s')" % slug)
        ctl("tokens", "expire")
        self.assertIn("nothing has expired", ctl("tokens", "expire"))
        self.assertEqual(self.available(slug), 5)
        self.assertEqual(len(ctl("tokens", "history", "--account", slug, "--kind",
                                 "expire").splitlines()), 4)
        ctl("verify")


CAMPAIGN = """
CREATE TABLE IF NOT EXISTS recipients_long_ago PARTITION OF recipients FOR VALUES
    FROM (0) TO (id_floor('{floor}'));
INSERT INTO campaigns (id, account_id, reference, status, title, message_template, country,
        chunks_expected, chunks_done, rows_received, last_seq, planned, segments, completed_at)
    SELECT {id}, id, 'old {id}', '{status}', 'T', 'Hi', 'KE', 1, 1, 10, 10, 10, 10, '{over}'
      FROM accounts WHERE slug = '{slug}';
INSERT INTO campaign_chunks VALUES ({id}, 1, 10, 10);
INSERT INTO recipients (campaign_id, msisdn, seq, batch, state, segments, provider_id, reason)
    SELECT {id}, 254700000000 + i, i, 1, CASE WHEN i > 8 THEN 5 ELSE 4 END, 1, 'id ' || i,
           CASE WHEN i > 8 THEN 'Failed' END FROM generate_series(1, 10) i;
INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq, recorded_seq,
        delivered, failed, captured, done_at, settled_at)
    VALUES ({id}, 1, 1, 10, 'cut', 10, 10, 8, 2, 10, '{over}', '{over}');
INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, hold_id)
    SELECT id, 'hold', 'available', 'reserved', 10, '{id}', {id} FROM accounts WHERE slug = '{slug}';
INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, hold_id)
    SELECT id, 'capture', 'reserved', 'spent', 10, '{id}/1', {id} FROM accounts WHERE slug = '{slug}';
INSERT INTO token_holds (id, account_id, amount, captured)
    SELECT {id}, id, 10, 10 FROM accounts WHERE slug = '{slug}';
INSERT INTO token_hold_lots SELECT {id}, l.id, 10 FROM token_lots l JOIN accounts a
    ON a.id = l.account_id WHERE a.slug = '{slug}';
UPDATE token_lots SET available = available - 10 WHERE account_id =
    (SELECT id FROM accounts WHERE slug = '{slug}');
UPDATE token_balances SET available = available - 10, spent = spent + 10 WHERE account_id =
    (SELECT id FROM accounts WHERE slug = '{slug}');
"""

FINGERPRINT = """SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM (
    SELECT e::text FROM ledger_entries e UNION ALL SELECT b::text FROM token_balances b
    UNION ALL SELECT h::text FROM token_holds h UNION ALL SELECT l::text FROM token_lots l) t(t)"""


class Cleanup(Case):
    def campaign(self, slug, days, status="completed", over_days=None):
        """One that was made so many days ago; ten tokens were captured."""
        age = sql("SELECT id_floor(now() - interval '%d days') + %d" % (days, Case.number))
        Case.number += 1
        sql("BEGIN; " + CAMPAIGN.format(
            id=age, slug=slug, status=status,
            over=sql("SELECT now() - interval '%d days'" % (over_days or days)),
            floor=sql("SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
                      " - interval '1 month'")) + "COMMIT")
        return int(age)

    def test_old_closed_detail_is_archived_and_no_ledger_row_is_touched(self):
        slug = self.account(1000)
        old = {self.campaign(slug, 70), self.campaign(slug, 80, "cancelled")}
        self.campaign(slug, 70, "completed", over_days=20)  # it is not over for long
        self.campaign(slug, 70, "sent")                     # reports may come
        sql("UPDATE token_holds SET captured = 9 WHERE id = %d" % self.campaign(slug, 75))  # open
        open_hold = int(sql("SELECT id FROM token_holds WHERE captured = 9"))
        before = sql(FINGERPRINT)
        proof = ctl("verify", status=FAILED)  # of the open hold alone, which was made by hand
        self.assertRegex(ctl("tokens", "cleanup", "--days", 60, "--dry-run"),
                         r"lots of closed holds: 2 would be archived\nbodies .*: 0 would be")
        self.assertEqual(sql("SELECT count(*) FROM token_hold_lots_archive"), "0")
        self.assertRegex(ctl("tokens", "cleanup", "--days", 60),
                         r"lots of closed holds: 2 archived\n.*\nledger entries: none, they stay")
        self.assertEqual(
            {int(row) for row in sql("SELECT hold_id FROM token_hold_lots_archive").split()}, old)
        self.assertEqual(sql("SELECT count(*) FROM token_hold_lots WHERE hold_id IN (%s)"
                             % ",".join(map(str, old))), "0")
        self.assertEqual(sql("SELECT count(*) FROM token_hold_lots WHERE hold_id = %d" % open_hold),
                         "1")
        self.assertEqual(sql(FINGERPRINT), before)
        self.assertEqual(ctl("verify", status=FAILED), proof)
        self.assertIn("lots of closed holds: 0 archived", ctl("tokens", "cleanup", "--days", 60))
        sql("UPDATE token_holds SET captured = 10 WHERE id = %d" % open_hold)
        self.assertIn("all true", ctl("verify"))
        # Whoever takes an archived row away is found out.
        sql("DELETE FROM token_hold_lots_archive WHERE hold_id = %d" % min(old))
        self.assertIn("10 kept, lots gave 0", ctl("verify", status=FAILED))
        sql("INSERT INTO token_hold_lots_archive SELECT h.id, l.id, 10 FROM token_holds h"
            "  JOIN token_lots l ON l.account_id = h.account_id WHERE h.id = %d" % min(old))

    def test_bodies_of_callbacks_are_archived_once_their_payment_has_ended(self):
        slug = self.account()
        sql("""INSERT INTO purchases (id, account_id, reference, plan, tokens, valid_days, amount_minor,
                    currency, status)
            SELECT 1, id, 'TK00000001', 'starter', 1000, 30, 100000, 'KES', 'open' FROM accounts WHERE slug = '{0}';
            INSERT INTO payments (id, purchase_id, account_id, provider, msisdn, amount_minor, currency,
                    status, ended_at)
            SELECT x.id, 1, a.id, 'mpesa', 254700000001, 100000, 'KES', x.status, now() - interval '90 days'
              FROM accounts a, (VALUES (1, 'failed'), (2, 'unresolved')) x(id, status) WHERE slug = '{0}';
            INSERT INTO payment_callbacks (origin, provider, kind, payment_id, body, peer, verdict, received_at)
            SELECT 'o' || i, 'mpesa', 'stk', p, 'body ' || i, '::1', 'settled', now() - interval '1 day' * days
              FROM (VALUES (1, 1, 90), (2, 1, 5), (3, 2, 90), (4, NULL, 90)) x(i, p, days)""".format(slug))
        self.assertIn("callbacks: 1 archived", ctl("tokens", "cleanup", "--days", 30))
        self.assertEqual(sql("SELECT string_agg(body, ',' ORDER BY id) FROM payment_callbacks"),
                         ",body 2,body 3,body 4")
        self.assertEqual(sql("SELECT body FROM payment_bodies_archive"), "body 1")
        self.assertIn("callbacks: 0 archived", ctl("tokens", "cleanup", "--days", 30))

    def test_what_is_young_cannot_be_archived(self):
        for bad in ("29", "0", "-1", "1.5", "4000", "x", ""):
            self.assertIn("--days", ctl("tokens", "cleanup", "--days", bad, status=USAGE))
        self.assertIn("--days", ctl("tokens", "cleanup", status=USAGE))


class Alerts(Case):
    def test_an_accounts_own_settings(self):
        slug = self.account()
        words = ["account", "set", "--account", slug]
        self.assertIn("low balance 200, refund of failed reports default",
                      ctl(*words, "--low-balance", 200))
        self.assertIn("low balance 200, refund of failed reports on",
                      ctl(*words, "--refund-failed", "on"))
        self.assertIn("low balance 0, refund of failed reports off",
                      ctl(*words, "--refund-failed", "off", "--low-balance", 0))
        self.assertIn("low balance default, refund of failed reports default",
                      ctl(*words, "--refund-failed", "default", "--low-balance", "default"))
        self.assertIn("nothing to set", ctl(*words, status=USAGE))
        self.assertIn("none of on, off", ctl(*words, "--refund-failed", "yes", status=USAGE))
        for bad in ("-1", "1.5", "many", "9" * 20):
            self.assertIn("--low-balance", ctl(*words, "--low-balance", bad, status=USAGE))

    def test_alerts_of_accounts_and_of_the_platform_are_listed(self):
        slug = self.account()
        sql("INSERT INTO alerts (id, account_id, kind, day, value, threshold, currency, created_at,"
            "                    untold_at)"
            " SELECT x.id, a.id, kind, '2026-11-02', value, threshold, currency, now(),"
            "        CASE WHEN x.id = 2 THEN now() END"
            "   FROM (VALUES (1, '%s', 'low_balance', 37, 50, NULL),"
            "                (2, NULL, 'provider_credit_low', 12500, 5000000, 'KES'))"
            "        x(id, slug, kind, value, threshold, currency)"
            "   LEFT JOIN accounts a ON a.slug = x.slug" % slug)
        lines = ctl("alerts", "list").splitlines()
        self.assertRegex(lines[1], r" - +provider_credit_low no +the provider's credit is KES 1.25,")
        self.assertRegex(lines[2], slug + r" +low_balance +yes +37 tokens are left, fewer than 50")
        self.assertEqual(len(ctl("alerts", "list", "--account", slug).splitlines()), 2)
        self.assertEqual(len(ctl("alerts", "list", "--kind", "low_balance").splitlines()), 2)
        self.assertEqual(len(ctl("alerts", "list", "--limit", 1).splitlines()), 2)
        self.assertIn("is none of low_balance", ctl("alerts", "list", "--kind", "x", status=USAGE))


class Statements(Case):
    def busy(self):
        """An account with entries of several kinds, and texts that want to be told apart."""
        slug, other = self.account(1000), self.account()
        ctl("tokens", "transfer", "--account", slug, "--to", other, "--tokens", 7, "--reason",
            "tab\there\nand a \\ and \r, ä", "--reference", "a\tb-" + slug)
        ctl("tokens", "adjust", "--account", slug, "--tokens", -3, "--reason", "\\N")
        ctl("tokens", "adjust", "--account", slug, "--tokens", 4, "--reason", "-")
        ctl("tokens", "add", "--account", slug, "--tokens", 2)
        return slug

    def write(self, text, name="statement"):
        path = folder / name
        path.write_text(text, newline="")
        return path

    def verify(self, *paths, key=None, status=0):
        done = subprocess.run([BUILD / "deploy/tuma-verify-statement", key or folder / "key.pub",
                               *paths], text=True, capture_output=True, check=False, timeout=60)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def sign(self, lines, key=None):
        """Lines without a signature, signed as the platform would."""
        text = "".join(line + "\n" for line in lines)
        self.write(text, "unsigned")
        signature = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key or folder / "key", "-in",
             folder / "unsigned"], check=True, capture_output=True).stdout
        return text + "signature\t%s\n" % signature.hex()

    def test_a_statement_is_whole_and_signed(self):
        slug = self.busy()
        path = self.write(ctl("tokens", "statement", "--user", slug + "@test"))
        told = self.verify(path)
        self.assertIn("account %s, entries 1 to 5, " % slug, told)
        self.assertRegex(told, r"available +\+996\n")
        self.assertRegex(told, r"source +-1003\n")
        self.assertRegex(told, r"peer +\+7\n")
        # Nothing but the published form is needed to make one: openssl signs the same.
        lines = path.read_text().splitlines()
        self.assertEqual(self.sign(lines[:-1]), path.read_text())

    def test_any_change_is_found(self):
        good = ctl("tokens", "statement", "--account", self.busy())
        for at in range(0, len(good), 17):
            if good[at] != "0":
                path = self.write(good[:at] + "0" + good[at + 1:])
                self.assertIn("NOT RIGHT", self.verify(path, status=1), at)
        for end in range(1, len(good), 29):
            self.verify(self.write(good[:end]), status=1)
        self.verify(self.write(good + "\n"), status=1)

    def changes(self, lines):
        """What somebody who has the key might do to a statement, and what is to be said of it."""
        entries = range(3, 8)
        for at in entries:
            fields = lines[at].split("\t")
            for field in range(1, 13) if at in (4, 7) else (6,):
                other = list(fields)
                other[field] = {1: "9", 4: "spent", 5: "reserved", 6: "12345", 12: ZEROS}.get(
                    field, other[field][:-1] + ("0" if other[field][-1:] != "0" else "1"))
                yield lines[:at] + ["\t".join(other)] + lines[at + 1:], "line %d" % (at + 1)
            if at < 7:
                yield lines[:at] + lines[at + 1:], "line %d: entry" % (at + 1)
                yield (lines[:at] + [lines[at + 1], lines[at]] + lines[at + 2:],
                       "line %d: entry" % (at + 1))
                renumbered = ["\t".join([line.split("\t")[0], str(number), *line.split("\t")[2:]])
                              for number, line in enumerate(
                                  lines[3:at] + lines[at + 1:8], 1)]
                yield lines[:3] + renumbered + lines[8:], "was changed"
            yield lines[:at] + [lines[at]] + lines[at:], "does not follow"
            yield lines[:at] + ["\t".join([*fields[:6], "5", *fields[7:]])] + lines[at:], "line"
        yield lines[:7] + lines[8:], "the closing is not"
        yield lines[:8] + ["closing\t5\t" + ZEROS], "the closing is not"
        yield lines[:8] + ["closing\t4\t" + lines[8].split("\t")[2]], "the closing is not"
        yield lines[:8] + ["closing\t6\t" + lines[8].split("\t")[2]], "the closing is not"
        yield lines[:2] + ["opening\t0\t" + "1" * 64] + lines[3:], "zeros"
        yield lines[:2] + ["opening\t1\t" + ZEROS] + lines[3:], "does not follow"
        yield lines[:1] + ["account\t7\tacme"] + lines[2:], "was changed"
        yield lines[1:], "tuma-statement-1"

    def test_changes_by_who_has_the_key_break_the_chain(self):
        lines = ctl("tokens", "statement", "--account", self.busy()).splitlines()[:-1]
        self.verify(self.write(self.sign(lines)))
        count = 0
        for changed, says in self.changes(lines):
            told = self.verify(self.write(self.sign(changed)), status=1)
            self.assertIn(says, told, changed)
            count += 1
        self.assertGreater(count, 50)

    def test_another_key_is_noticed(self):
        slug = self.busy()
        ctl("statement-key", "create", folder / "other")
        path = self.write(ctl("tokens", "statement", "--account", slug))
        self.assertIn("signature is not by this key",
                      self.verify(path, key=folder / "other.pub", status=1))
        forged = self.write(ctl("tokens", "statement", "--account", slug,
                                STATEMENT_KEY_FILE=str(folder / "other")))
        self.assertIn("signature is not by this key", self.verify(forged, status=1))
        self.verify(forged, key=folder / "other.pub")
        self.assertIn("no Ed25519 public key", self.verify(path, key=path, status=1))
        self.assertIn("no Ed25519 public key", self.verify(path, key=folder / "key", status=1))

    def test_statements_go_on_where_the_last_one_ended(self):
        slug = self.busy()
        times = sql("SELECT to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
                    "  FROM ledger_entries e JOIN accounts a ON a.id = e.account_id"
                    " WHERE slug = '%s' ORDER BY position" % slug).splitlines()
        parts = [self.write(ctl("tokens", "statement", "--account", slug, *words), "part%d" % at)
                 for at, words in enumerate([["--to", times[2]], ["--from", times[2], "--to",
                                                                  times[3]], ["--from", times[3]]])]
        told = self.verify(*parts)
        for words in ("entries 1 to 2", "entries 3 to 3", "entries 4 to 5"):
            self.assertIn(words, told)
        # Also when the times of entries are not in their order: transactions begin when they like.
        rewrite(slug, "UPDATE ledger_entries SET created_at = created_at - interval '1 hour'"
                      " WHERE position = 3 AND account_id = %s")
        late = [self.write(ctl("tokens", "statement", "--account", slug, *words), "late%d" % at)
                for at, words in enumerate([["--to", times[1]], ["--from", times[1]]])]
        self.assertIn("entries 4 to 5", self.verify(*late))
        rewrite(slug, "UPDATE ledger_entries SET created_at = created_at + interval '1 hour'"
                      " WHERE position = 3 AND account_id = %s")
        self.assertIn("does not go on", self.verify(parts[0], parts[2], status=1))
        self.assertIn("does not go on", self.verify(parts[1], parts[0], status=1))
        other = self.write(ctl("tokens", "statement", "--account", self.busy()), "other-account")
        self.assertIn("another account", self.verify(parts[0], other, status=1))
        # Nothing happened: nothing is said, but where the chain stands.
        for words, says in ((["--from", "+1h"], "no entries after 5"),
                            (["--to", "2020-01-01T00:00:00Z"], "no entries after 0")):
            self.assertIn(says, self.verify(self.write(
                ctl("tokens", "statement", "--account", slug, *words))))
        self.assertIn("no entries after 0", self.verify(self.write(
            ctl("tokens", "statement", "--account", self.account()))))

    def test_a_past_written_anew_does_not_fit_a_kept_statement(self):
        slug = self.busy()
        kept = self.write(ctl("tokens", "statement", "--account", slug), "kept")
        rewrite(slug, "UPDATE ledger_entries SET amount = 8 WHERE position = 2 AND account_id = %s")
        ctl("tokens", "add", "--account", slug, "--tokens", 1)
        self.verify(self.write(ctl("tokens", "statement", "--account", slug)))
        since = sql("SELECT to_char(max(created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
                    " FROM ledger_entries")
        last = self.write(ctl("tokens", "statement", "--account", slug, "--from", since), "last")
        self.assertIn("entries 6 to 6", self.verify(last))
        self.assertIn("does not go on", self.verify(kept, last, status=1))
        rewrite(slug, "UPDATE ledger_entries SET amount = 7 WHERE position = 2 AND account_id = %s")

    def test_keys_are_not_written_over_and_must_be_there(self):
        self.assertIn("exists", ctl("statement-key", "create", folder / "key", status=FAILED))
        self.assertEqual((folder / "key").stat().st_mode & 0o777, 0o600)
        slug = self.account(1)
        words = ["tokens", "statement", "--account", slug]
        self.assertIn("STATEMENT_KEY", ctl(*words, status=WRONG_SETTINGS, STATEMENT_KEY_FILE="/none"))
        for wrong in ("key.pub", "rsa", "locked"):
            if not (folder / wrong).exists():
                subprocess.run(["openssl", "genpkey", "-out", folder / wrong, "-algorithm",
                                *(["RSA"] if wrong == "rsa" else
                                  ["ED25519", "-aes128", "-pass", "pass:x"])],
                               check=True, capture_output=True)
            self.assertIn("no Ed25519 private key",
                          ctl(*words, status=FAILED, STATEMENT_KEY_FILE=str(folder / wrong)))

    def test_the_checker_says_how_it_is_used(self):
        done = subprocess.run([BUILD / "deploy/tuma-verify-statement"], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
        self.assertIn("No such file", self.verify("/none", status=1))
        self.assertIn("is empty", self.verify(self.write(""), status=1))
        self.assertIn("is empty, or no file", self.verify(folder, status=1))

    def test_customers_can_build_the_checker_with_nothing_of_ours(self):
        sources = ROOT / "deploy/statement"
        subprocess.run(["cc", "-std=gnu17", "-o", folder / "checker",
                        sources / "verify-statement.c", sources / "statement.c", "-lcrypto"],
                       check=True)
        path = self.write(ctl("tokens", "statement", "--account", self.busy()))
        subprocess.run([folder / "checker", folder / "key.pub", path], check=True,
                       capture_output=True)


class Payments(Case):
    """`tumactl verify` on rows that are broken by hand, one way after another."""

    TABLES = ("purchases", "payments", "payment_receipts", "subscriptions")
    number = 0

    def purchase(self, slug, plan="starter", minor=100000, tokens=1000):
        """An open purchase with two payments, of which one has failed. (reference, id)"""
        Payments.number += 1
        purchase, reference = Payments.number * 10, "TK%08d" % (55000000 + Payments.number)
        sql("INSERT INTO purchases (id, account_id, reference, plan, tokens, valid_days, amount_minor,"
            " currency, status) SELECT %d, id, '%s', '%s', %d, 30, %d, 'KES', 'open' FROM accounts"
            " WHERE slug = '%s'" % (purchase, reference, plan, tokens, minor, slug))
        for number, status in ((1, "failed"), (2, "prompted")):
            sql("INSERT INTO payments (id, purchase_id, account_id, provider, msisdn, amount_minor,"
                " currency, status) SELECT %d, %d, id, 'mpesa', 254712345678, 100000, 'KES', '%s'"
                " FROM accounts WHERE slug = '%s'" % (purchase + number, purchase, status, slug))
        return reference, purchase

    def paid(self, slug, receipt):
        """A purchase that its second payment has paid."""
        reference, purchase = self.purchase(slug)
        sql("INSERT INTO payment_receipts (receipt, provider, amount_minor, currency, source, status,"
            " payment_id) VALUES ('%s', 'mpesa', 100000, 'KES', 'stk', 'differs', %d)"
            % (receipt, purchase + 2))
        ctl("payments", "match", receipt, reference, "--by", "me", "--why", "a test")
        return reference, purchase

    def test_what_is_not_true_of_payments_is_found(self):
        slug, other = self.account(), self.account()
        paid, one = self.paid(slug, "UPAID1")
        self.paid(slug, "UPAID2")
        still_open, two = self.purchase(slug)
        sql("INSERT INTO payment_receipts (receipt, provider, amount_minor, currency, source, status)"
            " VALUES ('ULOOSE', 'mpesa', 5, 'KES', 'confirmation', 'unmatched')")
        ctl("verify")
        sql("CREATE SCHEMA kept;" + "".join("CREATE TABLE kept.%s AS TABLE %s;" % (name, name)
                                            for name in self.TABLES))
        tokens = "what is paid has its tokens"
        receipts = "has one credited receipt"
        of_paid = "each that is paid has its receipt"
        credited = "the payment of each that is credited"
        for change, names, said in [
                ("UPDATE purchases SET status = 'paid' WHERE id = %d" % two, [tokens, receipts],
                 still_open),
                ("UPDATE purchases SET status = 'open' WHERE id = %d" % one,
                 [tokens, receipts, of_paid], paid),
                ("UPDATE purchases SET tokens = 999 WHERE id = %d" % one, [tokens], paid),
                ("UPDATE purchases SET plan = 'business' WHERE id = %d" % one, [tokens], paid),
                ("DELETE FROM subscriptions WHERE reference = '%s'" % paid, [tokens], paid),
                ("UPDATE purchases SET reference = 'TK99999999' WHERE id = %d" % one, [tokens],
                 "TK99999999"),
                ("UPDATE payment_receipts SET status = 'unmatched' WHERE receipt = 'UPAID1'",
                 [receipts, of_paid], paid),
                ("INSERT INTO payment_receipts (receipt, provider, amount_minor, currency, source,"
                 " status, purchase_id) VALUES ('QUERY-1', 'mpesa', 1, 'KES', 'stk', 'credited', %d)"
                 % one, [receipts], "2 receipts"),
                ("UPDATE payment_receipts SET status = 'credited', purchase_id = %d"
                 " WHERE receipt = 'ULOOSE'" % two, [receipts], still_open),
                ("UPDATE payment_receipts SET status = 'credited' WHERE receipt = 'ULOOSE'",
                 ["what is credited paid a purchase"], "ULOOSE"),
                ("UPDATE payments SET status = 'failed' WHERE id = %d" % (one + 2),
                 [of_paid, credited], "failed by UPAID1"),
                ("UPDATE payments SET receipt = NULL WHERE id = %d" % (one + 2),
                 [of_paid, credited], "paid by nothing"),
                ("UPDATE payments SET status = 'paid' WHERE id = %d" % (two + 1), [of_paid],
                 still_open),
                ("UPDATE payments SET status = 'paid', receipt = 'ULOOSE' WHERE id = %d" % (one + 1),
                 [of_paid], "ULOOSE is unmatched"),
                ("UPDATE payment_receipts SET payment_id = %d WHERE receipt = 'UPAID1'" % (one + 1),
                 [of_paid, credited], "UPAID1")]:
            self.assertEqual(self.falses(change, said), names, change)
        back = ["UPDATE %s SET status = 'reversed' WHERE %s" % words for words in (
            ("payment_receipts", "receipt = 'UPAID1'"), ("payments", "id = %d" % (one + 2)),
            ("purchases", "id = %d" % one))]
        self.assertEqual(self.falses(";".join(back)), [])
        for at, names in enumerate([[receipts, of_paid, credited], [of_paid], [receipts, of_paid]]):
            self.assertEqual(self.falses(";".join(back[:at] + back[at + 1:])), names, back[at])
        ctl("tokens", "add", "--account", other, "--tokens", 5, "--reference", paid)
        self.assertEqual(self.falses("SELECT", paid), ["nobody else was granted tokens"])
        ctl("tokens", "add", "--account", slug, "--tokens", 1000, "--reference", still_open)
        self.assertEqual(self.falses("SELECT", still_open),
                         [tokens, "nobody else was granted tokens"])
        sql("DROP SCHEMA kept CASCADE; TRUNCATE purchases CASCADE")

    def falses(self, change, said=""):
        """What verify calls FALSE after a change, which is undone: the words of the checks."""
        words = ("what is paid has its tokens", "nobody else was granted tokens",
                 "has one credited receipt", "what is credited paid a purchase",
                 "each that is paid has its receipt", "the payment of each that is credited")
        sql(change)
        done = subprocess.run([BUILD / "deploy/tumactl", "verify"], text=True, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL,
                              env={"DATABASE_URL": url})
        sql("SET session_replication_role = replica;" + "".join(
            "DELETE FROM %s; INSERT INTO %s TABLE kept.%s;" % (name, name, name)
            for name in self.TABLES))
        lines = [line for line in done.stdout.splitlines() if line.startswith("FALSE")]
        self.assertEqual(done.returncode, FAILED if lines else 0, done.stdout + done.stderr)
        self.assertIn(said, done.stdout)
        self.assertEqual(len(lines), sum(word in line for line in lines for word in words), lines)
        return [word for word in words if any(word in line for line in lines)]


def rewrite(slug, change):
    """A change by who owns the database, with all hashes from there made anew."""
    account = sql("SELECT id FROM accounts WHERE slug = '%s'" % slug)
    sql("BEGIN; ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;"
        + change % account + """;
        DO $$
        DECLARE entry record; head bytea := decode(repeat('00', 32), 'hex');
        BEGIN
            FOR entry IN SELECT * FROM ledger_entries WHERE account_id = %s ORDER BY position LOOP
                UPDATE ledger_entries SET previous = head, hash = ledger_hash(account_id, position,
                       head, ledger_line(created_at, kind, debit, credit, amount, hold_id, peer_id,
                                         reference, detail, actor)) WHERE id = entry.id
                RETURNING hash INTO head;
            END LOOP;
            UPDATE token_balances SET head_hash = head WHERE account_id = %s;
        END $$;
        ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen; COMMIT""" % (account, account))


class Verify(Case):
    def test_a_chain_that_was_tampered_with_is_found(self):
        slug = self.account(100)
        for number in range(4):
            ctl("tokens", "add", "--account", slug, "--tokens", 10, "--reference", "T%d" % number)
        ctl("tokens", "transfer", "--account", slug, "--to", self.account(), "--tokens", 5,
            "--reason", "why")
        account = sql("SELECT id FROM accounts WHERE slug = '%s'" % slug)
        mine = "account_id = %s" % account
        ctl("verify")
        for what, do in [
                ("a text", "UPDATE ledger_entries SET reference = 'x' WHERE %s AND position = 3"),
                ("a reason", "UPDATE ledger_entries SET detail = 'x' WHERE %s AND position = 6"),
                ("a time", "UPDATE ledger_entries SET created_at = created_at + interval '1 us'"
                           " WHERE %s AND position = 3"),
                ("a hash", "UPDATE ledger_entries SET hash = sha256('x') WHERE %s AND position = 3"),
                ("a link", "UPDATE ledger_entries SET previous = sha256('x')"
                           " WHERE %s AND position = 3"),
                ("a position", "UPDATE ledger_entries SET position = 33 WHERE %s AND position = 6"),
                ("two swapped", "UPDATE ledger_entries SET position = 99 WHERE %s AND position = 3;"
                                "UPDATE ledger_entries SET position = 3 WHERE %s AND position = 4;"
                                "UPDATE ledger_entries SET position = 4 WHERE %s AND position = 99"),
                ("one gone", "DELETE FROM ledger_entries WHERE %s AND position = 3"),
                ("the last gone", "DELETE FROM ledger_entries WHERE %s AND position = 6"),
                ("the head", "UPDATE token_balances SET head_hash = sha256('x') WHERE %s"),
                ("its position", "UPDATE token_balances SET head_position = 7 WHERE %s"),
        ]:
            sql("CREATE TABLE kept_entries AS TABLE ledger_entries;"
                "CREATE TABLE kept_balances AS TABLE token_balances;"
                "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;"
                + do.replace("%s", mine))
            told = ctl("verify", status=FAILED)
            sql("DELETE FROM ledger_entries; DELETE FROM token_balances;"
                "INSERT INTO ledger_entries OVERRIDING SYSTEM VALUE TABLE kept_entries;"
                "INSERT INTO token_balances TABLE kept_balances;"
                "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen;"
                "DROP TABLE kept_entries, kept_balances")
            self.assertRegex(told, r"FALSE accounts: every entry follows[^\n]*\n +account %s: "
                             % slug, what)
        ctl("verify")
        rewrite(slug, "UPDATE ledger_entries SET reference = 'y' WHERE position = 6 AND account_id = %s")
        self.assertIn("FALSE accounts: what one gave", ctl("verify", status=FAILED))


if __name__ == "__main__":
    BUILD = pathlib.Path(sys.argv.pop(1))
    unittest.main()
