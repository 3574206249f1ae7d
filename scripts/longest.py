#!/usr/bin/env python3
"""Prints the ten longest functions of src/, by lines between signature and closing brace at the same indent."""
import pathlib
import re

found = []
for path in sorted(pathlib.Path("src").rglob("*.rs")):
    if path.name in ("generated.rs", "tests.rs"):
        continue
    start = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        begins = re.match(r"(\s*)(?:pub(?:\([a-z]+\))? )?(?:const )?(?:async )?fn (\w+)", line)
        if begins and start is None and not line.rstrip().endswith(";"):
            start = (begins.group(1), begins.group(2), number)
        elif start and line.startswith(start[0] + "}") and len(line.rstrip()) == len(start[0]) + 1:
            found.append((number - start[2] + 1, f"{path}:{start[2]} {start[1]}"))
            start = None
for length, where in sorted(found, reverse=True)[:10]:
    print(f"{length:7} {where}")
