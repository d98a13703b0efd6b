"""Every name of the reference is there, and takes what it takes there."""

import inspect

import pytest

import tripleblind_gateway
from tests.python_client.reference import Name, Parameters, names, reference_text
from tripleblind_gateway import job as module

# What differs on purpose, by name, with the reason. Nothing does.
REASONS: dict[str, str] = {}


def test_every_name_and_signature_of_the_reference_is_there() -> None:
    """Names, parameters, their order, their defaults, and which of them need no instance."""
    documented = list(names(reference_text()))

    differences = {one.name: told for one in documented if (told := difference(one)) is not None}

    assert len(documented) == 55
    assert differences.keys() == REASONS.keys(), differences


@pytest.mark.parametrize("name", module.__all__)
def test_what_the_module_has_stands_in_the_package_too(name: str) -> None:
    """As `tb.create_job`."""
    assert getattr(tripleblind_gateway, name) is getattr(module, name)


def difference(documented: Name) -> str | None:
    """What is other than documented. None: nothing."""
    owner_name, _, own = documented.name.rpartition(".")
    owner = getattr(module, owner_name) if owner_name else module
    if documented.parameters is None:
        is_there = hasattr(owner, own) or own in inspect.get_annotations(owner) or own in _instance_fields(owner)
        return None if is_there else "it is not there"
    if not hasattr(owner, own):
        return "it is not there"
    found = _parameters(getattr(owner, own))
    if found != documented.parameters:
        return f"{found} instead of {documented.parameters}"
    is_static = not owner_name or isinstance(inspect.getattr_static(owner, own), staticmethod)
    return None if documented.is_static in (is_static, False) else "it needs an instance"


def _parameters(one: object) -> Parameters:
    assert callable(one)
    found = inspect.signature(one).parameters.values()
    return tuple(
        (each.name, None if each.default is each.empty else repr(each.default)) for each in found if each.name != "self"
    )


def _instance_fields(owner: object) -> tuple[str, ...]:
    assert callable(owner)
    return tuple(inspect.signature(owner).parameters)
