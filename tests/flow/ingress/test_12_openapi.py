"""schemas/openapi.yaml and the ingress tell the same."""

import json
import subprocess

from ingress_tests import check, expect


def describe(env):
    return json.loads(subprocess.run([str(env.build / "ingress/ingress"), "--describe"], check=True,
                                     stdout=subprocess.PIPE).stdout)


def test_every_route_is_documented_and_the_reverse(env):
    routes = sorted((route["method"], route["path"]) for route in describe(env)["routes"])
    expect(sorted(env.contract.operations()), routes, "operations")


def test_summaries_keys_and_bodies_agree(env):
    for route in describe(env)["routes"]:
        operation = env.contract.document["paths"][route["path"]][route["method"].lower()]
        where = "%(method)s %(path)s" % route
        expect(operation["summary"], route["summary"], "summary of " + where)
        expect(operation.get("security") == [], route["scope"] is None, "key of " + where)
        parameters = [env.contract.resolve(one) for one in operation.get("parameters", [])]
        names = {one["name"] for one in parameters}
        expect("Idempotency-Key" in names, route["idempotency_key"], "Idempotency-Key of " + where)
        expect("requestBody" in operation, route["body"] != "none", "body of " + where)
        expect("id" in names, "{id}" in route["path"], "{id} of " + where)


def walk(node, where=""):
    yield where, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from walk(value, "%s/%s" % (where, key))


def test_the_document_is_sound(env):
    document = env.contract.document
    ids = []
    used = set()
    for where, node in walk(document):
        if not isinstance(node, dict):
            continue
        if "$ref" in node:
            used.add(node["$ref"])
            check(env.contract.resolve(node) is not None, "%s: %s leads nowhere" % (where, node["$ref"]))
        if "operationId" in node:
            ids.append(node["operationId"])
            for name in ("summary", "tags", "responses"):
                check(node.get(name), "%s has no %s" % (where, name))
            for code, answer in node["responses"].items():
                check(env.contract.resolve(answer).get("description"), "%s/%s" % (where, code))
    expect(len(ids), len(set(ids)), "operation ids")
    tags = {tag["name"] for tag in document["tags"]}
    for method, path in env.contract.operations():
        expect(set(document["paths"][path][method.lower()]["tags"]) <= tags, True, "tags of " + path)
    for name in document["components"]["schemas"]:
        check("#/components/schemas/" + name in used or name == "Progress", name + " is unused")


def test_examples_fit_their_schemas(env):
    for path, operations in document_items(env):
        for operation in operations.values():
            for kind, media in operation.get("requestBody", {}).get("content", {}).items():
                if "example" in media and "json" in kind:
                    env.contract.validate(media["schema"], media["example"])
                    check(path.startswith("/"), path)


def document_items(env):
    return env.contract.document["paths"].items()
