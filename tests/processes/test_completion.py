"""What the tab key knows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from console.commands import cli
from console.commands.script import ACTIONS
from tests.processes.processes import House

pytestmark = pytest.mark.xdist_group("completion")

# what bash does at the tab key, but for the key
ASK = """
eval "$(maitred completion bash)" || exit
read -ra COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
complete -p maitred | grep -q _maitred_completion || exit
_maitred_completion maitred "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def bare(tmp_path: Path) -> House:
    """A home with `maitred` on its path, as it is when installed."""
    command = tmp_path / "bin" / "maitred"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m console "$@"\n')
    command.chmod(0o755)
    house = House(tmp_path, "")
    house.environment["PATH"] = f"{command.parent}:{house.environment['PATH']}"
    return house


def completed(house: House, line: str) -> set[str]:
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", line],
        env=house.environment,
        cwd=house.home,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert (
        done.stderr.replace("bash: warning: compopt: not currently executing completion function", "") == ""
    )
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("maitred ", set(cli.commands)),
        ("maitred co", {"config", "completion"}),
        ("maitred do ", set(ACTIONS)),
        ("maitred do un", {"unban", "unpin"}),
        ("maitred do abort x --t", {"--token-env", "--token-file"}),
        ("maitred token new --role ", {"viewer", "operator", "service", "user"}),
        ("maitred completion ", {"bash", "zsh", "fish"}),
        ("maitred do nonsense ", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bash(bare: House, line: str, known: set[str]) -> None:
    assert completed(bare, line) == known


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(bare: House, shell: str) -> None:
    done = bare.run("completion", shell)
    assert (done.code, done.stderr) == (0, "")
    assert f"_MAITRED_COMPLETE={shell}_complete" in done.stdout
    assert "maitred" in done.stdout


def test_an_unknown_shell(bare: House) -> None:
    done = bare.run("completion", "tcsh")
    assert (done.code, done.stdout) == (2, "")
    assert "bash" in done.stderr


@pytest.mark.parametrize("line", ["maitred ", "maitred do a", "maitred token new --role "])
def test_the_tab_key_does_not_wait_for_what_it_does_not_need(bare: House, line: str) -> None:
    words = line.split(" ")
    asked = {"_MAITRED_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = bare.run(env=asked | {"PYTHONPROFILEIMPORTTIME": "1"})
    assert "plain," in done.stdout
    assert "console.commands" in done.stderr, "the imports are told"
    for heavy in (
        "textual",
        "rich",
        "sqlalchemy",
        "httpx",
        "starlette",
        "core.settings",
        "core.session_core",
    ):
        assert f"| {heavy}" not in done.stderr.replace("|   ", "| ").replace("|  ", "| "), heavy
    assert not bare.data.exists()
