"""Reads T-SQL by sqlfluff's grammar, which knows nothing of ours.

Argument: a file with a JSON array of [name, text]. Prints the release, then for
each text a line with the errors that the grammar finds.
"""

import json
import re
import sys

import sqlfluff
from sqlfluff.core import FluffConfig, Linter


def with_plain_names(text):
    """Replaces `]]` and `[` inside of [names]: the lexer does not know that the one stands for
    `]`, as https://learn.microsoft.com/sql/t-sql/functions/quotename-transact-sql says, and that
    the other may stand there."""
    out = []
    at = 0
    while at < len(text):
        rest = text[at:]
        if rest.startswith("--"):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
        elif rest.startswith("/*"):
            end = text.find("*/", at + 2)
            end = len(text) if end < 0 else end + 2
        elif rest[0] == "'":
            end = at + 1
            while end < len(text) and (text[end] != "'" or text[end : end + 2] == "''"):
                end += 2 if text[end] == "'" else 1
            end += 1
        elif rest[0] == "[":
            end = at + 1
            while end < len(text) and (text[end] != "]" or text[end : end + 2] == "]]"):
                end += 2 if text[end] == "]" else 1
            end += 1
            inside = text[at + 1 : end - 1].replace("]]", "__").replace("[", "_")
            out.append("[" + inside + text[end - 1 : end])
            at = end
            continue
        else:
            end = at + 1
        out.append(text[at:end])
        at = end
    return "".join(out)


# `TYPE` of a user by SID is Azure SQL's and on no page of Microsoft's reference, which the grammar
# follows: it knows `SID = 0x…` and no more. Taken out, the rest is judged.
TYPE_OF_SID = re.compile(r"(\bSID = 0x[0-9A-F]{32}), TYPE = [EX]\b")
# `OBJECT_ID` is newer than the grammar:
# https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql
BY_OBJECT_ID = re.compile(r"(\bFROM EXTERNAL PROVIDER) WITH OBJECT_ID = N'[0-9a-f-]{36}'")


def errors(linter, text):
    text = TYPE_OF_SID.sub(r"\1", with_plain_names(text))
    text = BY_OBJECT_ID.sub(r"\1", text)
    parsed = linter.parse_string(text)
    found = [str(violation) for violation in parsed.violations]
    if parsed.tree is None:
        return found or ["it cannot be read at all"]
    unparsable = parsed.tree.recursive_crawl("unparsable")
    return found + [f"not T-SQL: {segment.raw!r}" for segment in unparsable]


def main():
    overrides = {"dialect": "tsql", "templater": "raw", "large_file_skip_byte_limit": 0}
    linter = Linter(config=FluffConfig(overrides=overrides))
    print(json.dumps({"version": sqlfluff.__version__}))
    with open(sys.argv[1], encoding="utf-8") as file:
        for name, text in json.load(file):
            print(json.dumps({"name": name, "errors": errors(linter, text)}))


main()
