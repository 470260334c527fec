"""contract - schemas/openapi.yaml as something to hold answers against"""

import re

import jsonschema
import yaml

# What the HTTP library answers by itself, before the ingress sees the request.
LIBRARY_STATUSES = {400, 408, 413, 414, 431, 500, 501, 505}


class Contract:
    def __init__(self, path):
        self.document = yaml.safe_load(path.read_text())
        self.seen = set()
        self.paths = []
        for template, operations in self.document["paths"].items():
            pattern = re.compile(re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(template)) + "/?$")
            self.paths.append((pattern, template, operations))

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            target = self.document
            for step in node["$ref"].lstrip("#/").split("/"):
                target = target[step]
            node = target
        return node

    def operations(self):
        """All as (METHOD, path), in the document's order."""
        return [(method.upper(), template) for _, template, operations in self.paths
                for method in operations]

    def find(self, path):
        """The most literal template that matches."""
        found = [entry for entry in self.paths if entry[0].match(path)]
        return min(found, key=lambda entry: entry[1].count("{"), default=(None, None, None))

    def validate(self, schema, value):
        jsonschema.Draft202012Validator(
            {**schema, "components": self.document["components"]},
            format_checker=jsonschema.FormatChecker()).validate(value)

    def check(self, method, path, reply):
        """An answer is as documented; unknown paths and methods have no document but the problem's."""
        _, template, operations = self.find(path)
        kind = reply.headers.get("Content-Type", "").split(";")[0]
        operation = (operations or {}).get(method.lower())
        if operation is None:
            if kind == "application/problem+json" and method != "HEAD":
                self.validate({"$ref": "#/components/schemas/Problem"}, reply.body)
            return
        answer = self.resolve(operation["responses"].get(str(reply.status)))
        if answer is None:
            raise AssertionError("%s %s answers %d, which is not in openapi.yaml: %r"
                                 % (method, template, reply.status, reply.body))
        if "content" not in answer:  # 204, 304
            if reply.body or kind:
                raise AssertionError("%s %s: %d with a body" % (method, template, reply.status))
            self.seen.add((method, template))
            return
        media = answer["content"].get(kind)
        if media is None:
            raise AssertionError("%s %s answers %d as %r" % (method, template, reply.status, kind))
        if "json" in kind:
            self.validate(media["schema"], reply.body)
        if "Retry-After" in answer.get("headers", {}) and "Retry-After" not in reply.headers:
            raise AssertionError("%s %s: %d without Retry-After" % (method, template, reply.status))
        if reply.status < 300:
            self.seen.add((method, template))

    def unseen(self):
        return ["%s %s" % one for one in self.operations() if one not in self.seen]
