"""What the documentation shows is what happens."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from hsisr.commands.sample import write_sample
from hsisr.metrics.conventions import CONVENTIONS
from tests.nursery import fork, forked
from tests.program import metadata_at, succeed

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs/examples"
TUTORIAL = ROOT / "docs/src/tutorial/first-scene.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/src").rglob("*.md"))]


def program(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name", ["adding_metric", "adding_option", "arrays", "own_network", "windows"]
)
def test_examples_run_in_an_empty_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hsisr.models.registry._OWN", {})
    monkeypatch.setattr("hsisr.metrics.conventions.CONVENTIONS", {**CONVENTIONS})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out


def test_a_format_is_added_by_a_row(tmp_path: Path) -> None:
    code = "import runpy, sys; runpy.run_path(sys.argv[1], None, '__main__')"
    done = forked(code, EXAMPLES / "adding_format.py", cwd=tmp_path)
    assert "Text" in done.stdout, done.stderr


KERNEL = """
import sys
from pathlib import Path
from typing import Any
from ipykernel.kernelapp import launch_new_instance
import hsisr.commands.sample

hsisr.commands.sample.files = lambda _: Path(sys.argv.pop())
launch_new_instance()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="its kernel is a fork")
def test_the_notebook_runs(tmp_path: Path, small_sample: Path) -> None:
    notebook = json.loads((ROOT / "docs/examples/sample_scene.ipynb").read_text(encoding="utf-8"))
    connection, _ = write_connection_file(str(tmp_path / "connection.json"))
    shown: list[dict[str, Any]] = []
    with Path(os.devnull).open("r+") as nothing:
        streams = [nothing.fileno()] * 3
        kernel = fork(KERNEL, "-f", connection, small_sample, streams=streams, cwd=tmp_path)
    client = BlockingKernelClient(connection_file=connection)
    client.load_connection_file()
    client.start_channels(hb=False)  # it is not dead for being slow
    client.wait_for_ready(timeout=300)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            reply = client.execute_interactive(
                "".join(cell["source"]),
                timeout=300,
                output_hook=lambda said: shown.append(said["content"].get("data", {})),
            )
            assert reply["content"]["status"] == "ok", reply
    client.shutdown()
    assert kernel.wait() == 0
    client.stop_channels()
    texts = [data["text/plain"] for data in shown if "text/plain" in data]
    assert "0.0" in texts  # the agreement
    assert "(40, 40, 40)" in texts
    assert any(
        re.search(r"</progress>.*: (\d+) of \1 tiles", d.get("text/html", "")) for d in shown
    )
    assert sum("image/png" in data for data in shown) == 2
    assert (tmp_path / "page.html").is_file()


def test_the_command_line_reference_names_every_command_and_option(tmp_path: Path) -> None:
    said = program("-m", "typer", "hsisr.cli.main", "utils", "docs", folder=tmp_path)
    page = (ROOT / "docs/src/reference/cli.md").read_text(encoding="utf-8")
    found, expected = (re.findall(r"^\* `([^`]+)`", t, re.MULTILINE) for t in (page, said))
    assert len(found) > 99
    assert found == expected
    assert not [words for words in found if "<" in words]  # types of Python's


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_use_options_that_exist_and_link_to_files_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    reference = (ROOT / "docs/src/reference/cli.md").read_text(encoding="utf-8")
    known = set(re.findall(r"--[a-z][a-z-]+", reference))
    known |= {"--scal"} if page.name == "wrong-calls.md" else set()  # wrong on purpose
    for command in re.findall(r"^.*\bhsisr [a-z]+ .*$", text, re.MULTILINE):
        for call in re.findall(r"\bhsisr [a-z]+ [^&|]*", command):
            assert set(re.findall(r"(?<= )--[a-z][a-z-]+", call)) <= known, call
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in link:
            assert (page.parent / link).exists(), link
    for example in re.findall(r'--8<-- "([^"]+)"', text):
        assert (EXAMPLES / example).exists()


def test_the_sample_is_as_large_as_said(tmp_path: Path) -> None:
    assert metadata_at(write_sample(tmp_path)).shape == (200, 60, 60)
    assert "60 x 60 pixels and 200 bands" in TUTORIAL.read_text(encoding="utf-8")


@pytest.mark.usefixtures("small_sample")
def test_the_tutorial_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    printed = ""
    for name, *words in map(shlex.split, re.split(r"\n| && ", "".join(blocks).strip())):
        if name == "hsisr":
            printed += succeed(*words).stdout
        elif name == "mkdir":
            Path(*words).mkdir()
        else:
            assert name == "cd"
            monkeypatch.chdir(*words)
    runpy.run_path(str(EXAMPLES / "check_agreement.py"), run_name="__main__")
    assert re.search(r"lr_max +0\.0", printed)
    assert capsys.readouterr().out.endswith("largest difference: 0.0\n")
    assert (tmp_path / "first-scene" / "page.html").exists()


def test_wrong_calls_say_what_the_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "docs/src/reference/wrong-calls.md"
    row = re.compile(r"^\| `(hsisr [^`]+)` \| (.+) \| (\d) \|$", re.MULTILINE)
    shown = row.findall(page.read_text(encoding="utf-8"))
    runpy.run_path(str(ROOT / "docs/releasing/wrong_calls.py"), run_name="__main__")
    said = row.findall(capsys.readouterr().out)
    assert len(shown) >= 25
    assert said == shown


def test_the_navigation_names_every_page() -> None:
    navigation = (ROOT / "docs/mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert str(page.relative_to(ROOT / "docs/src")) in navigation


@pytest.mark.skipif(not (ROOT / ".ci/run").is_file(), reason="only in a checkout")
def test_what_ran_in_the_background_is_shown_when_the_tests_fail(tmp_path: Path) -> None:
    here, tools = tmp_path / "here", tmp_path / "tools"
    shutil.copytree(ROOT / ".ci", here / ".ci")
    fails = "until [ -s $work/user.log ]; do sleep 0.02; done; false"
    (here / "README.md").write_text(f"```sh\n:\n```\n```sh\n{fails}\n```\n")
    for name in ("python3", "git"):
        tools.mkdir(exist_ok=True)
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", ".ci/run"], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "README's first command, with the built wheel" in done.stdout
    assert not list(tmp_path.glob("tmp*"))
