"""The shape of the house: imports point one way, and the face stays light."""

import ast
import subprocess
import sys
from collections.abc import Container
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import movinet

ROOT = Path(__file__).parents[1] / "src" / "movinet"
# From the ground up; a room may use rooms of lower floors and itself.
FLOORS = [
    {"errors", "words"},
    {"yaml_loader"},
    {"reading", "dataclass_io"},
    {"files", "rows", "cores", "freed_memory", "arch", "recipes"},
    {"costs"},
    {"video"},
    {"labeled"},
    {"weights"},
    {"deploy"},
    {"prediction"},
    {"events"},
    {"runtime"},
    {"recognizer", "profiling", "metrics", "inspecting"},
    {"evaluate", "live", "archive", "create"},
    {"serve"},
    {"__init__"},
    # The torch line: what is below runs networks and imports no PyTorch, what is above builds and trains them.
    {"nn"},
    {"baselines"},
    {"data"},
    {"export"},
    {"train"},
    {"search"},
    {"cli"},
    {"__main__"},
]
# Rooms below the line that reach above it, inside functions alone: for what only PyTorch can do.
ACROSS = {("__init__", "nn"), ("create", "nn"), ("weights", "nn"), ("runtime", "nn")}
# The networks to compare with are modules alone: they are counted, built and run by PyTorch.
ACROSS |= {(room, "baselines") for room in ("costs", "create", "weights", "runtime")}
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path: Path) -> str:
    part = path.relative_to(ROOT).parts[0]
    return part.removesuffix(".py")


def imports(path: Path) -> tuple[set[str], set[str]]:
    """Rooms of movinet, and `torch`, that a file imports as it is loaded, and inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        node
        for scope in ast.walk(tree)
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef) or is_for_types(scope)
        for node in ast.walk(scope)
    }
    found: tuple[set[str], set[str]] = set(), set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "movinet":
                found[node in inside].add(parts[1] if parts[1] in FLOOR else "__init__")
            elif parts[0] == "torch":
                found[node in inside].add("torch")
    return found


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"{room} has no floor yet: give it one"
    first, later = imports(path)
    above = {other for other in first - {"torch"} if other != room and FLOOR[other] >= FLOOR[room]}
    assert not above
    above = {other for other in later - {"torch"} if other != room and FLOOR[other] >= FLOOR[room]}
    assert {(room, other) for other in above} <= ACROSS


def test_no_files_import_each_other_in_circles() -> None:
    """Neither as they are loaded, nor inside functions, nor for types alone."""
    names = {path: ".".join(["movinet", *path.relative_to(ROOT).with_suffix("").parts]) for path in ROOT.rglob("*.py")}
    files = {name.removesuffix(".__init__"): path for path, name in names.items()}
    needs = {name: files_imported(path, files) - {name} for name, path in files.items()}
    tuple(TopologicalSorter(needs).static_order())  # CycleError names them


def files_imported(path: Path, files: Container[str]) -> set[str]:
    """What a file imports anywhere of those files, by their names as modules."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {part for name in names for part in (name, name.rpartition(".")[0]) if part in files}
    return found


def test_importing_movinet_brings_nothing_along() -> None:
    """Not even torch, which takes a second."""
    code = (
        "import sys; before = set(sys.modules); import movinet, movinet.__main__; print(*(set(sys.modules) - before))"
    )
    new = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.partition(".")[0] for name in new}
    assert "movinet" in roots
    assert not roots & {"av", "cyclopts", "numpy", "rich", "safetensors", "torch", "yaml"}


# What stands above the line and needs no PyTorch to be imported: exports and commands, but these.
LIGHT = {"export", "cli", "__main__"}
HEAVY = {"export.coreml", "export.executorch"} | {
    f"cli.{name}"
    for name in ("compare_plots", "data", "data_report", "machine", "training", "training_report", "searching")
}


def light_modules() -> list[str]:
    """All that must be importable without PyTorch."""
    rooms = LIGHT.union(*FLOORS[: FLOORS.index({"nn"})])
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(part for part in path.relative_to(ROOT).with_suffix("").parts if part != "__init__")
        if room_of(path) in rooms and name not in HEAVY:
            found.append(f"movinet.{name}".rstrip("."))
    return found


def test_below_the_line_nothing_imports_torch() -> None:
    modules = light_modules()
    assert {"movinet", "movinet.video.transform", "movinet.runtime.pool", "movinet.cli.classify"} <= set(modules)
    code = """
import sys
from importlib import import_module
sys.modules["torch"] = None  # importing it fails
for name in sys.argv[1:]:
    try:
        import_module(name)
    except ImportError as error:
        sys.exit(f"{name}: {error!r}")
"""
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_face_has_what_it_says() -> None:
    assert {name for name in movinet.__all__ if getattr(movinet, name)} == set(movinet.__all__)


def test_no_two_files_share_a_name() -> None:
    """Fuzzy-open, grep and tracebacks tell which is meant."""
    names = [path.name for path in ROOT.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
