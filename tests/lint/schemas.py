#!/usr/bin/python3
"""schemas.py SHAPE_CHECK - hold schemas/ against the C tables of lib/msg

SHAPE_CHECK is tests/unit/msg/shape_check. Proves that

  - there is one schema and one example for every message type, further examples under names of their
    own (<type>.<name>.example.json), and nothing else;
  - a schema made from the C table equals the one in the folder: names, types, what is required,
    limits, words, both ways; and every member has a description;
  - each example is accepted by both sides, and decoded and encoded again it is the same document;
  - thousands of examples, changed in one or several places, are accepted or refused by both alike;
  - the differences that schemas/README.md admits exist, so that the list stays true;
  - asyncapi.yaml is well formed, its references resolve, and it agrees with the topic table.
"""
import copy
import json
import pathlib
import random
import re
import subprocess
import sys

import jsonschema
import yaml

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
SEED = 20261120
COMBINATIONS = 400  # per type, of two or three changes
ABSENT = object()

TIME_PATTERN = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$")

problems = []


def problem(*words):
    problems.append(" ".join(str(word) for word in words))


def expect(condition, *words):
    if not condition:
        problem(*words)


# --- the schema that a C table amounts to ---------------------------------------------------------


def with_counts(schema, field):
    if field["min"]:
        schema["minItems"] = field["min"]
    schema["maxItems"] = field["max"]
    return schema


def schema_of_field(field):
    kind = field["type"]
    text = {"type": "string", "maxLength": field["item_max"]}
    if kind == "str":
        schema = {"type": "string", "maxLength": field["max"]}
        if field["min"]:
            schema["minLength"] = field["min"]
    elif kind == "int":
        schema = {"type": "integer", "minimum": field["min"], "maximum": field["max"]}
    elif kind == "bool":
        schema = {"type": "boolean"}
    elif kind == "time":
        schema = {"type": "string", "format": "date-time", "pattern": TIME_PATTERN}
    elif kind == "enum":
        schema = {"enum": list(field["words"])}
    elif kind == "strings":
        schema = with_counts({"type": "array", "items": text}, field)
    elif kind == "table":
        schema = with_counts({"type": "array", "items": {"type": "array", "items": text}}, field)
    elif kind == "list":
        schema = with_counts({"type": "array", "items": schema_of_fields(field["fields"])}, field)
    elif kind == "map":
        schema = {"type": "object", "maxProperties": field["max"], "additionalProperties": text}
    elif kind == "object":
        schema = schema_of_fields(field["fields"])
    else:
        raise ValueError(f"no schema for the field type {kind}")
    if not field["required"]:
        if "enum" in schema:
            schema["enum"].append(None)
        else:
            schema["type"] = [schema["type"], "null"]
    return schema


def schema_of_fields(fields):
    return {
        "type": "object",
        "required": [field["name"] for field in fields if field["required"]],
        "properties": {field["name"]: schema_of_field(field) for field in fields},
    }


def without_prose(schema):
    """The schema without titles and descriptions; a member called title or so is none of these."""
    bare = {key: value for key, value in schema.items()
            if key not in ("$schema", "$id", "$comment", "title", "description")}
    if "properties" in bare:
        bare["properties"] = {name: without_prose(value) for name, value in bare["properties"].items()}
    if isinstance(bare.get("items"), dict):
        bare["items"] = without_prose(bare["items"])
    return bare


def check_prose(where, schema):
    for name, value in schema.get("properties", {}).items():
        text = value.get("description", "")
        expect(text.endswith("."), where, name, "has no description that ends in a full stop")
        check_prose(f"{where} {name}", value.get("items", {}))


def compare(where, expected, found):
    """Says where two schemas differ, not only that they do."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key not in found:
                problem(f"{where}/{key}: in the C table, not in the schema")
            elif key not in expected:
                problem(f"{where}/{key}: in the schema, not in the C table")
            else:
                compare(f"{where}/{key}", expected[key], found[key])
    elif expected != found:
        problem(f"{where}: {expected} in the C table, {found} in the schema")


def check_schema(topic, schema):
    kind = topic["type"]
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        problem(kind, "is no valid schema:", error.message)
    expect(schema.get("$schema") == "https://json-schema.org/draft/2020-12/schema", kind, "$schema")
    expect(schema.get("$id") == f"urn:tuma:schema:{kind}", kind, "$id")
    for key in ("title", "description"):
        expect(schema.get(key), kind, "has no", key)
    compare(kind, schema_of_fields(topic["fields"]), without_prose(schema))
    check_prose(kind, schema)


# --- what both sides say to a document ------------------------------------------------------------


class Decoder:
    def __init__(self, program):
        self.program = program

    def describe(self):
        return json.loads(subprocess.run([self.program, "describe"], check=True,
                                         stdout=subprocess.PIPE).stdout)

    def answers(self, lines):
        """One answer per (type, text): ("ok", text) or ("err", what, detail)."""
        data = "".join(f"{kind}\t{text}\n" for kind, text in lines)
        done = subprocess.run([self.program], check=True, input=data.encode(), stdout=subprocess.PIPE)
        answers = [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]]
        if len(answers) != len(lines):
            raise RuntimeError(f"{len(answers)} answers to {len(lines)} lines")
        return answers


def moments(value, fields):
    """The document with every time in one form, so that documents can be compared."""
    value = dict(value)
    for field in fields:
        name = field["name"]
        if field["type"] == "time" and name in value:
            value[name] = moment(value[name])
        elif field["type"] == "list" and name in value:
            value[name] = [moments(item, field["fields"]) for item in value[name]]
    return value


def moment(text):
    from datetime import datetime
    return datetime.fromisoformat(text.upper().replace("Z", "+00:00")).timestamp()


# --- changes --------------------------------------------------------------------------------------

ANY_VALUES = [None, True, False, 0, 1, -1, 7.5, "", "x", [], ["x"], [["x"]], [1], [[1]], [None], [{}], {},
              {"a": "b"}]
TIMES = ["2026-11-20T09:12:44Z", "2026-11-20T09:12:44.031Z", "2026-11-20t09:12:44z",
         "2026-11-20T12:12:44+03:00", "2026-11-20T09:12:44.123456789-11:30", "1970-01-01T00:00:00Z",
         "2026-11-20", "2026-11-20T09:12Z", "2026-11-20T09:12:44", "2026-11-20 09:12:44Z", "now",
         "2026-13-20T09:12:44Z", "2026-11-32T09:12:44Z", "2026-11-20T24:00:00Z", "2026-11-20T09:60:00Z",
         "2026-11-20T09:12:44+0300", "2026-11-20T09:12:44+24:00", "2026-11-20T09:12:44.Z",
         " 2026-11-20T09:12:44Z", "2026-11-20T09:12:44Z ", "20261120T091244Z", "-2026-11-20T09:12:44Z"]


def values_for(field, example):
    """Values around each limit of a field, and values of other kinds."""
    kind, low, high, each = field["type"], field["min"], field["max"], field["item_max"]
    values = list(ANY_VALUES)
    if kind == "str":
        values += ["a" * size for size in {low, max(low - 1, 0), high, high + 1}]
        values += ['"\\\b\f\n\r\t\x01\x7f/']
    elif kind == "int":
        values += [low - 1, low, high, high + 1, 2**63, -(2**63) - 1]
    elif kind == "enum":
        values += field["words"] + [word.upper() for word in field["words"]] + [" " + field["words"][0]]
    elif kind == "time":
        values += TIMES
    elif kind == "strings":
        values += [["a"] * size for size in {low, max(low - 1, 0), high, high + 1}]
        values += [["a" * each], ["a" * (each + 1)], ["a", 1], ["a", None]]
    elif kind == "table":
        values += [[["a", "b"]] * size for size in {low, max(low - 1, 0), high, high + 1}]
        values += [[["a" * each]], [["a" * (each + 1)]], [["a", 1]], [["a", None]], [["a"], "b"], [[], []]]
    elif kind == "list":
        values += [[example[0]] * size for size in {low, max(low - 1, 0), high, high + 1}]
    elif kind == "map":
        values += [{str(n): "a" for n in range(size)} for size in (high, high + 1)]
        values += [{"1": "a" * each}, {"1": "a" * (each + 1)}, {"1": 1}, {"1": None}]
    return values


def changes_of(fields, example, path=()):
    """All single changes of a document: (path, value), ABSENT for leaving a member out."""
    for field in fields:
        here = path + (field["name"],)
        yield here, ABSENT
        for value in values_for(field, example.get(field["name"])):
            yield here, value
        if field["type"] == "list" and field["name"] in example:
            for index, item in enumerate(example[field["name"]]):
                yield from changes_of(field["fields"], item, here + (index,))
        elif field["type"] == "object" and field["name"] in example:
            yield from changes_of(field["fields"], example[field["name"]], here)
    for value in ANY_VALUES:
        yield path + ("no_such_member",), value


def changed(document, changes):
    document = copy.deepcopy(document)
    for path, value in changes:
        place = document
        for step in path[:-1]:
            try:
                place = place[step]
            except (KeyError, IndexError, TypeError):
                place = None
                break
        if isinstance(place, dict):
            place.pop(path[-1], None)
            if value is not ABSENT:
                place[path[-1]] = value
    return document


def documents_for(topic, example, rng):
    yield from ANY_VALUES
    changes = list(changes_of(topic["fields"], example))
    for change in changes:
        yield changed(example, [change])
    light = [change for change in changes if len(repr(change[1])) < 1000]
    for _ in range(COMBINATIONS):
        yield changed(example, rng.sample(light, rng.choice([2, 3])))


def check_agreement(topics, schemas, examples, decoder):
    rng = random.Random(SEED)
    lines, verdicts = [], []
    for topic in topics:
        kind = topic["type"]
        validator = jsonschema.Draft202012Validator(schemas[kind])
        for example in examples[kind].values():
            for document in documents_for(topic, example, rng):
                lines.append((kind, json.dumps(document, ensure_ascii=False)))
                verdicts.append(validator.is_valid(document))
    refused = 0
    for (kind, text), valid, answer in zip(lines, verdicts, decoder.answers(lines)):
        expect(valid == (answer[0] == "ok"), kind, text[:300],
               "- the schema", "accepts" if valid else "refuses", "but the decoder says", answer[:3])
        expect(valid or answer[1] in ("bad_field", "bad_json"), kind, "unexpected answer", answer)
        refused += not valid
    expect(min(refused, len(lines) - refused) > len(lines) // 10,
           f"{refused} of {len(lines)} documents refused: the test has lost its teeth")
    return len(lines), refused


def check_admitted_differences(schemas, decoder):
    """What schemas/README.md says a schema cannot: it accepts, the decoder refuses."""
    ready = '{"campaign":"cmp_06ETQ5S0K3P1V","batch":%s,"size":1}'
    chunk = '{"reference":"r","chunk":1,"first_row":1,"columns":["phone"],"rows":%s}'
    title = '{"title":"%s","message_template":"x"}'
    cases = [
        ("batch.ready.v1", ready % "1.0", "a whole number with a fraction"),
        ("batch.done.v1", ready.replace("}", ',"x":9223372036854775808}') % "1", "65 bits"),
        ("batch.ready.v1", '{"campaign":"a","campaign":"b","batch":1,"size":1}', "a name twice"),
        ("recipients.submitted.v1", chunk % '[["a"],["a","b"]]', "rows of different length"),
        ("campaign.submitted.v1", title % "a\\u0000b", "a NUL character"),
        ("campaign.submitted.v1", title % ("\u00e9" * 101), "two bytes a character"),
        ("route.opened.v1", '{"route":"sms","at":"2026-02-30T00:00:00Z"}', "30 February"),
    ]
    for (kind, text, what), answer in zip(cases, decoder.answers([case[:2] for case in cases])):
        valid = jsonschema.Draft202012Validator(schemas[kind]).is_valid(json.loads(text))
        expect(valid and answer[0] == "err", "the admitted difference is gone:", what, answer)


def check_examples(topics, schemas, examples, decoder):
    found = [(topic, name, example) for topic in topics
             for name, example in examples[topic["type"]].items()]
    lines = [(topic["type"], json.dumps(example)) for topic, _, example in found]
    for (topic, name, example), answer in zip(found, decoder.answers(lines)):
        for error in jsonschema.Draft202012Validator(schemas[topic["type"]]).iter_errors(example):
            problem(f"{name}:", error.message)
        if answer[0] != "ok":
            problem(f"{name}: refused:", *answer)
            continue
        before = moments(example, topic["fields"])
        after = moments(json.loads(answer[1]), topic["fields"])
        expect(before == after, f"{name} comes back as", answer[1])


# --- asyncapi.yaml --------------------------------------------------------------------------------


class StrictLoader(yaml.SafeLoader):
    """YAML in which a key may not stand twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in {key for key in keys if keys.count(key) > 1}:
            problem("asyncapi.yaml: the key", key, "stands twice near line", node.start_mark.line + 1)
        return super().construct_mapping(node, deep)


def resolve(api, ref):
    """What a $ref names, or None."""
    if ref.startswith("#/"):
        place = api
        for step in ref[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            place = place.get(step) if isinstance(place, dict) else None
        return place
    file = (SCHEMAS / ref).resolve()
    return json.loads(file.read_text()) if file.is_file() else None


def check_refs(api, place, where="#"):
    if isinstance(place, dict):
        if "$ref" in place:
            expect(list(place) == ["$ref"], "asyncapi.yaml", where, "has members beside $ref")
            expect(resolve(api, place["$ref"]) is not None, "asyncapi.yaml", where, "no", place["$ref"])
        for key, value in place.items():
            check_refs(api, value, f"{where}/{key}")
    elif isinstance(place, list):
        for index, value in enumerate(place):
            check_refs(api, value, f"{where}/{index}")


BINDING_KEYS = {
    "routingKey": {"is", "exchange", "bindingVersion"},
    "queue": {"is", "queue", "bindingVersion"},
}


def check_channel(name, channel):
    where = f"asyncapi.yaml channel {name}:"
    used = set(re.findall(r"\{(\w+)\}", channel["address"]))
    expect(used == set(channel.get("parameters", {})), where, "parameters differ from the address")
    for key, value in channel["messages"].items():
        expect(value == {"$ref": f"#/components/messages/{key}"}, where, "message", key)
    expect(set(channel) <= {"address", "description", "messages", "parameters", "bindings", "x-stage",
                            "x-queue"}, where, "unknown members", set(channel))
    amqp = channel["bindings"]["amqp"]
    expect(set(amqp) == BINDING_KEYS.get(amqp["is"]), where, "binding has", set(amqp))
    expect(amqp["bindingVersion"] == "0.3.0", where, "bindingVersion")
    exchange = amqp.get("exchange", amqp.get("queue"))
    expect(exchange["durable"] is True and exchange["autoDelete"] is False, where, "not durable")


def expected_channels(topics):
    """Each channel's address, exchange, its type and queue, as the topic table has it."""
    channels = {}
    for topic in topics:
        noun = topic["type"].rsplit(".", 1)[0]
        stage = topic.get("stage")
        if stage is None:
            channels[noun] = (f"{noun}.{{account}}", "tuma.events", "topic", None, None)
            continue
        route = ".{route}" if "routes" in topic else ""
        queue = f"tuma.{stage}{route}.{{lane}}"
        key = f"{noun}{route}.{{lane}}"
        if sum(other["type"] == topic["type"] for other in topics) > 1:  # a stage for each route
            [way] = topic["routes"]
            before = channels.get(noun, (None, None, None, {}, {}))
            stage = {**before[3], way: stage}
            queue = {**before[4], way: queue.replace("{route}", way)}
        channels[noun] = (key, f"tuma.{topic['exchange']}", "direct", stage, queue)
        if topic["partner"]:
            channels[f"partner.{noun}"] = (key, "tuma.in.{account}", "direct", None, queue)
    return channels


def check_channels(api, topics):
    expected = expected_channels(topics)
    channels = dict(api["channels"])
    partner = channels.pop("partner.events")
    check_channel("partner.events", partner)
    told = {topic["type"] for topic in topics if "stage" not in topic}
    expect(set(partner["messages"]) == {kind for kind in told if not kind.startswith("route.")},
           "asyncapi.yaml partner.events: its messages")
    expect(partner["address"] == partner["bindings"]["amqp"]["queue"]["name"] == "tuma.events.{account}",
           "asyncapi.yaml partner.events: its queue")
    expect(set(channels) == set(expected), "asyncapi.yaml channels:", set(channels) ^ set(expected))
    for name in set(channels) & set(expected):
        channel = channels[name]
        check_channel(name, channel)
        exchange = channel["bindings"]["amqp"]["exchange"]
        found = (channel["address"], exchange["name"], exchange["type"], channel.get("x-stage"),
                 channel.get("x-queue"))
        expect(found == expected[name], f"asyncapi.yaml channel {name}:", found, "not", expected[name])
        noun = name[len("partner."):] if name.startswith("partner.") else name
        expect(list(channel["messages"]) == [f"{noun}.v1"], f"asyncapi.yaml channel {name}: messages")


def check_operations(api):
    used = set()
    for name, operation in api["operations"].items():
        where = f"asyncapi.yaml operation {name}:"
        ref = operation["channel"]["$ref"]
        channel = ref.rsplit("/", 1)[1]
        used.add(channel)
        expect(ref == f"#/channels/{channel}" and channel in api["channels"], where, ref)
        told = channel == "partner.events" or "{account}" in api["channels"][channel]["address"]
        expect(operation["action"] == ("send" if told else "receive"), where, operation["action"])
        expect(operation.get("summary"), where, "no summary")
        for message in operation.get("messages", []):
            expect(message["$ref"].startswith(ref + "/messages/"), where, message)
    expect(used == set(api["channels"]), "asyncapi.yaml: without operation", set(api["channels"]) - used)


def check_messages(api, topics):
    messages = api["components"]["messages"]
    kinds = {topic["type"] for topic in topics}
    expect(set(messages) == kinds, "asyncapi.yaml messages:", set(messages) ^ kinds)
    for kind in set(messages) & kinds:
        message = messages[kind]
        found = (message["name"], message["bindings"]["amqp"]["messageType"],
                 message["payload"]["schema"]["$ref"], message["x-example"])
        expect(found == (kind, kind, f"./{kind}.schema.json", f"./{kind}.example.json"),
               "asyncapi.yaml message", kind, found)
        schema = resolve(api, message["payload"]["schema"]["$ref"])
        expect(message["title"] == schema["title"], "asyncapi.yaml message", kind, "title")


def check_asyncapi(described):
    api = yaml.load((SCHEMAS / "asyncapi.yaml").read_text(), StrictLoader)
    expect(api["asyncapi"] == "3.0.0", "asyncapi.yaml: version")
    expect(set(api) == {"asyncapi", "info", "defaultContentType", "servers", "channels", "operations",
                        "components"}, "asyncapi.yaml: members", set(api))
    expect({"title", "version"} <= set(api["info"]), "asyncapi.yaml: info")
    check_refs(api, api)
    check_channels(api, described["topics"])
    check_operations(api)
    check_messages(api, described["topics"])
    parameters = api["components"]["parameters"]
    expect(parameters["lane"]["enum"] == described["lanes"], "asyncapi.yaml: lanes")
    expect(parameters["route"]["enum"] == described["routes"], "asyncapi.yaml: routes")
    for schema in api["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


# --------------------------------------------------------------------------------------------------


def read_folder(topics):
    """Schemas by type, and for each type its examples by the names of their files."""
    kinds = {topic["type"] for topic in topics}
    schemas = {path.name[:-len(".schema.json")]: json.loads(path.read_text())
               for path in SCHEMAS.glob("*.schema.json")}
    expect(set(schemas) == kinds, "*.schema.json:", sorted(set(schemas) ^ kinds), "have no counterpart")
    examples = {kind: {} for kind in kinds}
    for path in sorted(SCHEMAS.glob("*.example.json")):
        kind = re.match(r".*\.v\d+(?=\.)|", path.name)[0]
        if kind in kinds:
            examples[kind][path.name] = json.loads(path.read_text())
        else:
            problem(path.name, "is an example of no type")
    for kind in kinds:
        expect(f"{kind}.example.json" in examples[kind], f"{kind}.example.json is missing")
    return schemas, examples


def main():
    decoder = Decoder(sys.argv[1])
    described = decoder.describe()
    topics = described["topics"]
    schemas, examples = read_folder(topics)
    for topic in topics:
        check_schema(topic, schemas[topic["type"]])
    check_examples(topics, schemas, examples, decoder)
    total, refused = check_agreement(topics, schemas, examples, decoder)
    check_admitted_differences(schemas, decoder)
    check_asyncapi(described)
    for text in problems[:50]:
        print(text)
    print(f"{len(topics)} types, {total} documents of which {refused} refused, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
