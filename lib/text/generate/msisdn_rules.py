#!/usr/bin/env python3
"""msisdn_rules - the numbering plans we serve, taken out of libphonenumber's metadata

    msisdn_rules.py VERSION < resources/PhoneNumberMetadata.xml > msisdn_rules.txt

Run by a developer when the metadata has moved on; msisdn_table then makes the C table of it.
Debian's libphonenumber is not the source, because its metadata is that of 2022: it refuses prefixes
that Kenya has assigned since, and every number of Benin, which has renumbered.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

# The countries that the SMS providers serve for us.
SERVED = "BF BJ CI CM ET GH KE ML MW NE NG RW SN TG TZ UG ZA ZM".split()

KINDS = {
    "generalDesc": "general",
    "premiumRate": "premium_rate",
    "tollFree": "toll_free",
    "sharedCost": "shared_cost",
    "voip": "voip",
    "personalNumber": "personal",
    "pager": "pager",
    "uan": "uan",
    "voicemail": "voicemail",
    "fixedLine": "fixed_line",
    "mobile": "mobile",
}

HEADER = """\
# The numbering plans we serve, from libphonenumber {version}, resources/PhoneNumberMetadata.xml.
# Copyright (C) 2009 The Libphonenumber Authors. Licensed under the Apache License, Version 2.0:
# http://www.apache.org/licenses/LICENSE-2.0
# Made by msisdn_rules.py. Do not edit.
#
# country ISO CALLING_CODE TRUNK_PREFIX, a dash for none; then its kinds of number:
# KIND LENGTHS PATTERN, both of the national number; "-" leaves the length to the pattern.
"""


def lengths(text):
    """'[7-9],12' to '7,8,9,12'."""
    found = []
    for part in text.split(","):
        span = re.fullmatch(r"\[(\d+)-(\d+)\]", part)
        found += range(int(span[1]), int(span[2]) + 1) if span else [int(part)]
    return ",".join(map(str, found))


def main():
    root = ElementTree.parse(sys.stdin).getroot()
    plans = {plan.get("id"): plan for plan in root.iter("territory")}
    sharing = [plan.get("countryCode") for plan in plans.values()]
    print(HEADER.format(version=sys.argv[1]), end="")
    for iso in SERVED:
        plan = plans[iso]
        trunk = plan.get("nationalPrefix", "-")
        if plan.get("nationalPrefixForParsing", trunk) != trunk or trunk not in ("-", "0"):
            sys.exit(f"{iso}: a trunk prefix that msisdn.c does not know")
        if sharing.count(plan.get("countryCode")) != 1:
            sys.exit(f"{iso}: shares its calling code, which msisdn.c does not expect")
        print(f"\ncountry {iso} {plan.get('countryCode')} {trunk}")
        for tag, kind in KINDS.items():
            desc = plan.find(tag)
            if desc is None:
                continue
            possible = desc.find("possibleLengths")
            national = lengths(possible.get("national")) if possible is not None else "-"
            pattern = re.sub(r"\s+", "", desc.find("nationalNumberPattern").text)
            print(kind, national, pattern)


main()
