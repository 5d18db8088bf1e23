#!/usr/bin/env python3
"""Writes python_value.json: scalars of configs, and what mdistiller's program makes of them: PyYAML's safe_load, then for
text literal_eval, as yacs does. Needs PyYAML."""
import ast
import json
import os

import yaml

plain = """yes Yes YES no No NO true True TRUE false False FALSE on On ON off Off OFF yES y n oN ~ null Null NULL nULL None
0 1 -1 +1 240 1_000 -1_0 _1 1_ 010 0o17 0O17 -017 08 09 00 0_7 0x10 0X10 0xfF 0x_1 0b101 0b_1 0B1 0b2 0x 190:20:30 1:30 0:30 1:60 1:5 +1:30
1:30.5 0:30.5 1:30._5 1:3a 1.5:30 0.5 .5 -.5 +.5 5. 1_0.5 1.5_0 ._5 1e3 1E3 5e-4 1e+3 1.0e3 1.0e-3 1.e-3 1.0e+3 1.5_e+3 .5e-3 .5e3 -1e-3 1.0e- 1.0e
.inf -.inf +.Inf .INF .iNF .nan .NaN .NAN -.nan inf nan Infinity --5 1__0 1_e3 0x1_f 0b1_0 0o_7 1j 1L KD resnet56 12abc 1.2.3 . + e5 0e0 -0 -0.0
1e400 123456789012345678""".split()
quoted = ["yes", "true", "True", "False", "None", "0.1", "5e-4", " 7 ", "010", "1:30", ".inf", "0x10", "", "150", "None ", "1_000"]


def value(node):
    if isinstance(node, str):
        try:
            node = ast.literal_eval(node.strip(" \t\n"))
        except (ValueError, SyntaxError):
            pass
    if node is None:
        return {"kind": "null"}
    if isinstance(node, bool):
        return {"kind": "boolean", "value": node}
    if isinstance(node, (int, float)):
        number = float(node)
        return {"kind": "number", "value": number} if abs(number) < float("inf") else {"kind": "not finite"}
    return {"kind": "text"}


def row(text, quoted):
    try:
        return [{"text": text, "quoted": quoted, **value(yaml.safe_load("a: " + (json.dumps(text) if quoted else text))["a"])}]
    except ValueError as error:  # PyYAML's patterns take a few texts that its conversions do not
        print(text, "is an error there:", error)
        return []


rows = [r for t in plain for r in row(t, False)] + [r for t in quoted for r in row(t, True)]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_value.json"), "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
