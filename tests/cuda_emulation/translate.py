"""Turns the launches of a .cu or .cuh file into calls of the emulated device (device.h): all else in such a file is C++.

Run: translate.py IN OUT
"""

import re
import sys

# A kernel's name, with the template arguments that it is given, before its configuration.
LAUNCH = re.compile(r"([A-Za-z_]\w*(?:<(?:[^<>()]|<[^<>]*>)*>)?)\s*<<<")


def closing(text, opening):
    """The place of the parenthesis that closes the one at `opening`."""
    depth = 0
    for place in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise ValueError("a launch without end")


def translated(text):
    result, place = [], 0
    while match := LAUNCH.search(text, place):
        kernel = match.group(1)
        end_of_configuration = text.index(">>>", match.end())
        opening = text.index("(", end_of_configuration)
        end = closing(text, opening)
        configuration, arguments = text[match.end() : end_of_configuration], text[opening + 1 : end]
        # Arguments are copied when the kernel is launched, as a device does.
        result.append(text[place : match.start()])
        result.append(
            f'retort::emulation::launch("{kernel}", {{{configuration}}}, '
            f"[](auto... argument) {{ {kernel}(argument...); }}, {arguments})"
        )
        place = end + 1
    text = "".join(result) + text[place:]
    return re.sub(
        r"extern\s+__shared__[^;]*?(\w+)\s+(\w+)\[\];", r"\1* \2 = retort::emulation::dynamic_shared();", text
    )


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        text = file.read()
    with open(target, "w", encoding="utf-8") as file:
        file.write(f'#line 1 "{source}"\n' + translated(text))


if __name__ == "__main__":
    main()
