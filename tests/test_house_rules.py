"""Rules about the project's own files: sizes, layers' places, nothing of any one machine or registry."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

import models
import schemas
import stream

ROOT = Path(__file__).parent.parent
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FOREIGN = (
    # In two parts, or this file would break its own rule.
    *("pypi" + ".org", "files." + "pythonhosted", "registry." + "npmjs", "repo." + "maven", "deb." + "debian"),
    *("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"),
)

UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"),
    *("subprocess.getstatusoutput", "asyncio.create_subprocess_shell", "yaml.load", "yaml.unsafe_load"),
}


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """Text of every file that is committed or about to be."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: the list of the project's files is not known")
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in listed if name and (ROOT / name).is_file()}


def test_no_file_names_a_registry_or_a_path_of_one_machine(files: dict[str, str]) -> None:
    found = [(name, word) for name, text in files.items() for word in FOREIGN if word in text]
    assert found == []


def test_no_module_is_longer_than_400_lines(files: dict[str, str]) -> None:
    sizes = {name: len(text.splitlines()) for name, text in files.items() if name.endswith(".py")}
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES_MAX} == {}


def test_no_function_is_longer_than_60_lines(files: dict[str, str]) -> None:
    found = {}
    for name, text in files.items():
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                found[f"{name}: {node.name}"] = node.end_lineno - node.lineno + 1
    assert {name: lines for name, lines in found.items() if lines > FUNCTION_LINES_MAX} == {}


def test_no_code_of_ours_can_be_made_to_run_data(files: dict[str, str]) -> None:
    # Tests may: they run what a page shows. The product may not, whatever an event, a row or a snapshot says.
    trees = {name: ast.parse(text) for name, text in files.items() if name.endswith(".py") and part_of_product(name)}
    assert len(trees) > 50
    found = [(name, what) for name, tree in trees.items() for what in dangers(tree)]
    assert found == []


def part_of_product(name: str) -> bool:
    return name.partition("/")[0] in ("stream", "models", "schemas")


def dangers(tree: ast.AST) -> list[str]:
    """What in a module could execute data, by line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [f"{node.lineno}: import {name}" for name in names if name.partition(".")[0] in UNSAFE_MODULES]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            safe_loader = any("SafeLoader" in ast.unparse(keyword.value) for keyword in node.keywords)
            if called in UNSAFE_CALLS and not (called == "yaml.load" and safe_loader):
                found.append(f"{node.lineno}: {called}")
            for keyword in node.keywords:
                shell = keyword.arg == "shell" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                )
                pickled = keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
                if shell or pickled:
                    found.append(f"{node.lineno}: {keyword.arg}")
    return found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import cloudpickle",
        "import marshal",
        "eval(x)",
        "exec(x)",
        "__import__(x)",
        "yaml.load(x)",
        "yaml.load(x, Loader=yaml.Loader)",
        "os.system(x)",
        "os.popen(x)",
        "subprocess.run(x, shell=True)",
        "subprocess.getoutput(x)",
        "np.load(x, allow_pickle=True)",
        "asyncio.create_subprocess_shell(x)",
    ],
)
def test_the_rule_about_code_finds_what_it_forbids(code: str) -> None:
    assert dangers(ast.parse(code))
    assert not dangers(
        ast.parse("yaml.load(x, Loader=yaml.SafeLoader)\nsubprocess.run(['a'], shell=False)\nre.compile(x)")
    )


@pytest.mark.parametrize("package", [stream, models, schemas], ids=lambda package: package.__name__)
def test_the_three_packages_are_those_of_this_checkout(package: object) -> None:
    # Their names are common words: another package of that name on the path must not win.
    assert Path(package.__file__).parent == ROOT / package.__name__


def test_scripts_are_executable_and_fail_fast() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
