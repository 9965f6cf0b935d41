"""What is promised to readers and type checkers."""

import ast
import inspect
from pathlib import Path

import slopewise as sw
from slopewise import _slopewise


def test_stubs_name_what_the_extension_has():
    tree = ast.parse((Path(sw.__file__).parent / "_slopewise.pyi").read_text())

    def names(body):
        found = {}
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found[node.name] = node
            elif isinstance(node, ast.AnnAssign):
                found[node.target.id] = node
        return found

    def public(thing):
        return {name for name in dir(thing) if not name.startswith("_")}

    stated = names(tree.body)
    assert set(stated) == public(_slopewise)
    for name, node in stated.items():
        if isinstance(node, ast.ClassDef):
            assert set(names(node.body)) - {"__init__"} == public(getattr(_slopewise, name)), name


def test_everything_public_is_documented():
    for name in sw.__all__:
        thing = getattr(sw, name)
        assert thing.__doc__, name
        if inspect.isclass(thing) and thing.__module__.startswith("slopewise"):
            for member, own in vars(thing).items():
                if not member.startswith("_") and (callable(own) or isinstance(own, property)):
                    assert inspect.getdoc(getattr(thing, member)), f"{name}.{member}"
