#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that standard input is one JSON document of a schema, and no more.

	check_json.py NAME <DOCUMENT

The schemas lie in tests/data/schema/; they speak of each other as
"#/$defs/NAME".
"""
import json
import pathlib
import sys

import jsonschema

folder = pathlib.Path(__file__).parent.parent / "data" / "schema"
schemas = {f.stem: json.loads(f.read_text()) for f in folder.glob("*.json")}
name = sys.argv[1]
if name not in schemas:
    sys.exit(f"there is no schema {name}.json")
try:
    document = json.load(sys.stdin)
except ValueError as e:
    sys.exit(f"not one JSON document: {e}")
checker = jsonschema.Draft202012Validator(
    {"$defs": schemas, "$ref": f"#/$defs/{name}"})
faults = list(checker.iter_errors(document))
for fault in faults:
    where = "/".join(str(step) for step in fault.absolute_path)
    print(f"{name}: at '{where}': {fault.message[:300]}", file=sys.stderr)
sys.exit(1 if faults else 0)
