"""The commands that README.md and deploy/ tell people to run do what they say."""

import os
import re
import subprocess

from chain import ROOT, check, expect, wait_for

PAYMENTS = True  # the tour buys a package


def tour():
    text = (ROOT / "README.md").read_text()
    return re.search(r"<!-- tour -->\n```sh\n(.*?)```", text, re.DOTALL).group(1)


def test_programs_can_do_their_work_with_logins_of_their_own(chain):
    commands = subprocess.run([ROOT / "deploy/broker/users", chain.build], check=True, text=True,
                              capture_output=True, env=chain.environment()).stdout
    names = re.findall(r"add_user (\S+)", commands)
    expect(len(names), 9, "logins")
    passwords = {"PASSWORD_" + name[5:].upper().replace("-", "_"): "secret" for name in names}
    script = "rabbitmqctl() { '%s' \"$@\"; }\n%s" % (chain.servers["RABBITMQCTL"], commands)
    subprocess.run(["bash", "-eu", "-c", script], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True, env={**chain.environment(), **passwords})
    at = chain.servers["AMQP_URL"].split("@")[1]
    for program in ("ingress", "render-template", "reserve-tokens", "split-batches", "rate-limit",
                    "send-sms", "place-call", "reconcile-dlr"):
        chain[program].stop()
        chain[program].start(AMQP_URL="amqp://tuma-%s:secret@%s" % (program, at))
    chain.await_ready()
    for program in ("render-template", "send-sms"):
        checked = subprocess.run(
            [chain.build / "stages" / program, "--check"], check=False, text=True,
            capture_output=True, env={**chain.environment(),
                                      "AMQP_URL": "amqp://tuma-%s:secret@%s" % (program, at)})
        expect(checked.returncode, 0, program + " --check: " + checked.stdout)
    acme = chain.account(amqp=True)
    campaign = acme.send_csv(chain.text() + " {{n}}", chain.phones(300), {"n": str})
    expect(campaign.wait_for("completed")["delivered"], 300, "delivered")
    partner = acme.partner()
    partner.publish("campaign.submitted", {"title": "refused, so parked"})
    wait_for("it is parked", 20, chain.count_parked, lambda n: n == 1)
    chain.take_parked("render-template")
    partner.close()
    for program in list(chain.programs)[1:]:
        chain[program].stop()
    chain.start_all()


# Last: the simulator forgets its books when the test before starts it anew.
def test_the_tour_of_the_readme(chain):
    duka = chain.account(tokens=1000, senders=["DUKA"], amqp=True)
    slug = duka.slug
    script = tour().replace("--account duka", "--account " + slug)
    # There are several accounts here, in the quickstart one.
    script = script.replace("campaign send", "campaign send --account " + slug)
    script = script.replace("tokens check", "tokens check --account " + slug)
    for folder in ("schemas/examples", "deploy/sample"):
        script = script.replace(folder, str(ROOT / folder))
    at = chain.servers["AMQP_URL"].split("@")[1]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=chain.dir, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180,
        env={**chain.environment(), "KEY": duka.key, "PUBLIC_URL": "http://" + chain.http_listen,
             "PATH": "%s:%s" % (chain.build / "deploy", os.environ["PATH"]),
             "PARTNER_URL": "amqp://%s:%s@%s" % (slug, duka.password, at)})
    expect(done.returncode, 0, "the tour: " + done.stdout)
    for words in ("UCS-2", '"message":"paid"', "delivered", "quoted", "completed 100% 2 delivered", '"answered":2',
                  "all true"):
        check(words.lower() in done.stdout.lower(), "%r in %s" % (words, done.stdout))
    sent = chain.sql("SELECT c.title, c.status FROM campaigns c JOIN accounts a"
                     " ON a.id = c.account_id WHERE a.slug = '%s' ORDER BY c.id" % slug)
    expect([row["status"] for row in sent], ["completed"] * 6, "campaigns: %r" % sent)
