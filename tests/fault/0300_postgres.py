"""PostgreSQL goes away in mid-campaign: answers that are already there wait for it."""

from storm import SETTINGS, Storm  # noqa: F401 (SETTINGS is chain's)


def test_postgres_is_restarted(chain):
    storm = Storm(chain)
    for share in (0.2, 0.6):
        storm.await_accepted(share)
        chain.server("restart", "postgres")
    storm.end()


def test_postgres_is_killed(chain):
    storm = Storm(chain)
    for share in (0.2, 0.6):
        storm.await_accepted(share)
        chain.server("kill", "postgres")
    storm.end()


def test_postgres_is_killed_while_each_gets_a_text_of_his_own(chain):
    storm = Storm(chain, personal=True)
    storm.await_rendered(0.5)
    chain.server("kill", "postgres")
    storm.await_accepted(0.4)
    chain.server("kill", "postgres")
    storm.end()
