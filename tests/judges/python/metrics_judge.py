"""Reads metrics with Prometheus's own parser for Python and tells each sample."""

import json
import os
import sys

from prometheus_client.parser import text_string_to_metric_families

with open(os.environ["METRICS"], encoding="utf-8", newline="") as file:
    text = file.read()

for family in text_string_to_metric_families(text):
    if not family.documentation or family.type == "unknown":
        sys.exit(f"{family.name} has no help or no type")
    for sample in family.samples:
        print(json.dumps({
            "family": family.name,
            "type": family.type,
            "name": sample.name,
            "labels": sample.labels,
            "value": sample.value,
        }))
