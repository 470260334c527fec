/*
 * amqp - the headers of rabbitmq-c, in one place: from 0.12 on they live in <rabbitmq-c/…>
 */
#ifndef BROKER_AMQP_H
#define BROKER_AMQP_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

#endif
