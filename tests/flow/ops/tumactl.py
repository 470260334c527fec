"""Every command of tumactl: what it does, says and refuses."""

import contextlib
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.parse

from chain import Campaign, WEBHOOK_TOKEN, check, e164, expect, msisdn, wait_for

USAGE, WRONG_SETTINGS, FAILED = 64, 78, 1


def ctl(chain, *words, status=0, cwd=None, **environment):
    """Standard output and error of a command that must end with this status."""
    changed = {**chain.environment(), **environment}
    done = subprocess.run(
        [chain.build / "deploy/tumactl", *map(str, words)], cwd=cwd, text=True, timeout=120,
        env={name: value for name, value in changed.items() if value is not None},
        stdin=subprocess.DEVNULL, capture_output=True, check=False)
    expect(done.returncode, status, "tumactl %s: %s%s" % (words, done.stdout, done.stderr))
    return done.stdout, done.stderr


def refuses(chain, status, says, *words, **environment):
    """It fails with this status and one line on standard error."""
    out, err = ctl(chain, *words, status=status, **environment)
    expect(len(err.splitlines()), 1, "lines of %r" % err)
    check(err.startswith("tumactl: "), "%r begins with the program's name" % err)
    check(says in err, "%r says %r" % (err, says))
    return out


def csv(chain, text, name="contacts.csv"):
    path = chain.dir / name
    path.write_text(text)
    return path


def contacts(chain, count):
    phones = chain.phones(count)
    return phones, csv(chain, "phone,name\n" + "".join("%s,N%d\n" % (phone, i)
                                                       for i, phone in enumerate(phones)))


def send(chain, account, template, path, *words):
    out, _ = ctl(chain, "campaign", "send", "--account", account.slug, "--title", "Test",
                 "--template", template, "--csv", path, *words)
    return Campaign(chain, out.splitlines()[0])


# ---- the command line ----


def test_help_lists_every_command_and_each_has_its_own(chain):
    out, _ = ctl(chain, "help")
    commands = [line[2:30].rstrip() for line in out.splitlines() if line.startswith("  ")]
    check(len(commands) >= 30, commands)
    for command in commands:
        words = [word for word in command.split() if word.islower()]
        text, _ = ctl(chain, "help", *words)
        check(text.startswith("usage: tumactl " + " ".join(words)), text)
        expect(ctl(chain, *words, "--help")[0], text, "--help of " + command)
    group, _ = ctl(chain, "help", "campaign")
    check("campaign send" in group and "tokens add" not in group, group)
    check(ctl(chain, "--version")[0].startswith("tumactl "), "version")


def test_wrong_usage_is_told_in_one_line_with_status_64(chain):
    for says, words in [
            ("no command 'bla'", ["bla"]),
            ("no command 'tokens'", ["tokens"]),
            ("no command 'tokens steal'", ["tokens", "steal"]),
            ("no command 'bla'", ["help", "bla"]),
            ("has no option --foo", ["tokens", "add", "--foo", "1"]),
            ("needs a value", ["tokens", "add", "--tokens"]),
            ("given twice", ["tokens", "check", "--account", "a", "--account=b"]),
            ("takes no value", ["campaign", "send", "--hold=1"]),
            ("needs --tokens", ["tokens", "add", "--account", "a"]),
            ("needs CAMPAIGN", ["campaign", "show"]),
            ("does not take 'b'", ["campaign", "show", "a", "b"]),
            ("not a whole number", ["tokens", "add", "--tokens", "1.5"]),
            ("not a whole number", ["tokens", "add", "--tokens", "0"]),
            ("is no time", ["tokens", "add", "--tokens", "1", "--expires", "tomorrow"]),
            ("in the past", ["tokens", "add", "--tokens", "1", "--expires",
                             "2020-01-01T00:00:00Z"]),
            ("no e-mail address", ["tokens", "check", "--user", "acme"]),
            ("not both", ["tokens", "check", "--user", "a@b", "--account", "acme"]),
            ("no campaign's id", ["campaign", "show", "12"]),
            ("no stage 'bla'", ["parked", "show", "bla"]),
            ("needs --id", ["parked", "drop", "send-sms"]),
            ("--slug", ["account", "create", "--slug", "Ac me", "--name", "x", "--email", "a@b"]),
            ("--email", ["account", "create", "--slug", "x", "--name", "x", "--email", "ab"]),
            ("--country", ["account", "create", "--slug", "x", "--name", "x", "--email", "a@b",
                           "--country", "XX"]),
            ("sender ID", ["account", "create", "--slug", "x", "--name", "x", "--email", "a@b",
                           "--sender", "A" * 17]),
            ("none of read", ["key", "create", "--scopes", "read,write"]),
            ("twice", ["key", "create", "--scopes", "read,read"]),
            ("--template", ["campaign", "send", "--title", "x", "--csv", "x"]),
            ("--title", ["campaign", "send", "--title", "", "--template", "x", "--csv", "x"]),
            ("not one of high, normal", ["campaign", "send", "--title", "x", "--template", "x",
                                         "--csv", "x", "--priority", "low"]),
            ("PHONE has too few digits", ["test-call", "12"]),
            ("--country: 'XX' is not served", ["test-call", "0712345678", "--country", "XX"]),
            ("--caller-id: '0711000000' is not", ["test-call", "0712345678", "--caller-id",
                                                  "0711000000"]),
            ("none of sms, voice, security", ["test-webhooks", "all"]),
            ("--within", ["test-webhooks", "--within", "0"]),
            ("is not an address", ["test-webhooks", "--url", "127.0.0.1:8080"]),
            ("is not an address", ["test-webhooks", "--url", "http://127.0.0.1:80@evil.test"]),
            ("is not an address", ["test-webhooks", "--url", "http://127.0.0.1?evil.test"]),
            ("nobody else is to have the token", ["test-webhooks", "--url", "http://evil.test"]),
            ("nobody else is to have the token", ["test-webhooks", "--url",
                                                  "http://127.0.0.1.evil.test"]),
            ("nobody else is to have the token", ["test-webhooks", "--url",
                                                  "http://localhost:80.evil.test"]),
            ("needs one of --audio ID", ["campaign", "call", "--title", "x", "--csv", "x"]),
            ("needs one of --audio ID", ["campaign", "call", "--title", "x", "--csv", "x", "--say", "x",
                                         "--audio", "aud_0000000000007"]),
            ("only one of them", ["campaign", "call", "--title", "x", "--csv", "x", "--say", "x",
                                  "--say-file", "x"]),
            ("is no KEY=LABEL", ["campaign", "call", "--title", "x", "--csv", "x", "--say", "x",
                                 "--answer", "1"]),
            ("number from 1 to 60", ["campaign", "call", "--title", "x", "--csv", "x", "--say", "x",
                                     "--wait", "61"]),
            ("at most 300", ["campaign", "call", "--title", "x", "--csv", "x", "--say", "x",
                             "--thanks", "x" * 301]),
    ]:
        refuses(chain, USAGE, says, *words)
    _, err = ctl(chain, status=USAGE)
    check("usage: tumactl" in err, err)


def test_settings_and_servers_that_are_not_there_are_named(chain):
    refuses(chain, WRONG_SETTINGS, "DATABASE_URL", "account", "list", DATABASE_URL=None, cwd="/")
    refuses(chain, WRONG_SETTINGS, "AMQP_URL", "queues", AMQP_URL=None, cwd="/")
    refuses(chain, WRONG_SETTINGS, "AT_API_KEY", "at-balance", AT_API_KEY=None)
    refuses(chain, FAILED, "refused", "account", "list",
            DATABASE_URL="postgresql://tuma@127.0.0.1:1/tuma")
    for setting in ("AT_API_KEY", "AT_VOICE_CALLER_ID"):
        refuses(chain, WRONG_SETTINGS, setting, "test-call", "0712345678", **{setting: None})
    refuses(chain, WRONG_SETTINGS, "AT_VOICE_URL must", "test-call", "0712345678",
            AT_VOICE_URL="ftp://x")
    out = refuses(chain, FAILED, "look at AT_VOICE_URL", "test-call", "0712345678",
                  AT_VOICE_URL="http://127.0.0.1:1")
    check("refused: http_connect_failed (" in out, out)
    for setting in ("PUBLIC_URL", "COMMUNICATIONS_WEBHOOK_TOKEN"):
        refuses(chain, WRONG_SETTINGS, setting, "test-webhooks", **{setting: None})
    refuses(chain, WRONG_SETTINGS, "PUBLIC_URL: ", "test-webhooks", PUBLIC_URL="tuma.example")
    refuses(chain, WRONG_SETTINGS, "COMMUNICATIONS_WEBHOOK_TOKEN: ", "test-webhooks",
            COMMUNICATIONS_WEBHOOK_TOKEN="a b")
    for url in ("http://127.0.0.1:1", "http://[::1]:1/", "http://localhost:1"):
        expect(refuses(chain, FAILED, "cannot be reached at " + url.rstrip("/"), "test-webhooks",
                       "--url", url), "", "standard output")
    refuses(chain, FAILED, "", "queues", AMQP_URL="amqp://guest:guest@127.0.0.1:1/")
    refuses(chain, FAILED, "", "at-balance", AT_SMS_URL="http://127.0.0.1:1/version1")


def test_the_quickstart_s_settings_are_found_below_the_current_folder(chain):
    (chain.dir / ".tuma").mkdir()
    (chain.dir / ".tuma/env").write_text(
        "# settings\nDATABASE_URL=%s\nAMQP_PREFIX=from-file\n" % chain.servers["DATABASE_URL"])
    ctl(chain, "account", "list", cwd=chain.dir, DATABASE_URL=None)
    out, _ = ctl(chain, "topology", cwd=chain.dir, DATABASE_URL=None, AMQP_PREFIX=None)
    check("from-file.campaigns" in out, "the prefix of the file")
    out, _ = ctl(chain, "topology", cwd=chain.dir, DATABASE_URL=None, AMQP_PREFIX="mine")
    check("mine.campaigns" in out, "the environment is stronger")


# ---- accounts, keys, tokens ----


def test_accounts_are_created_once(chain):
    words = ["account", "create", "--slug", "twice", "--name", "Twice Ltd", "--email", "t@wi.ce",
             "--sender", "TWICE", "--sender", "OTHER"]
    check("created" in ctl(chain, *words)[0], "created")
    check("was there already" in ctl(chain, *words)[0], "again")
    refuses(chain, FAILED, "is the account of t@wi.ce", "account", "create", "--slug", "twice",
            "--name", "x", "--email", "x@x")
    refuses(chain, FAILED, "another account", "account", "create", "--slug", "thrice", "--name",
            "x", "--email", "t@wi.ce")
    check("added" in ctl(chain, "sender", "add", "THIRD", "--account", "twice")[0], "sender")
    check("already" in ctl(chain, "sender", "add", "THIRD", "--account", "twice")[0], "sender")
    refuses(chain, FAILED, "no account 'nobody'", "sender", "add", "X", "--account", "nobody")
    expect([row["sender"] for row in chain.sql(
        "SELECT sender FROM sender_ids s JOIN accounts a ON a.id = s.account_id"
        " WHERE slug = 'twice' ORDER BY 1")], ["OTHER", "THIRD", "TWICE"], "senders")
    check("twice" in ctl(chain, "account", "list")[0], "listed")


def test_a_partner_s_login_is_made_or_told(chain):
    words = ["account", "create", "--slug", "part", "--name", "P", "--email", "p@x", "--amqp"]
    out, _ = ctl(chain, *words, RABBITMQCTL=None)
    check("rabbitmqctl set_permissions -p '/' part '^$' '^tuma\\.in\\.part$'" in out, out)
    out, _ = ctl(chain, *words)
    check("amqp user part, password " in out, out)
    check("was there already" in ctl(chain, *words)[0], "again")
    check("^tuma\\.events\\.part$" in chain.rabbitmqctl("list_user_permissions", "part"), "rights")
    refuses(chain, FAILED, "", "account", "create", "--slug", "part2", "--name", "P", "--email",
            "p2@x", "--amqp", AMQP_URL="amqp://guest:guest@127.0.0.1:1/")


def test_a_key_works_until_it_is_revoked(chain):
    acme = chain.account()
    out, _ = ctl(chain, "key", "create", "--account", acme.slug, "--scopes", "read",
                 "--expires", "+1h", "--name", "console")
    key = out.strip()
    check(key.startswith("tuma_") and len(key) == 45, key)
    acme.key = key
    expect(acme.ask("GET", "/api/tokens/balance/").status, 200, "the key")
    expect(acme.ask("POST", "/api/messages/send/", {}).status, 403, "its scope")
    expect(len(chain.sql("SELECT * FROM api_keys WHERE hash = sha256('%s')" % key)), 1, "stored")
    listed, _ = ctl(chain, "key", "list", "--account", acme.slug)
    check(key[:12] in listed and key not in listed and "console" in listed, listed)
    ctl(chain, "key", "revoke", key)
    check("revoked" in ctl(chain, "key", "list")[0], "listed as revoked")
    wait_for("the ingress forgets it", 60, lambda: acme.ask("GET", "/api/tokens/balance/").status,
             lambda status: status == 401)
    refuses(chain, FAILED, "no key tuma_nothing", "key", "revoke", "tuma_nothing")


def test_tokens_are_granted_once_by_reference(chain):
    acme = chain.account(tokens=0)
    email = acme.slug + "@customers.test"
    for _ in range(2):
        ctl(chain, "tokens", "add", "--user", email, "--tokens", "1000", "--reference", "TKN-A")
    out, _ = ctl(chain, "tokens", "add", "--account", acme.slug, "--tokens", "5")
    check(out.startswith("TKN-") and "1,005 available" in out, out)
    out, _ = ctl(chain, "tokens", "check", "--user", email)
    check("available    1,005" in out and "lot          TKN-A: 1,000 of 1,000" in out, out)
    ctl(chain, "tokens", "add", "--account", acme.slug, "--tokens", "7", "--expires", "+1h")
    chain.execute("UPDATE token_lots SET expires_at = now() - interval '1 second'"
                  " WHERE expires_at IS NOT NULL")
    ctl(chain, "tokens", "expire")  # reserve-tokens may have been quicker
    check("nothing has expired" in ctl(chain, "tokens", "expire")[0], "expired once")
    expect((acme.balance()["available"], acme.balance()["expired"]), (1005, 7), "balance")
    refuses(chain, FAILED, "no account", "tokens", "check", "--user", "nobody@x")


# ---- plans ----


def test_plans_are_data(chain):
    out, _ = ctl(chain, "plan", "list")
    expect([line.split()[0] for line in out.splitlines()],
           ["demo", "starter", "business", "enterprise"], "plans")
    check("once" in out.splitlines()[0] and "KES 1,000.00" in out.splitlines()[1], out)
    refuses(chain, USAGE, "needs --name, --price, --tokens and --days", "plan", "set", "school",
            "--name", "School")
    for says, words in [("no amount", ["--price", "1.5"]), ("no amount", ["--price", "-1"]),
                        ("none of basic_sending, ", ["--features", "analytics,telepathy"]),
                        ("neither yes nor no", ["--once", "maybe"]),
                        ("three letters", ["--currency", "ksh"]),
                        ("not a whole number", ["--days", "0"]),
                        ("not a whole number", ["--tokens-per-minute", "101"])]:
        refuses(chain, USAGE, says, "plan", "set", "starter", *words)
    refuses(chain, USAGE, "a letter first", "plan", "set", "1st")
    out, _ = ctl(chain, "plan", "set", "school", "--name", "School term", "--price", "3000.50",
                 "--tokens", "4000", "--days", "100", "--features", "basic_sending,analytics",
                 "--carry-over", "yes", "--position", "9")
    check("KES 3,000.50" in out and "carries over" in out and "analytics" in out, out)
    check("  1 a minute" in out, out)
    out, _ = ctl(chain, "plan", "set", "school", "--tokens-per-minute", "3")
    check("  3 a minute" in out, out)
    out, _ = ctl(chain, "plan", "set", "school", "--on-sale", "no")
    check("not on sale" in out and "4,000 tokens" in out and "  3 a minute" in out, out)


def test_a_plan_is_given_once_by_reference(chain):
    acme = chain.account(tokens=0)
    words = ["plan", "subscribe", "business", "--user", acme.slug + "@customers.test",
             "--reference", "CASH-1"]
    out, _ = ctl(chain, *words)
    check(out.startswith("CASH-1 subscribed: ") and "5,000 tokens" in out, out)
    check("nothing changed" in ctl(chain, *words)[0], "the second time")
    expect(acme.balance()["available"], 5000, "tokens")
    ctl(chain, "plan", "subscribe", "demo", "--account", acme.slug)
    refuses(chain, FAILED, "given once", "plan", "subscribe", "demo", "--account", acme.slug)
    refuses(chain, FAILED, "there are demo, starter", "plan", "subscribe", "gold", "--account",
            acme.slug)
    ctl(chain, "verify")


# ---- payments ----

STATEMENT_COLUMNS = ("Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,"
                     "Balance,A/C No.,Linked Transaction ID")


class Buyer:
    """An account with purchases, as the ingress and settle-payment leave them."""

    next = 10000000

    def __init__(self, chain):
        self.chain = chain
        self.account = chain.account(tokens=0)
        [row] = chain.sql("SELECT id FROM accounts WHERE slug = '%s'" % self.account.slug)
        self.id = int(row["id"])

    def buys(self, status="failed", **columns):
        """(reference, payment's id as people see it)"""
        Buyer.next += 1
        number = Buyer.next << 30
        reference = "TK%d" % Buyer.next
        self.chain.execute("INSERT INTO purchases (id, account_id, reference, plan, tokens, valid_days, amount_minor,"
                       " currency, status) VALUES (%d, %d, '%s', 'starter', 1000, 30, 100000, 'KES', 'open')"
                       % (number, self.id, reference))
        more = "".join(", " + name for name in columns)
        values = "".join(", '%s'" % value for value in columns.values())
        self.chain.execute("INSERT INTO payments (id, purchase_id, account_id, provider, msisdn, amount_minor, currency,"
                       " status%s) VALUES (%d, %d, %d, 'mpesa', 254712345678, 100000, 'KES', '%s'%s)"
                       % (more, number + 1, number, self.id, status, values))
        return reference, "pay_" + crockford(number + 1)

    def got(self, receipt, status="unmatched", minor=100000, reference=None, at="2026-11-01 07:15:00Z"):
        self.chain.execute("INSERT INTO payment_receipts (receipt, provider, amount_minor, currency, source, status,"
                       " paid_at, why, purchase_id) VALUES ('%s', 'mpesa', %d, 'KES', 'confirmation', '%s', '%s',"
                       " 'no such reference', (SELECT id FROM purchases WHERE reference = '%s'))"
                       % (receipt, minor, status, at, reference))

    def tokens(self):
        [row] = self.chain.sql("SELECT coalesce(sum(available), 0)::bigint AS n FROM token_lots WHERE account_id = %d"
                               % self.id)
        return row["n"]

    def status(self, receipt):
        rows = self.chain.sql("SELECT status, why FROM payment_receipts WHERE receipt = '%s'" % receipt)
        return rows[0]["status"] if rows else None


def crockford(number):
    letters = ""
    for _ in range(13):
        letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number % 32] + letters
        number //= 32
    return letters


def statement(chain, *lines):
    path = chain.dir / "statement.csv"
    path.write_text("Organization:,Tuma Ltd\nShort Code:,600000\n\n" + STATEMENT_COLUMNS + "\n" +
                    "".join(line + "\n" for line in lines))
    return path


def paid_in(receipt, amount="1000.00", reference="", status="Completed", at="2026-11-01 10:15:00"):
    return '%s,%s,%s,Pay Bill,%s,"%s",,0.00,%s,' % (receipt, at, at, status, amount, reference)


def test_payments_are_listed_and_shown(chain):
    buyer = Buyer(chain)
    reference, payment = buyer.buys(reason="cancelled")
    _, other = buyer.buys(status="unresolved")
    words = ["payments", "list", "--account", buyer.account.slug]
    out, _ = ctl(chain, *words)
    expect([line.split()[0] for line in out.splitlines()], [other, payment], "newest first")
    check(reference in out and "KES 1,000.00" in out and "cancelled" in out, out)
    out, _ = ctl(chain, *words, "--status", "unresolved")
    expect([line.split()[0] for line in out.splitlines()], [other], "by status")
    expect(len(ctl(chain, *words, "--limit", 1)[0].splitlines()), 1, "limit")
    check(payment in ctl(chain, "payments", "list")[0], "everybody's")
    [row] = chain.sql("SELECT id FROM payments p WHERE id = (SELECT min(id) FROM payments WHERE account_id = %d)"
                      % buyer.id)
    chain.execute("INSERT INTO payment_callbacks (origin, provider, kind, payment_id, body, peer, verdict, received_at)"
              " VALUES ('%s', 'mpesa', 'stk', %s, '{\"raw\":1}', '127.0.0.1', 'settled', now())"
              % (payment, row["id"]))
    out, _ = ctl(chain, "payments", "show", payment)
    check("254712345678" in out and "failed cancelled" in out and '{"raw":1}' in out, out)
    for name in (reference, reference.lower()):
        out, _ = ctl(chain, "payments", "show", name)
        check(payment in out and "1,000 tokens for KES 1,000.00; open" in out, out)
    refuses(chain, FAILED, "no payment, purchase, reference or receipt", "payments", "show", "TK1")
    refuses(chain, FAILED, "no such payment", "payments", "show", "pay_0000000000001")
    refuses(chain, FAILED, "no account", "payments", "list", "--account", "nobody")
    refuses(chain, USAGE, "not a whole number", "payments", "list", "--limit", "0")


def test_a_payment_is_asked_about_again(chain):
    buyer = Buyer(chain)
    _, named = buyer.buys(status="unresolved", checkout_request="ws_CO_ops_1")
    _, nameless = buyer.buys(status="unresolved")
    _, failed = buyer.buys(status="failed", checkout_request="ws_CO_ops_2")
    out, _ = ctl(chain, "payments", "query", named)
    check(named in out, out)
    expect(chain.sql("SELECT count(*) AS n FROM payments WHERE checkout_request = 'ws_CO_ops_1'"
                     " AND next_query_at <= now()")[0]["n"], 1, "due at once")
    refuses(chain, FAILED, "", "payments", "query", nameless)
    refuses(chain, FAILED, "it is failed", "payments", "query", failed)
    refuses(chain, FAILED, "no such payment", "payments", "query", "pay_0000000000001")
    refuses(chain, USAGE, "no payment's id", "payments", "query", "TK12345678")


def test_money_nobody_could_match_is_credited_by_hand_once(chain):
    buyer = Buyer(chain)
    reference, _ = buyer.buys()
    second, _ = buyer.buys()
    buyer.got("UOPS1MATCH")
    out, _ = ctl(chain, "payments", "list", "--unmatched")
    check("UOPS1MATCH" in out and "no such reference" in out, out)
    words = ["payments", "match", "UOPS1MATCH", reference]
    refuses(chain, USAGE, "needs --by", *words, "--why", "he called")
    refuses(chain, USAGE, "--why", *words, "--by", "ann", "--why", "")
    expect(buyer.tokens(), 0, "before")
    out, _ = ctl(chain, *words, "--by", "ann", "--why", "he called")
    check("UOPS1MATCH pays " + reference in out and "1,000 tokens" in out, out)
    expect(buyer.tokens(), 1000, "credited")
    [row] = chain.sql("SELECT status, why FROM payment_receipts WHERE receipt = 'UOPS1MATCH'")
    expect((row["status"], row["why"]), ("credited", "matched by ann: he called"), "who and why")
    check("UOPS1MATCH" not in ctl(chain, "payments", "list", "--unmatched")[0], "no work any more")
    check("UOPS1MATCH" in ctl(chain, "payments", "show", "UOPS1MATCH")[0], "shown")
    refuses(chain, FAILED, "credited already", "payments", "match", "UOPS1MATCH", second, "--by", "ann",
            "--why", "again")
    buyer.got("UOPS2MATCH")
    refuses(chain, FAILED, "paid already", "payments", "match", "UOPS2MATCH", reference, "--by", "ann",
            "--why", "again")
    refuses(chain, FAILED, "no money is known", "payments", "match", "UNOBODY", second, "--by", "a", "--why", "b")
    refuses(chain, FAILED, "no such purchase", "payments", "match", "UOPS2MATCH", "TK99999999", "--by", "a",
            "--why", "b")
    expect(buyer.tokens(), 1000, "once")
    ctl(chain, "verify")


def test_money_goes_back_once(chain):
    buyer = Buyer(chain)
    reference, _ = buyer.buys()
    buyer.got("UOPS1BACK")
    ctl(chain, "payments", "match", "UOPS1BACK", reference, "--by", "ann", "--why", "he called")
    words = ["payments", "reverse", "uops1back", "--by", "ann"]
    refuses(chain, USAGE, "needs --why", *words)
    refuses(chain, USAGE, "--why", *words, "--why", "")
    refuses(chain, FAILED, "no money is known", "payments", "reverse", "UNOBODY", "--by", "a", "--why", "b")
    expect(buyer.tokens(), 1000, "before")
    out, _ = ctl(chain, *words, "--why", "wrong plan")
    check("UOPS1BACK: 1,000 tokens are taken back" in out and "KES 1,000" in out.replace(".00", ""), out)
    expect((buyer.tokens(), buyer.status("UOPS1BACK")), (0, "reversing"), "taken")
    out, _ = ctl(chain, "payments", "show", "UOPS1BACK")
    check("paid back    requested" in out and "by ann: wrong plan" in out, out)
    refuses(chain, FAILED, "is being paid back", *words, "--why", "again")
    ctl(chain, "verify")


def test_addresses_are_shown_before_they_are_registered(chain):
    settings = {"MPESA_CONSUMER_KEY": "k", "MPESA_CONSUMER_SECRET": "s", "MPESA_SHORTCODE": "600000",
                "MPESA_PASSKEY": "p", "PUBLIC_URL": "https://tuma.example.com", "MPESA_C2B_TOKEN": "0" * 32}
    out, _ = ctl(chain, "payments", "register", **settings)
    check("https://tuma.example.com/api/pay/c2b/confirmation/" in out and "not registered" in out, out)
    check("0000" not in out.replace("600000", ""), "the secret is not printed")
    for name, value, word in (("MPESA_C2B_TOKEN", "0" * 15, "MPESA_C2B_TOKEN: must be 16 or more"),
                              ("MPESA_C2B_TOKEN", "G" * 32, "MPESA_C2B_TOKEN: must be 16 or more"),
                              ("PUBLIC_URL", "https://mpesa.example.com", "mpesa")):
        refuses(chain, WRONG_SETTINGS, word, "payments", "register", **{**settings, name: value})


def test_a_statement_is_held_against_what_was_credited(chain):
    buyer = Buyer(chain)
    had, _ = buyer.buys()
    wanted, _ = buyer.buys()
    back, _ = buyer.buys()
    buyer.got("USTMT1HAD", "credited", reference=had)
    buyer.got("USTMT2WAITS")
    buyer.got("USTMT3OTHER", "credited", minor=90000)
    buyer.got("USTMT4GHOST", "credited")                               # not on it
    buyer.got("USTMT5FAILED", "credited")                              # on it, and failed
    buyer.got("USTMT6LATER", "credited", at="2026-11-05 07:15:00Z")    # after its end
    path = statement(
        chain, paid_in("USTMT1HAD"), paid_in("USTMT2WAITS"), paid_in("USTMT3OTHER"),
        paid_in("USTMT5FAILED", status="Failed"), paid_in("USTMT7NEW", reference=wanted.lower()),
        paid_in("USTMT8LOST", "1,000.00", "rent"), paid_in("USTMT9BACK", reference=back),
        "USTMT10REV,2026-11-02 10:15:00,,Pay Bill Reversal,Completed,,-1000.00,0.00,,USTMT9BACK",
        "USTMT11FEE,2026-11-02 10:15:00,,Charge,Completed,,-5.00,0.00,,", "?,x")
    out = refuses(chain, FAILED, "differ", "payments", "statement", path)
    told = {line.split("USTMT")[1].split()[0]: line.split("USTMT")[0].strip()
            for line in out.splitlines() if "USTMT" in line}
    expect(told, {"2WAITS": "unmatched", "3OTHER": "differs", "7NEW": "not credited", "8LOST": "not credited",
                  "4GHOST": "should not", "5FAILED": "should not"}, "told: " + out)
    check("line 14: Receipt No." in out, out)
    check(out.splitlines()[-1].startswith("9 lines: 1 credited before, 0 credited now, 1 waiting"), out)
    expect((buyer.status("USTMT7NEW"), buyer.tokens()), (None, 0), "only said")

    out = refuses(chain, FAILED, "differ", "payments", "statement", path, "--apply")
    expect((buyer.status("USTMT7NEW"), buyer.status("USTMT8LOST"), buyer.status("USTMT9BACK")),
           ("credited", "unmatched", None), "applied: " + out)
    expect(buyer.tokens(), 1000, "tokens")
    refuses(chain, FAILED, "differ", "payments", "statement", path, "--apply")
    expect(buyer.tokens(), 1000, "applied once")
    check(wanted in ctl(chain, "payments", "show", wanted)[0].split(";")[0] and
          "paid" in ctl(chain, "payments", "show", wanted)[0], "paid")
    chain.execute("DELETE FROM payment_receipts WHERE receipt LIKE 'USTMT%' AND receipt <> 'USTMT7NEW';"
                  "UPDATE payment_receipts SET paid_at = '2026-10-01 07:15:00Z' WHERE receipt <> 'USTMT7NEW'")
    out, _ = ctl(chain, "payments", "statement", statement(chain, paid_in("USTMT7NEW")))
    check(out.startswith("1 lines: 1 credited before"), out)
    refuses(chain, FAILED, "Receipt No.", "payments", "statement", csv(chain, "phone\n0712345678\n"))
    refuses(chain, FAILED, "cannot open", "payments", "statement", "/nowhere.csv")
    ctl(chain, "verify")


# ---- campaigns ----


def test_a_file_is_sent_watched_and_reported(chain):
    acme = chain.account(senders=["ACME"])
    phones, path = contacts(chain, 2500)
    with open(path, "a", encoding="utf-8") as file:
        file.write("12,short\n%s,again\n" % phones[0])
    template = chain.dir / "message.txt"
    template.write_text(chain.text() + ", {{name}}\n")
    out, err = ctl(chain, "campaign", "send", "--account", acme.slug, "--title", "Big sale",
                   "--template-file", template, "--csv", path, "--sender", "ACME", "--watch")
    campaign = Campaign(chain, out.splitlines()[0])
    check("2,502 rows submitted" in err, err)
    check("completed 100% 2,500 delivered" in out.splitlines()[-1], out)
    report, _ = ctl(chain, "campaign", "report", campaign.name)
    figures = {" ".join(words[:-1]): words[-1] for words in map(str.split, report.splitlines())
               if words}
    for name, value in [("received", "2,502"), ("duplicate", "1"), ("too_short", "1"),
                        ("planned", "2,500"), ("delivered", "2,500"), ("failed", "0"),
                        ("in doubt", "0"), ("quoted", "2,500"), ("spent", "2,500")]:
        expect(figures.get(name), value, "%s in %s" % (name, report))
    for time in ("received and rendered", "tokens reserved", "paced and sent", "in all"):
        check(time in figures, "%s in %s" % (time, report))
    check("KES 2,000.00" in report, report)
    shown, _ = ctl(chain, "campaign", "show", campaign.name)
    check("Big sale" in shown and "delivered    2,500" in shown, shown)
    listed, _ = ctl(chain, "campaign", "list", "--account", acme.slug, "--status", "completed",
                    "--limit", "1")
    check(campaign.name in listed, listed)


def test_a_reference_is_sent_once_and_a_broken_off_send_goes_on(chain):
    acme = chain.account()
    _, path = contacts(chain, 1500)
    text = chain.text()
    words = ["campaign", "send", "--account", acme.slug, "--title", "T", "--template", text,
             "--csv", path, "--reference", "once"]
    _, err = ctl(chain, *words, status=FAILED, AMQP_URL="amqp://guest:guest@127.0.0.1:1/")
    check("run this again with --reference once" in err, err)
    first, _ = ctl(chain, *words)
    campaign = Campaign(chain, first.strip())
    expect(campaign.wait_for("completed")["delivered"], 1500, "delivered")
    out, err = ctl(chain, *words)
    check(out == first and "is completed" in err, out + err)


def test_what_cannot_be_sent_leaves_nothing_behind(chain):
    acme = chain.account(senders=["ACME"])
    _, good = contacts(chain, 3)
    before = chain.sql("SELECT count(*) AS n FROM campaigns")
    base = ["campaign", "send", "--account", acme.slug, "--title", "T", "--template"]
    refuses(chain, FAILED, "there are: phone, name", *base, "Hi {{nam}}", "--csv", good)
    refuses(chain, FAILED, "use one of ACME", *base, "Hi", "--csv", good, "--sender", "OTHER")
    refuses(chain, FAILED, "in the past", *base, "Hi", "--csv", good, "--schedule",
            "2020-01-01T00:00:00Z")
    refuses(chain, FAILED, "No such file", *base, "Hi", "--csv", "/nowhere.csv")
    refuses(chain, FAILED, "has no rows", *base, "Hi", "--csv", csv(chain, "phone\n", "none.csv"))
    refuses(chain, FAILED, "has no rows", *base, "Hi", "--csv", csv(chain, "", "empty.csv"))
    refuses(chain, FAILED, "no phone column", *base, "Hi", "--csv",
            csv(chain, "name\nA\n", "nameless.csv"))
    bad = csv(chain, 'phone,name\n%s,A\n%s,B,C,D\n' % tuple(chain.phones(2)), "bad.csv")
    _, err = ctl(chain, *base, "Hi", "--csv", bad, status=FAILED)
    check("line 3" in err and "--skip-bad" in err, err)
    expect(chain.sql("SELECT count(*) AS n FROM campaigns"), before, "campaigns")
    campaign = send(chain, acme, chain.text(), bad, "--skip-bad")
    expect(campaign.wait_for("completed")["planned"], 1, "planned")


def test_a_held_campaign_is_launched_paused_resumed_and_cancelled(chain):
    acme = chain.account()
    _, path = contacts(chain, 30)
    campaign = send(chain, acme, chain.text(), path, "--hold", "--priority", "high")
    ctl(chain, "campaign", "watch", campaign.name, "--until", "quoted", "--timeout", "30")
    expect(campaign.row()["segments"], 30, "quote")
    refuses(chain, FAILED, "cannot pause a campaign that is quoted", "campaign", "pause",
            campaign.name)
    out, err = ctl(chain, "campaign", "watch", campaign.name, "--timeout", "1", status=FAILED)
    check("still quoted" in err and "quoted" in out, out + err)
    ctl(chain, "route", "hold", "sms", "--why", "test")
    ctl(chain, "campaign", "launch", campaign.name)
    campaign.wait_for("sending")
    for verb, status in (("pause", "paused"), ("pause", "paused"), ("resume", "sending"),
                         ("cancel", "cancelling")):
        out, _ = ctl(chain, "campaign", verb, campaign.name)
        expect(out.split(" is ")[1].strip(), status, verb)
    ctl(chain, "route", "open", "sms")
    _, err = ctl(chain, "campaign", "watch", campaign.name, "--timeout", "60", status=FAILED)
    check("the campaign is cancelled" in err, err)
    expect(campaign.row()["cancelled"] + campaign.row()["delivered"] + campaign.row()["sent"], 30,
           "all accounted for")
    refuses(chain, FAILED, "no campaign", "campaign", "pause", "cmp_0000000000001")


def test_calls_are_quoted(chain):
    acme = chain.account(senders=["+254711000001"])
    _, path = contacts(chain, 3)
    words = ["campaign", "call", "--account", acme.slug, "--title", "Clinic", "--csv", path, "--hold",
             "--say", "Hi {{name}}"]
    out, err = ctl(chain, *words, "--caller", "+254711000001", "--below-percent", "50", "--repeat", "*",
                   "--stop", "9", "--answer", "1=Yes", "--answer", "2=No = never", "--voice", "man",
                   "--attempts", "2", "--retry-after", "60", "--wait", "5", "--thanks", "Asante")
    check("3 rows submitted" in err, err)
    campaign = Campaign(chain, out.strip())
    ctl(chain, "campaign", "watch", campaign.name, "--until", "quoted", "--timeout", "30")
    expect(campaign.row()["segments"], 6, "two calls of a minute each")
    out, _ = ctl(chain, "campaign", "show", campaign.name)
    check("channel      voice" in out and "sender       +254711000001" in out, out)
    [row] = chain.sql("SELECT * FROM voice_campaigns WHERE campaign_id = %d" % campaign.id)
    expect([row[name] for name in ("say_voice", "attempts", "retry_s", "below_percent", "repeat_key",
                                   "repeats", "stop_key", "wait_s", "thanks")],
           ["man", 2, 60, 50, "*", 1, "9", 5, "Asante"], "row")
    check('"2": "No = never"' in json.dumps(row["answers"]) or '"2": "No = never"' in row["answers"],
          row["answers"])
    before = chain.sql("SELECT count(*) AS n FROM campaigns")
    refuses(chain, FAILED, "has another meaning", *words, "--repeat", "9", "--stop", "9")
    refuses(chain, FAILED, "use one of +254711000001", *words, "--caller", "+254711000002")
    refuses(chain, FAILED, "no audio asset of yours", *words[:-2], "--audio", "aud_0000000000007")
    expect(chain.sql("SELECT count(*) AS n FROM campaigns"), before, "campaigns")


def test_a_scheduled_campaign_waits(chain):
    acme = chain.account()
    _, path = contacts(chain, 3)
    campaign = send(chain, acme, chain.text(), path, "--schedule", "+1h", "--expires", "+2h",
                    "--reference", "later")
    campaign.wait_for("scheduled")
    check("later" in ctl(chain, "campaign", "show", campaign.name)[0], "reference")
    ctl(chain, "campaign", "cancel", campaign.name)
    campaign.wait_for("cancelled")


# ---- the provider, queues, routes ----


def test_the_provider_answers(chain):
    check(ctl(chain, "at-balance")[0].startswith("KES "), "balance")
    acme = chain.account()
    phone = chain.phones(1)[0]
    out, _ = ctl(chain, "test-sms", phone, "--account", acme.slug, "--text", chain.text())
    check("delivered, provider id ATXid_" in out, out)
    _, err = ctl(chain, "test-sms", "12", "--account", acme.slug, status=FAILED)
    check("too_short" in err, err)
    phone = chain.phones(1)[0]
    chain.simulator.faults(force="%s:403" % phone[-5:])
    _, err = ctl(chain, "test-sms", phone, "--account", acme.slug, "--text", chain.text(),
                 status=FAILED)
    check("not delivered" in err, err)
    chain.simulator.faults(force="")


def placed(chain, phone):
    return chain.simulator.ask("calls?number=" + e164(phone).replace("+", "%2B"))


def await_end(chain, phone):
    """The one call of a number, once it is over and kept as one that nobody knows."""
    [call] = wait_for("the call is over", 20, lambda: placed(chain, phone),
                      lambda calls: calls and calls[0]["told"])
    rows = wait_for("its end is kept", 20, lambda: chain.sql(
        "SELECT msisdn FROM unmatched_calls WHERE session_id = '%s'" % call["session"]))
    expect([row["msisdn"] for row in rows], [msisdn(phone)], "the end nobody knows")
    return call


def test_one_call_is_placed_and_hears_a_goodbye(chain):
    chain.simulator.faults(speed=50, ring_min_ms=200, ring_max_ms=500)
    phone = chain.phones(1)[0]
    campaigns = chain.sql("SELECT count(*) FROM campaigns")
    out, _ = ctl(chain, "test-call", phone)
    check("hears a goodbye" in out and "from +254711000000" in out, out)
    check(phone[1:] not in out and phone[-3:] in out, "%s is masked in %s" % (phone, out))
    call = await_end(chain, phone)
    check("queued: session %s\n" % call["session"] in out, out)
    expect((call["end"], call["heard_ms"]), ("completed", 60 * len("Thank you. Goodbye.")), call)
    expect(chain.sql("SELECT count(*) FROM campaigns"), campaigns, "campaigns")
    phone, other = chain.phones(1)[0], "+254711000001"
    check("from " + other in ctl(chain, "test-call", e164(phone), "--caller-id", other)[0], other)
    expect(await_end(chain, phone)["from"], other, "called from")


def test_a_call_that_is_refused_says_what_to_do(chain):
    for fault, reason, fix in [
            ("call_unsupported", "no_route", "have Africa's Talking open"),
            ("call_bad_callback", "invalid_callback_url", "webhooks/voice?token=…"),
            ("unauthorized", "bad_credentials", "AT_USERNAME"),
            ("throttled", "throttled", "wait")]:
        phone = chain.phones(1)[0]
        chain.simulator.faults(**{fault: 1})
        out = refuses(chain, FAILED, fix, "test-call", phone)
        expect(out, "refused: %s\n" % reason, "told, and no token of an address")
        expect(len(placed(chain, phone)), 0, "calls")
        chain.simulator.clear(fault)
    phone = chain.phones(1)[0]
    chain.simulator.faults(error_500_accepted=1)
    out = refuses(chain, FAILED, "before trying again", "test-call", phone)
    check(out.startswith("unknown: provider_error ("), out)
    chain.simulator.clear("error_500_accepted")
    await_end(chain, phone)


KEPT = ("inbound_messages", "unmatched_reports", "unmatched_calls", "odd_callbacks", "suppressions")


def kept(chain):
    return {table: chain.sql("SELECT count(*) AS n FROM " + table)[0]["n"] for table in KEPT}


def test_the_provider_s_posts_are_tried_and_leave_one_row(chain):
    before = kept(chain)
    for _ in range(2):
        out, err = ctl(chain, "test-webhooks", "--within", 2000)
        lines = out.splitlines()
        expect(len([line for line in lines if line.startswith("ok     ")]), 16, out)
        expect(lines[16:], ["all 16 answers of http://%s are as they should be"
                            % chain.http_listen], "the last line")
        check(WEBHOOK_TOKEN not in out + err, "the token")
    for status, count in ((200, 6), (403, 6), (405, 2), (413, 2)):
        expect(len([line for line in lines if ": %d" % status in line]), count, "%d" % status)
    check(", empty, in " in out and "application/xml, a goodbye, in " in out, out)
    wait_for("the message that came in is kept", 20, lambda: kept(chain)["inbound_messages"],
             lambda count: count == before["inbound_messages"] + 1)
    chain.settle()
    expect(kept(chain), {**before, "inbound_messages": before["inbound_messages"] + 1}, "kept")
    expect(chain.sql("SELECT sender, text FROM inbound_messages"
                     " WHERE provider_id = 'tuma-test-webhooks'"),
           [{"sender": "+000000000000", "text": "Posted by tumactl test-webhooks, no message"}],
           "what it left")
    for group, count in (("sms", 4), ("voice", 2), ("security", 10)):
        out, _ = ctl(chain, "test-webhooks", group, "--within", 2000,
                     "--url", "http://%s/" % chain.http_listen)
        expect(len([line for line in out.splitlines() if line[7:].startswith(group)]), count, out)
        check("all %d answers" % count in out, out)


@contextlib.contextmanager
def pretender(status, content_type="text/plain", body=b"", after_s=(0,)):
    """Where something answers all alike; the last of after_s goes on. Gives its address and what came."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            came = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(after_s[min(len(seen), len(after_s) - 1)])
            seen.append((self.command, self.path, len(came)))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield "http://127.0.0.1:%d" % server.server_port, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def failures(chain, url, *words):
    out = refuses(chain, FAILED, "are not as they should be", "test-webhooks", *words, "--url", url)
    return [line for line in out.splitlines() if line.startswith("FAILED ")]


def test_what_does_not_answer_as_it_should_is_told(chain):
    with pretender(200, body=b"welcome") as (url, seen):
        lines = failures(chain, url)
    expect(len(lines), 12, "all but sms: %r" % lines)
    check("something else" in lines[0] and "wanted 200 application/xml" in lines[0], lines[0])
    check("not empty" in lines[1], lines[1])
    check("anybody may post" in lines[2] and "wanted 403" in lines[2], lines[2])
    expect([path for _, path, _ in seen[:2]], [
        "/api/messages/%s/%s" % (word, WEBHOOK_TOKEN) for word in ("delivery-callback", "incoming")
    ], "tokens in paths")
    nearly = WEBHOOK_TOKEN[:-1] + "x"
    for first, word in ((-10, "sms"), (-5, "voice")):
        path = "/api/communications/webhooks/" + word
        expect([(method, where) for method, where, _ in seen[first:][:5]],
               [("POST", path), ("POST", path + "?token=not-the-token"),
                ("POST", path + "?token=" + nearly), ("GET", path + "?token=" + WEBHOOK_TOKEN),
                ("POST", path + "?token=" + WEBHOOK_TOKEN)], "posts")
        expect(seen[first + 4][2], 65537, "bytes of what is too large")
    with pretender(503) as (url, _):
        lines = failures(chain, url, "sms")
    check(len(lines) == 4 and "is the broker there?" in lines[0], lines)
    out, err = ctl(chain, "test-webhooks", "sms", status=FAILED,
                   COMMUNICATIONS_WEBHOOK_TOKEN="another")
    check("4 of 4" in err and "403" in out and "that of the ingress?" in out, out + err)


def test_what_a_callee_hears_comes_in_time_and_as_xml(chain):
    live = {"isActive": "1", "sessionId": "ATVId_1", "callerNumber": "+000000000000"}
    goodbye = chain.http("POST", "/api/communications/webhooks/voice?token=" + WEBHOOK_TOKEN,
                         urllib.parse.urlencode(live).encode(),
                         {"Content-Type": "application/x-www-form-urlencoded"}).body.encode()
    check(b"Goodbye" in goodbye, goodbye)
    for kind, after_s, words, says in [
            ("application/xml; charset=utf-8", (0,), ("--within", 2000), None),
            ("text/xml", (0,), ("--within", 2000), "text/xml, a goodbye"),
            ("application/xml", (0.08,), (), "within 50 ms"),
            ("application/xml", (1, 0), ("--within", 900), None)]:  # of three the quickest counts
        with pretender(200, kind, goodbye, after_s) as (url, _):
            lines = failures(chain, url, "voice", *words)
        check("the end of a call" in lines[-1], lines)
        expect(len(lines), 2 if says else 1, "failures: %r" % lines)
        check(says is None or says in lines[0], lines[0])


def test_queues_show_who_works_where(chain):
    out, _ = ctl(chain, "queues")
    for queue in chain.queues():
        check(queue in out, "%s in %s" % (queue, out))
    # settle-payment runs only where M-Pesa's settings are.
    idle = ["tuma.settle-payment.high", "tuma.settle-payment.normal"]
    check(out.count("nobody works here") == len(idle) and "0 parked" in out, out)
    chain["reserve-tokens"].stop()
    out = wait_for("it is noticed", 10, lambda: ctl(chain, "queues")[0],
                   lambda text: text.count("nobody works here") > len(idle))
    expect([line.split()[0] for line in out.splitlines() if "nobody" in line],
           ["tuma.reserve-tokens.high", "tuma.reserve-tokens.normal"] + idle, "idle queues")
    chain["reserve-tokens"].start()
    chain.await_ready()


def test_parked_messages_are_shown_replayed_and_dropped(chain):
    acme = chain.account(amqp=True)
    partner = acme.partner()
    ids = [partner.publish("campaign.submitted", {"title": "no template"}) for _ in range(3)]
    wait_for("they are parked", 20, chain.count_parked, lambda n: n == 3)
    out, _ = ctl(chain, "parked", "show", "render-template")
    for name in ids:
        check("%s campaign.submitted.v1 account=%s" % (name, acme.slug) in out, out)
    check("why=template_empty: message_template" in out and "no template" not in out, out)
    out, _ = ctl(chain, "parked", "show", "render-template", "--id", ids[1], "--body")
    check("no template" in out and ids[0] not in out and "1 shown" in out, out)
    check("3 parked" in ctl(chain, "queues")[0], "counted")
    out, _ = ctl(chain, "parked", "replay", "render-template", "--why", "template_empty")
    check("3 replayed" in out, out)
    wait_for("they are parked again", 20, chain.count_parked, lambda n: n == 3)
    for name in ids:
        check("1 dropped" in ctl(chain, "parked", "drop", "render-template", "--id", name)[0],
              "dropped")
    check("0 shown" in ctl(chain, "parked", "show", "render-template")[0], "none left")
    partner.close()


def test_a_replayed_message_does_what_it_could_not_before(chain):
    acme = chain.account(amqp=True, tokens=0)
    partner = acme.partner()
    phones = chain.phones(2)
    chain.execute("UPDATE accounts SET status = 'suspended' WHERE slug = '%s'" % acme.slug)
    partner.submit("replayed", chain.text(), phones)
    wait_for("it is parked", 20, chain.count_parked, lambda n: n == 1)
    chain.execute("UPDATE accounts SET status = 'active' WHERE slug = '%s'" % acme.slug)
    acme.grant(10)
    ctl(chain, "parked", "replay", "render-template")
    expect(partner.campaign("replayed").wait_for("completed")["delivered"], 2, "delivered")
    expect(chain.count_parked(), 0, "parked")
    partner.close()


def test_a_route_is_held_and_opened(chain):
    ctl(chain, "route", "hold", "sms", "--why", "maintenance", "--until", "+1h")
    out, _ = ctl(chain, "route", "list")
    check("held" in out and "operator maintenance" in out, out)
    acme = chain.account()
    _, path = contacts(chain, 2)
    campaign = send(chain, acme, chain.text(), path)
    campaign.wait_for("sending")
    expect(campaign.states().get("pending"), 2, "pending while the route is held")
    ctl(chain, "route", "open", "sms")
    campaign.wait_for("completed")
    check(" open " in ctl(chain, "route", "list")[0], "listed as open")
    refuses(chain, FAILED, "no route 'fax'", "route", "hold", "fax")


# ---- verify ----


def test_verify_finds_every_kind_of_tampering(chain):
    acme = chain.account()
    _, path = contacts(chain, 10)
    campaign = send(chain, acme, chain.text(), path)
    campaign.wait_for("completed")
    ctl(chain, "verify")
    check("1 campaigns, 10 recipients" in ctl(chain, "verify", campaign.name)[0], "one campaign")
    row = "campaign_id = %d" % campaign.id
    mine = "account_id = (SELECT id FROM accounts WHERE slug = '%s')" % acme.slug
    for table, do, undo in [
            ("a recipient's state", "UPDATE recipients SET state = 3 WHERE %s AND seq = 1" % row,
             "UPDATE recipients SET state = 4 WHERE %s AND seq = 1" % row),
            ("a recipient is gone", "UPDATE recipients SET campaign_id = campaign_id + 1"
                                    " WHERE %s AND seq = 2" % row,
             "UPDATE recipients SET campaign_id = campaign_id - 1"
             " WHERE campaign_id = %d" % (campaign.id + 1)),
            ("segments", "UPDATE recipients SET segments = 2 WHERE %s AND seq = 3" % row,
             "UPDATE recipients SET segments = 1 WHERE %s AND seq = 3" % row),
            ("a batch's counter", "UPDATE batches SET delivered = delivered + 1 WHERE %s"
                                  " AND batch = 1" % row,
             "UPDATE batches SET delivered = delivered - 1 WHERE %s AND batch = 1" % row),
            ("tokens of a batch", "UPDATE batches SET captured = captured - 1 WHERE %s"
                                  " AND batch = 1" % row,
             "UPDATE batches SET captured = captured + 1 WHERE %s AND batch = 1" % row),
            ("planned", "UPDATE campaigns SET planned = planned + 1 WHERE id = %d" % campaign.id,
             "UPDATE campaigns SET planned = planned - 1 WHERE id = %d" % campaign.id),
            ("a hold", "UPDATE token_holds SET captured = captured - 1 WHERE id = %d" % campaign.id,
             "UPDATE token_holds SET captured = captured + 1 WHERE id = %d" % campaign.id),
            ("a balance", "UPDATE token_balances SET available = available + 1,"
                          " granted = granted + 1 WHERE %s" % mine,
             "UPDATE token_balances SET available = available - 1, granted = granted - 1"
             " WHERE %s" % mine),
            ("a lot", "UPDATE token_lots SET available = available - 1 WHERE %s" % mine,
             "UPDATE token_lots SET available = available + 1 WHERE %s" % mine),
            ("the ledger", "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;"
                           "UPDATE ledger_entries SET amount = amount + 1 WHERE kind = 'capture'"
                           " AND hold_id = %d" % campaign.id,
             "UPDATE ledger_entries SET amount = amount - 1 WHERE kind = 'capture' AND hold_id = %d;"
             "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen" % campaign.id),
    ]:
        chain.execute(do)
        out, err = ctl(chain, "verify", status=FAILED)
        chain.execute(undo)
        check("FALSE" in out and "not true" in err, table)
        check(campaign.name in out or acme.slug in out, "%s is named in %s" % (table, out))
    ctl(chain, "verify")


def test_a_result_can_be_piped_and_a_full_disk_is_noticed(chain):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([chain.build / "deploy/tumactl", "topology"], stdout=full,
                              env=chain.environment(), stderr=subprocess.PIPE, check=False)
    expect(done.returncode, FAILED, "status")
    json.loads(ctl(chain, "topology", "--vhost", "a/b")[0])
    expect(os.path.exists("/dev/full"), True, "the test's device")
