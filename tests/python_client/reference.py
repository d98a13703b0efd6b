"""The public reference of `tripleblind.job` as data, where its text lies beside the project."""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.docs import ROOT

_BESIDE = ROOT.parent / "shared" / "reference" / "tripleblind-job.txt"
_CALLABLE = re.compile(r"^(def|class) (\w+) ?\((.*)\)(?: -> .*)?$")
_VARIABLE = re.compile(r"^var (\w+)(?: : .*)?$")

Parameters = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Name:
    """A name of the module or, with its class before it, of a class. `parameters` None: it is no callable."""

    name: str
    parameters: Parameters | None
    is_static: bool = False


def reference_text() -> str:
    """The text; it is the vendor's, so that it is no part of this project. Skips the test where it is not there."""
    file = Path(os.environ.get("TRIPLEBLIND_REFERENCE", _BESIDE))
    if not file.is_file():
        pytest.skip("the reference's text is not here; TRIPLEBLIND_REFERENCE names its file")
    return file.read_text(encoding="utf-8")


def names(text: str) -> Iterator[Name]:
    """Every function, class, method and variable it documents."""
    owner, section = "", ""
    for line in text.splitlines():
        if line in ("Functions", "Classes", "Static methods", "Methods", "Instance variables", "Class variables"):
            section = line
        found, variable = _CALLABLE.match(line), _VARIABLE.match(line)
        if found and found[1] == "class":
            owner = found[2]
            yield Name(owner, _parameters(found[3]))
        elif found:
            is_function = section == "Functions"
            name = found[2] if is_function else f"{owner}.{found[2]}"
            own = _parameters(found[3])
            yield Name(name, own, is_static=is_function or section == "Static methods")
        elif variable:
            yield Name(f"{owner}.{variable[1]}", None)


def workflow(text: str) -> list[str]:
    """The lines of "The typical workflow follows this pattern"."""
    begin = text.index("import tripleblind as tb")
    end = text.index("Functions\n", begin)
    return text[begin:end].strip().splitlines()


def _parameters(text: str) -> Parameters:
    """Each with its default as it is written; without `self`."""
    (made,) = ast.parse(f"def f({text}): ...").body
    assert isinstance(made, ast.FunctionDef)
    known = made.args.args
    defaults = [None] * (len(known) - len(made.args.defaults)) + [ast.unparse(one) for one in made.args.defaults]
    return tuple((one.arg, default) for one, default in zip(known, defaults, strict=True) if one.arg != "self")
