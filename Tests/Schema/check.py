"""Checks YAML files against the JSON Schema that `poise schema` prints.

    check.py SCHEMA FILE...          every file must be accepted
    check.py SCHEMA --refused FILE   every file must be refused

Needs PyYAML and jsonschema. Exit code 1 and one line per file that is not as expected.
"""

import json
import re
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """Scalars as YAML 1.2 reads them, and editors with it: `off` and `12:30` are texts."""


Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:merge"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:null|~|)$"), ["n", "~", ""])
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^-?[0-9]+$"), list("-0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?[0-9]+\.[0-9]+$"), list("-0123456789"))


def main(arguments):
    with open(arguments[0], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    refused = arguments[1:2] == ["--refused"]
    failures = 0
    for path in arguments[2 if refused else 1:]:
        with open(path, encoding="utf-8") as file:
            try:
                document = yaml.load(file, Loader)
            except yaml.YAMLError as error:
                if not refused:
                    failures += 1
                    print(f"{path}: {error}")
                continue
        errors = list(validator.iter_errors(document))
        if bool(errors) != refused:
            failures += 1
            reason = jsonschema.exceptions.best_match(errors)
            print(f"{path}: {'accepted' if refused else f'{reason.json_path}: {reason.message}'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
