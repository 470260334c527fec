"""Tokens: the quote is the price, and nothing is sent before it is paid."""

from chain import check, expect


def test_a_held_campaign_stops_at_its_quote_and_goes_on_when_launched(chain):
    acme = chain.account(tokens=100)
    phones = chain.phones(30)
    before = chain.simulator.accepted()
    campaign = acme.send_inline(chain.text(), phones, launch=False)
    row = campaign.wait_for("quoted")
    expect((row["segments"], row["planned"], row["pending"]), (30, 30, 30), "quote")
    expect(acme.balance()["reserved"], 0, "reserved")
    expect(chain.simulator.accepted(), before, "accepted before the launch")
    acme.steer(campaign, "launch")
    row = campaign.wait_for("completed")
    expect((row["delivered"], acme.balance()["spent"]), (30, 30), "delivered and spent")


def test_too_few_tokens_are_said_and_a_top_up_lets_it_go_on(chain):
    acme = chain.account(tokens=25)
    before = chain.simulator.accepted()
    campaign = acme.send_inline(chain.text(), chain.phones(40))
    row = campaign.wait_for("insufficient_tokens")
    check("15" in row["detail"], "detail: %r" % row["detail"])
    told = acme.ask("GET", "/api/communications/campaigns/" + campaign.name).body
    expect((told["status"], told["detail"]), ("insufficient_tokens", row["detail"]), "told")
    expect((acme.balance()["available"], chain.simulator.accepted()), (25, before),
           "available, accepted")
    acme.grant(15)
    row = campaign.wait_for("completed")
    balance = acme.balance()
    expect((row["delivered"], balance["spent"], balance["available"]), (40, 40, 0),
           "delivered, spent, available")


def test_one_that_lacks_tokens_is_asked_about_at_once_or_cancelled(chain):
    acme = chain.account(tokens=5)
    first = acme.send_inline(chain.text(), chain.phones(10))
    first.wait_for("insufficient_tokens")
    acme.steer(first, "resume")
    chain.tumactl("campaign", "resume", first.name)
    expect(first.row()["status"], "insufficient_tokens", "after a resume without tokens")
    second = acme.send_inline(chain.text(), chain.phones(10))
    second.wait_for("insufficient_tokens")
    acme.steer(first, "cancel")
    expect(first.wait_for("cancelled")["cancelled"], 10, "cancelled")
    chain["reserve-tokens"].kill()  # between the tokens and what follows from them
    acme.grant(5)
    chain["reserve-tokens"].start()
    row = second.wait_for("completed")
    balance = acme.balance()
    expect((row["delivered"], balance["spent"], balance["reserved"], balance["available"]),
           (10, 10, 0, 0), "delivered, spent, reserved, available")


def test_what_did_not_arrive_is_given_back_where_that_is_wanted(chain):
    acme = chain.account(tokens=10)
    chain.tumactl("account", "set", "--account", acme.slug, "--refund-failed", "on")
    phones = chain.phones(10)
    chain.simulator.faults(force=",".join("%s:failed" % phone[-8:] for phone in phones[:4]))
    campaign = acme.send_inline(chain.text(), phones)
    row = campaign.wait_for("completed")
    chain.simulator.faults(force="")
    balance = acme.balance()
    expect((row["delivered"], row["failed"], balance["spent"], balance["available"]),
           (6, 4, 6, 4), "delivered, failed, spent, available")
    chain.tumactl("verify", campaign.name)


def test_tokens_that_expire_first_are_spent_first(chain):
    acme = chain.account(tokens=0)
    for tokens, reference, expires in ((50, "never", "never"), (30, "late", "+90d"),
                                       (20, "soon", "+2d")):
        chain.tumactl("tokens", "add", "--account", acme.slug, "--tokens", str(tokens),
                      "--reference", reference, "--expires", expires)
    acme.send_inline(chain.text(), chain.phones(35)).wait_for("completed")
    lots = chain.sql("SELECT l.reference, l.available FROM token_lots l JOIN accounts a"
                     " ON a.id = l.account_id WHERE a.slug = '%s'" % acme.slug)
    expect({lot["reference"]: lot["available"] for lot in lots},
           {"soon": 0, "late": 15, "never": 50}, "lots")


def test_what_the_provider_refuses_is_given_back(chain):
    acme = chain.account(tokens=10)
    phones = chain.phones(10)
    ends = [phone[-7:] for phone in phones[:4]]
    chain.simulator.faults(force=",".join("%s:404" % end for end in ends))
    row = acme.send_inline(chain.text(), phones).wait_for("completed")
    chain.simulator.faults(force="")
    balance = acme.balance()
    expect((row["delivered"], row["failed"], balance["spent"], balance["available"]),
           (6, 4, 6, 4), "delivered, failed, spent, available")
