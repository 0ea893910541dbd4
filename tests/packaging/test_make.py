"""`make` on machines that lack something: one line that says what, and the remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
NO_ENSUREPIP = ("ensurepip.py", "raise ModuleNotFoundError(name='ensurepip')")
OLD_PYTHON = ("sitecustomize.py", "import sys; sys.version_info = (3, 9, 18, 'final', 0)")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh clone, as far as the environment goes."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(CHECKOUT / name, folder)
    return folder


def make(
    checkout: Path, *arguments: str, python_path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(checkout)}
    if python_path:
        environment["PYTHONPATH"] = str(python_path)
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", ["run", "test", "check"])
@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        (NO_ENSUREPIP, "apt install python3-venv, or set PYTHON="),
        (OLD_PYTHON, "needs Python 3.11 or newer, but"),
    ],
    ids=["no venv module", "old Python"],
)
def test_what_python_lacks_is_one_line(
    checkout: Path, tmp_path: Path, module: tuple[str, str], remedy: str, target: str
) -> None:
    name, text = module
    (tmp_path / name).write_text(text, encoding="utf-8")

    made = make(checkout, target, f"PYTHON={sys.executable}", python_path=tmp_path)

    assert made.returncode != 0
    assert made.stdout == ""
    assert len(made.stderr.splitlines()) == 1
    assert remedy in made.stderr
    assert not (checkout / ".venv").exists()


def test_an_interpreter_that_does_not_run_is_one_line(checkout: Path) -> None:
    made = make(checkout, "run", "PYTHON=/nonexistent/python")

    assert made.returncode != 0
    assert len(made.stderr.splitlines()) == 1
    assert "/nonexistent/python" in made.stderr


def test_an_environment_that_is_there_is_left_alone(checkout: Path) -> None:
    for name in ("checkout", "runtime", "dev", "bin/python"):
        path = checkout / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{checkout.resolve()}\n", encoding="utf-8")
        path.chmod(0o755)

    assert make(checkout, "--question", ".venv/runtime", ".venv/dev").returncode == 0


def test_an_environment_that_was_copied_with_its_checkout_is_made_anew(checkout: Path) -> None:
    for name in ("checkout", "runtime", "dev", "bin/python"):
        path = checkout / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("/another/place\n", encoding="utf-8")
        path.chmod(0o755)

    assert make(checkout, "--question", ".venv/runtime").returncode == 1


def test_help_lists_every_target_of_the_readme(checkout: Path) -> None:
    listed = make(checkout)

    assert listed.returncode == 0
    for target in ("run", "test", "check", "format", "bench", "constraints", "clean"):
        assert f"make {target} " in listed.stdout
