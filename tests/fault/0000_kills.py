"""kill -9 of each program, several times in a campaign, at moments left to chance."""

from storm import BATCH, SETTINGS, Storm, kill, moments  # noqa: F401 (SETTINGS is chain's)

WORKERS = 2  # of send-sms in the lane "normal"


def test_render_template_dies_while_it_renders(chain):
    storm = Storm(chain, personal=True)
    for i, share in enumerate(moments(chain, 3)):
        storm.await_rendered(share)
        kill(chain, "render-template", whole=i % 2 == 0)
    storm.end()


def test_reserve_tokens_dies_as_the_campaign_reaches_it(chain):
    storm = Storm(chain)
    storm.await_rendered(0.9)
    chain["reserve-tokens"].kill()
    storm.await_rendered(1)
    chain["reserve-tokens"].start()
    storm.end()


def test_split_batches_dies_while_it_splits(chain):
    storm = Storm(chain)
    for i, share in enumerate(moments(chain, 4)):
        storm.await_accepted(share)
        kill(chain, "split-batches", whole=i % 2 == 0)
    storm.end()


def test_rate_limit_dies_while_batches_pass(chain):
    storm = Storm(chain)
    for i, share in enumerate(moments(chain, 4)):
        storm.await_accepted(share)
        kill(chain, "rate-limit", whole=i % 2 == 0)
    storm.end()


def test_send_sms_dies_while_it_sends_one_text_to_all(chain):
    storm = Storm(chain)
    for i, share in enumerate(moments(chain, 6)):
        storm.await_accepted(share)
        kill(chain, "send-sms", whole=i % 2 == 0)
    storm.end(doubts=6 * WORKERS * BATCH)


def test_send_sms_dies_while_it_sends_a_text_to_each(chain):
    storm = Storm(chain, personal=True)
    for i, share in enumerate(moments(chain, 6)):
        storm.await_accepted(share)
        kill(chain, "send-sms", whole=i % 2 == 0)
    storm.end(doubts=6 * WORKERS * BATCH)


def test_reconcile_dlr_dies_while_reports_come(chain):
    storm = Storm(chain)
    for i, share in enumerate(moments(chain, 4)):
        storm.await_delivered(share)
        kill(chain, "reconcile-dlr", whole=i % 2 == 0)
    storm.end()


def test_the_ingress_dies_while_reports_come(chain):
    storm = Storm(chain)
    for share in moments(chain, 3):
        storm.await_delivered(share)
        chain["ingress"].kill()
        chain["ingress"].start()
    storm.end()


def test_everything_dies_one_after_another(chain):
    storm = Storm(chain)
    names = [name for name in chain.programs if name != "simulator"]
    chain.random.shuffle(names)
    deaths = 0
    for share, name in zip(moments(chain, len(names)), names):
        storm.await_accepted(share)
        kill(chain, name, whole=True)
        deaths += name == "send-sms"
    storm.end(doubts=deaths * WORKERS * BATCH)
