"""Report bad usage in one line, with a suggestion."""

import argparse
import difflib
import itertools
import os
import re
import shlex
import sys

from .._printing import printable

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """The parser of `pysrcnn` or of one of its subcommands."""

    given: tuple[str, ...] = ()

    def parse_known_args(self, args=None, namespace=None):
        """Parse as argparse does, but report unknown arguments at once."""
        self.given = tuple(sys.argv[1:] if args is None else args)
        if self.prog != "pysrcnn" and (apart := _sizes_apart(self.given)):
            self.error(apart)
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:  # reported here, as the subcommand's parser knows its own options
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str):
        """Exit with a one-line message, without argparse's list of all options."""
        files = [text for text in self.given if text.startswith("-") and os.path.isfile(text)]
        hint = f"; for the file {files[0]} write ./{files[0]}" if files else self._meant(message)
        line = f"pysrcnn: {message}{hint}; {self.prog} --help says more"
        self.exit(2, printable(line) + "\n")

    def _meant(self, message: str) -> str:
        """Suggest a command to type in place of one with unknown words; "" if there is none."""
        options = list(self._option_string_actions)
        typed = [text.partition("=")[0] for text in self.given if text[:2] == "--" != text]
        wrong = {x: options for x in typed if not any(known.startswith(x) for known in options)}
        choice = re.search("invalid choice: '([^']*)'", message)
        if choice:
            words = (action.choices or () for action in self._actions)
            wrong[choice[1]] = [str(word) for choices in words for word in choices]
        given = list(self.given)
        for word, known in wrong.items():
            here = re.compile(rf"(--?\w+=)?{re.escape(word)}(?==|$)")
            for meant in difflib.get_close_matches(word.lower().lstrip("."), known, 1):
                given = [here.sub(rf"\g<1>{meant}", text) for text in given]
        if choice and f"--{choice[1]}" in options:
            given = [f"--{choice[1]}"]
        elif choice and choice[1] in given and self.prog == "pysrcnn":
            given = _with_command(given, wrong[choice[1]])
        changed = given != list(self.given)
        return f"; you may mean `{self.prog} {shlex.join(given)}`" if changed else ""


def _with_command(given: list[str], commands: list[str]) -> list[str]:
    """Put a command in front of the arguments: one that comes later in them, or `upscale`."""
    for command in commands:
        if command in given and not os.path.exists(command):
            given.remove(command)
            return [command, *given]
    if not any(map(os.path.exists, given)):
        return given
    first = given[0]  # a word such as "enlarge", to be replaced, or a picture or an option
    is_word = first.isalpha() and not os.path.exists(first)
    return ["upscale", *given[is_word:]]


def _sizes_apart(given: tuple[str, ...]) -> str:
    """Return the error for "--filters 64 32", where 32 would be taken for a folder; or ""."""
    for k, option in enumerate(given):
        if option in ("--network", "--filters"):
            following = itertools.takewhile(str.isdecimal, given[k + 1 :])
            numbers = [text for text in following if not os.path.exists(text)]
            if len(numbers) > 1:
                return f"{option} takes its numbers with - between: {option} {'-'.join(numbers)}"
    return ""
