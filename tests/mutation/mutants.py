"""Small wrongs done to a module: each *mutant* is the module with one of them.

Owns what is done (comparisons, boundaries, boolean operators, constants, arithmetic, removed
statements, return values) and how a mutant takes the place of the original in a process where
everything is imported already: the code of one function is exchanged. Runs no test.

Left alone are assertions (`strict=` is one), annotations, what stands outside of functions, and
texts for people.
"""

import ast
import copy
import inspect
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
}
_REMOVABLE = (ast.Expr, ast.AugAssign, ast.Delete, ast.Continue, ast.Break)


class Mutant(NamedTuple):
    """One wrong. `name` says where and what, without a line number: it outlives other changes."""

    name: str
    line: int
    function: str
    place: ast.AST
    wrong: ast.AST


class Source:
    """A module to be done wrong to."""

    def __init__(self, path: Path, module: str) -> None:
        self.path = path
        self.module = module
        self.tree = ast.parse(path.read_text())

    @cached_property
    def mutants(self) -> list[Mutant]:
        found: list[Mutant] = []
        times: dict[str, int] = {}
        for function, node in _functions(self.tree):
            for place, wrong, line, text in _wrongs(node):
                name = f"{self.path.stem}.{function}: {text}"
                times[name] = times.get(name, 0) + 1
                if times[name] > 1:
                    name += f" (time {times[name]})"
                found.append(Mutant(name, line, function, place, wrong))
        return found

    def function(self, name: str) -> FunctionType:
        """The function whose code is to be exchanged, out of its wrappers."""
        found: Any = import_module(self.module)
        for part in name.split("."):
            found = inspect.getattr_static(found, part)
        if isinstance(found, property):
            found = found.fget
        if isinstance(found, classmethod | staticmethod):
            found = found.__func__
        clear = getattr(found, "cache_clear", None)
        if clear is not None:
            clear()
        function = inspect.unwrap(found)
        assert isinstance(function, FunctionType), name
        return function

    def apply(self, mutant: Mutant) -> None:
        """From now on this process does it wrong."""
        # A copy of the module, in which the one stands where the other stood.
        tree = copy.deepcopy(self.tree, {id(mutant.place): mutant.wrong})
        code = compile(ast.fix_missing_locations(tree), str(self.path), "exec")
        self.function(mutant.function).__code__ = _inside(code, mutant.function)


def _inside(code: CodeType, function: str) -> CodeType:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == function:
                return constant
            if function.startswith(constant.co_qualname + "."):
                return _inside(constant, function)
    raise LookupError(function)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of the module and methods of its classes, by their names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner


Wrong = tuple[ast.AST, ast.AST, int, str]
"""(what stands there, what shall, line, what is said of it)"""


def _wrongs(function: ast.FunctionDef) -> Iterator[Wrong]:
    for statement in function.body:
        if not _is_text(statement):
            yield from _in_node(statement)


def _in_node(node: ast.AST) -> Iterator[Wrong]:
    if isinstance(node, ast.Assert) or (isinstance(node, ast.keyword) and node.arg == "strict"):
        return
    yield from _of_node(node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "args") and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_text(child):
                yield from _in_node(child)


def _is_text(node: ast.AST) -> bool:
    """A text that stands for itself: a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _of_node(node: ast.AST) -> Iterator[Wrong]:
    if isinstance(node, ast.Compare):
        yield from _comparisons(node)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _wrong(node, ast.BoolOp(other, node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _wrong(node, node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield _wrong(node, ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right))
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Return) and not _says_no(node.value):
        yield _wrong(node, ast.Return(ast.Constant(None)))
    elif isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        other_op = _ARITHMETIC[type(node.op)]()
        yield _wrong(node, ast.AugAssign(node.target, other_op, node.value))
    if isinstance(node, ast.If | ast.IfExp | ast.While) and isinstance(
        node.test, ast.Name | ast.Attribute | ast.Call | ast.Subscript
    ):
        yield _wrong(node.test, ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, _REMOVABLE) or _sets_a_part(node):
        yield _wrong(node, ast.Pass())


def _comparisons(node: ast.Compare) -> Iterator[Wrong]:
    for place, op in enumerate(node.ops):
        for other in _COMPARISONS[type(op)]:
            ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield _wrong(node, ast.Compare(node.left, ops, node.comparators))


def _constants(node: ast.Constant) -> Iterator[Wrong]:
    value = node.value
    if isinstance(value, bool):
        yield _wrong(node, ast.Constant(not value))
    elif isinstance(value, int):
        for other in (value + 1, value - 1):
            yield _wrong(node, ast.Constant(other))
    elif isinstance(value, str) and not _is_for_people(value):
        yield _wrong(node, ast.Constant(value + "x"))


def _is_for_people(text: str) -> bool:
    """Words, or what stands between them."""
    return " " in text or bool(text and not any(map(str.isalnum, text)))


def _says_no(node: ast.AST | None) -> bool:
    """Nothing, None and False: whoever asks takes one for the other."""
    return node is None or (isinstance(node, ast.Constant) and node.value in (None, False))


def _sets_a_part(node: ast.AST) -> bool:
    """`one.part = ...`, `one[part] = ...`: without it the program still runs."""
    return isinstance(node, ast.Assign) and isinstance(
        node.targets[0], ast.Attribute | ast.Subscript
    )


def _wrong(place: Any, wrong: ast.AST) -> Wrong:
    ast.copy_location(wrong, place)
    return place, wrong, place.lineno, f"{_said(place)} -> {_said(wrong)}"


def _said(node: ast.AST) -> str:
    return " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())
