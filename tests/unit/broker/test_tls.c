/*
 * amqps: only a broker with a certificate that the system trusts for its name is spoken to.
 */
#include "broker/wire.h"
#include "fixture.h"

static char folder[] = "/tmp/tuma-tls.XXXXXX";
static char ca_file[64];
static const char *url;

/* A certificate authority and the broker's certificate, for localhost. */
static const char make_certificates[] =
    "exec >openssl.log 2>&1\n"
    "set -e\n"
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out "
    "ca.pem\n"
    "openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr\n"
    "echo subjectAltName=DNS:localhost >san\n"
    "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
    "-extfile san -out server.pem\n"
    "chmod 755 .\n"
    "chmod 644 server.key\n";

static int start_tls(void **state)
{
    char command[1200];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof(command), "cd %s\n%s", folder, make_certificates);
    assert_int_equal(system(command), 0);
    setenv("RABBITMQ_TLS", folder, 1);
    servers_start("rabbitmq");
    snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", folder);
    url = servers_get("AMQPS_URL");
    return 0;
}

static int stop_tls(void **state)
{
    char command[64];

    servers_stop();
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)state;
    return system(command);
}

static void an_unknown_authority_is_refused(void **state)
{
    struct broker_conf c = { .url = url, .name = "test" };
    struct err err;

    (void)state;
    assert_false(broker_check(&c, &err)); /* the system does not know ours */
    assert_non_null(strstr(err.what, "amqp_tls_"));
}

static void another_name_is_refused(void **state)
{
    char other[64];
    struct broker_conf c = { .url = other, .name = "test" };
    struct err err;

    (void)state;
    wire_ca_file = ca_file;
    snprintf(other, sizeof(other), "amqps://guest:guest@127.0.0.1%s", strrchr(url, ':'));
    assert_fails(broker_check(&c, &err), ERR_PERMANENT, "amqp_tls_wrong_host");
}

static void messages_travel(void **state)
{
    enum { COUNT = 1000 };
    static char body[20000];
    struct broker_conf c = { .url = url, .name = "test" };
    const char *const queue = "tls";
    struct broker_publisher *pub;
    struct broker_consumer *con;
    struct outcomes outcomes = { 0 };
    struct err err;

    (void)state;
    wire_ca_file = ca_file;
    declare(queue);
    assert_ok(broker_publisher_create(&c, &pub, &err));
    assert_ok(broker_consumer_create(&c, &queue, 1, 50, &con, &err));
    for (unsigned i = 0; i < COUNT; i++) {
        await_room(pub, &outcomes);
        publish(pub, queue, "id", body, i * 20, i);
    }
    settle_all(pub, &outcomes);
    assert_int_equal(outcomes.confirmed, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        struct broker_delivery delivery = take(con);

        assert_int_equal(delivery.body_len, i * 20);
        broker_ack(con, delivery.tag);
        broker_delivery_free(&delivery);
    }
    broker_consumer_destroy(con);
    broker_publisher_destroy(pub);
    await_depth(queue, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_authority_is_refused),
        cmocka_unit_test(another_name_is_refused),
        cmocka_unit_test(messages_travel),
    };

    return cmocka_run_group_tests(tests, start_tls, stop_tls);
}
