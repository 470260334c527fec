"""What the provider may answer, and what follows from it for campaign, route and recipient."""

from chain import check, expect, msisdn, wait_for

SETTINGS = {"SMS_BATCH_SIZE": "50", "AT_SMS_SENDER_ID": "", "SMS_JOB_ATTEMPTS": "3"}


def route(chain):
    return chain.sql("SELECT status, why FROM routes WHERE name = 'sms'")[0]


def listen(chain):
    """A queue with every event of the routes from now on."""
    name = chain.channel().queue_declare("", exclusive=True).method.queue
    chain.channel().queue_bind(name, "tuma.events", "route.#")
    return name


def events(chain, queue, count):
    found = []

    def probe():
        method, properties, _ = chain.channel().basic_get(queue, auto_ack=True)
        if method:
            found.append(properties.type)
        return found

    return wait_for("%d events of the route" % count, 10, probe, lambda seen: len(seen) >= count)


def hold_and_open(chain, why, **faults):
    """The route is held while the faults are on, opens by itself, and no attempt is burnt."""
    queue = listen(chain)
    chain.simulator.faults(**faults)
    campaign = chain.account().send_csv(chain.text(), chain.phones(200))
    held = wait_for("the route is held", 15, lambda: route(chain),
                    lambda row: row["status"] == "held")
    expect(held["why"], why, "why it is held")
    expect(events(chain, queue, 1)[0], "route.held.v1", "event")
    expect(campaign.row()["failed"], 0, "failed")
    chain.simulator.clear(*[name for name in faults if name != "force"])
    chain.simulator.faults(force="")
    row = campaign.wait_for("completed", seconds=30)
    expect(row["delivered"], 200, "delivered")
    expect(route(chain)["status"], "open", "route")
    check("route.opened.v1" in events(chain, queue, 1), "opening was not told")
    expect({recipient["attempts"] for recipient in campaign.recipients()}, {1}, "attempts")


def test_a_refused_key_holds_the_route(chain):
    hold_and_open(chain, "bad_credentials", unauthorized=1)


def test_no_credit_holds_the_route(chain):
    hold_and_open(chain, "insufficient_balance", refuse_405=1)


def test_throttling_slows_the_route(chain):
    hold_and_open(chain, "throttled", throttled=1, retry_after_s=1)


def test_a_provider_that_is_down_costs_no_attempt(chain):
    queue = listen(chain)
    chain["simulator"].stop()
    campaign = chain.account().send_csv(chain.text(), chain.phones(200))
    wait_for("the route is held", 15, lambda: route(chain), lambda row: row["status"] == "held")
    expect(campaign.row()["in_doubt"], 0, "in doubt, of what never left")
    chain["simulator"].start()
    row = campaign.wait_for("completed", seconds=40)
    expect(row["delivered"], 200, "delivered")
    expect({recipient["attempts"] for recipient in campaign.recipients()}, {1}, "attempts")
    expect(events(chain, queue, 2)[0], "route.held.v1", "event")


def test_what_an_operator_does_to_a_route_is_told(chain):
    queue = listen(chain)
    chain.tumactl("route", "hold", "sms", "--why", "lunch")
    expect(events(chain, queue, 1), ["route.held.v1"], "events")
    chain.tumactl("route", "open", "sms")
    expect(events(chain, queue, 1), ["route.opened.v1"], "events")


def test_an_unknown_sender_pauses_its_campaign_and_no_other(chain):
    chain.configure({**SETTINGS, "SIM_SENDERS": "GOOD"})
    acme = chain.account(senders=["GOOD", "WRONG"])
    wrong = acme.send_inline(chain.text(), chain.phones(120), senderId="WRONG")
    row = wrong.wait_for("paused")
    check("WRONG" in row["detail"], "detail: %r" % row["detail"])
    good = acme.send_inline(chain.text(), chain.phones(120), senderId="GOOD")
    expect(good.wait_for("completed")["delivered"], 120, "delivered")
    expect((wrong.row()["status"], wrong.row()["pending"]), ("paused", 120), "the paused one")
    expect(route(chain)["status"], "open", "route")
    acme.steer(wrong, "cancel")
    wrong.wait_for("cancelled")
    chain.configure(SETTINGS)


def test_an_unknown_sender_told_per_recipient_pauses_too(chain):
    acme = chain.account(senders=["ACME"])
    chain.simulator.faults(refuse_402=1)
    campaign = acme.send_inline(chain.text(), chain.phones(60), senderId="ACME")
    campaign.wait_for("paused")
    chain.simulator.clear("refuse_402")
    expect(route(chain)["status"], "open", "route")
    acme.steer(campaign, "resume")
    expect(campaign.wait_for("completed")["delivered"], 60, "delivered")


def test_the_blacklisted_are_suppressed_from_then_on(chain):
    acme = chain.account()
    phones = chain.phones(10)
    chain.simulator.faults(force=phones[3][-8:] + ":406")
    row = acme.send_inline(chain.text(), phones).wait_for("completed")
    chain.simulator.faults(force="")
    expect((row["delivered"], row["failed"]), (9, 1), "delivered, failed")
    row = acme.send_inline(chain.text(), phones).wait_for("completed")
    expect((row["delivered"], row["suppressed"]), (9, 1), "delivered, suppressed")
    expect(len(chain.sql("SELECT 1 FROM suppressions WHERE msisdn = %d" % msisdn(phones[3]))), 1,
           "suppressions")


def test_refusals_for_now_are_tried_again_three_times_in_all(chain):
    acme = chain.account()
    phones = chain.phones(30)
    chain.simulator.faults(force="%s:500,%s:501,%s:502" % tuple(phone[-8:]
                                                               for phone in phones[:3]))
    before = chain.simulator.stats()["refused"]
    campaign = acme.send_inline(chain.text(), phones)
    row = campaign.wait_for("completed")
    after = chain.simulator.stats()["refused"]
    chain.simulator.faults(force="")
    expect((row["delivered"], row["failed"]), (27, 3), "delivered, failed")
    for code in ("500", "501", "502"):
        expect(after.get(code, 0) - before.get(code, 0), 3, "refusals with " + code)
    expect({(recipient["attempts"], recipient["word"])
            for recipient in campaign.recipients("seq <= 3")}, {(3, "failed")}, "attempts")
    expect(acme.balance()["reserved"], 0, "reserved")


def test_refusals_for_now_that_pass_are_delivered(chain):
    acme = chain.account()
    chain.simulator.faults(refuse_500=0.2)
    campaign = acme.send_csv(chain.text(), chain.phones(400))
    row = campaign.wait_for("completed")
    chain.simulator.clear("refuse_500")
    check(row["delivered"] > 380 and row["delivered"] + row["failed"] == 400, "row: %r" % row)
    tried = {recipient["attempts"] for recipient in campaign.recipients("state = 4")}
    check(tried <= {1, 2, 3} and len(tried) > 1, "attempts: %r" % tried)


def test_final_refusals_say_why(chain):
    acme = chain.account()
    phones = chain.phones(3)
    chain.simulator.faults(force="%s:403,%s:404,%s:407" % tuple(phone[-8:] for phone in phones))
    campaign = acme.send_inline(chain.text(), phones)
    row = campaign.wait_for("completed")
    chain.simulator.faults(force="")
    expect(row["failed"], 3, "failed")
    expect([recipient["reason"] for recipient in campaign.recipients()],
           ["invalid_number", "unsupported_number", "no_route"], "reasons")
    expect(acme.balance()["available"], 1000000, "available")


def test_a_lost_answer_is_in_doubt_until_its_report_comes(chain):
    acme = chain.account()
    chain.simulator.ask("stop-reports", {})
    chain.simulator.faults(withhold={"count": 1})
    campaign = acme.send_inline(chain.text(), chain.phones(50))
    row = campaign.wait_until("in doubt", lambda row: row["in_doubt"] == 50)
    expect((row["pending"], acme.balance()["reserved"]), (0, 50), "pending, reserved")
    chain.simulator.ask("start-reports", {})
    row = campaign.wait_for("completed", seconds=20)
    expect((row["delivered"], row["in_doubt"], acme.balance()["spent"]), (50, 0, 50),
           "delivered, in doubt, spent")
