#!/usr/bin/env python3
"""Write squall(1) from the program's own help, and the status codes from include/squall/status.h.

    tools/make_man.py build/release/src/squall > docs/squall.1

tests/checks/man.sh holds docs/squall.1 to what this writes.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

EXAMPLES = [
    ("Compile the shipped model for this machine and the grid of a radar file:",
     "squall build models/default/model.onnx --recipe models/default/recipe.json \\\n"
     "    --grid-of data/knmi/RAD_NL25_RAP_5min_201008260000.h5 --out nl.engine"),
    ("Forecast from a folder of radar files, with a NetCDF product and a map for each lead time:",
     "squall forecast data/knmi --engine nl.engine --issue 2010-08-26T02:00Z \\\n"
     "    --out forecast.nc --maps maps"),
    ("Score that forecast, and then the engine beside extrapolation and persistence over a whole night:",
     "squall verify --forecast forecast.nc data/knmi\n"
     "squall verify --engine nl.engine --every 1800 data/knmi"),
]


def roff(text):
    """Text as roff takes it: no escapes, no requests, dashes that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def section(text, heading):
    """The lines of `text` below `heading`, up to the next line that begins at the left."""
    found = re.search(rf"^{heading}:\n((?:  .*\n)+)", text, re.MULTILINE)
    if not found:
        sys.exit(f"the help has no part '{heading}:'")
    return found[1].splitlines()


def command(program, name):
    """One command: summary, synopsis, details, options."""
    text = subprocess.run([program, name, "--help"], check=True, capture_output=True, text=True).stdout
    summary = re.match(rf"squall {name} - (.*)\n", text)[1]
    usage = re.search(rf"^Usage: squall {name} (.*)$", text, re.MULTILINE)[1]
    details = re.search(r"^Usage: [^\n]*\n\n(.*?)\n*^Options:$", text, re.MULTILINE | re.DOTALL)[1].strip()
    out = [f".SS squall {roff(name)} {roff(usage)}", roff(summary[0].upper() + summary[1:]) + "."]
    if details:
        out += [".PP", roff(details)]
    for line in section(text, "Options"):
        # An argument stands one space behind its option, the help of a switch further away.
        option, argument, right = re.match(r"  (--\S+)(?: (\S+))? +(\S.*)$", line).groups()
        if option == "--help":
            continue
        out += [".TP", f"\\fB{roff(option)}\\fR" + (f" \\fI{roff(argument)}\\fR" if argument else ""), roff(right)]
    return out


def main(program):
    help_text = subprocess.run([program, "help"], check=True, capture_output=True, text=True).stdout
    title, summary = re.match(r"(squall \S+) - (.*)\n", help_text).groups()
    names = [line.split()[0] for line in section(help_text, "Commands")]
    out = ['.\\" Written by tools/make_man.py from the help of the program; change that, not this.',
           f'.TH SQUALL 1 "" "{title}" "User Commands"', ".SH NAME", f"squall \\- {roff(summary)}",
           ".SH SYNOPSIS", ".B squall", ".I COMMAND", "[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]",
           ".SH DESCRIPTION"]
    about = re.search(r"^Every command.*?(?=\n\nExit codes:)", help_text, re.MULTILINE | re.DOTALL)[0]
    out += ["\n.PP\n".join(roff(part) for part in about.split("\n\n")), ".SH COMMANDS"]
    for name in names:
        if name not in ("help", "--version"):
            out += command(program, name)
    for line in section(help_text, "Commands"):
        name, text = line.split(maxsplit=1)
        if name in ("help", "--version"):
            out += [f".SS squall {roff(name)}", roff(text[0].upper() + text[1:]) + "."]
    for heading, part in (("EXIT STATUS", "Exit codes"), ("ENVIRONMENT", "Environment")):
        out.append(f".SH {heading}")
        for line in section(help_text, part):
            name, text = line.split(maxsplit=1)
            out += [".TP", f"\\fB{roff(name)}\\fR", roff(text)]
    out += [".SH ERRORS", "A message ends with the status of what failed:"]
    header = (ROOT / "include/squall/status.h").read_text()
    for name, meaning in re.findall(r'X\((E_\w+), \d+, "(.*?)"\)', header):
        out += [".TP", f".B SQUALL_{name}", roff(meaning)]
    out += [".SH EXAMPLES"]
    for text, lines in EXAMPLES:
        out += [".PP", roff(text), ".PP", ".RS 4", ".nf", roff(lines), ".fi", ".RE"]
    print("\n".join(out))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
