"""What the documentation shows is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "docs/examples").glob("*.py"))
RUN_ALONE = [example for example in EXAMPLES if example.name != "check_agreement.py"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/src").rglob("*.md"))]


def program(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", RUN_ALONE, ids=lambda path: path.name)
def test_examples_run_in_an_empty_folder(example: Path, tmp_path: Path) -> None:
    printed = program(str(example), folder=tmp_path)
    assert printed
    if example.name == "check_agreement.py":
        assert printed == "largest difference: 0.0\n"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = ROOT / "docs/examples/sample_scene.ipynb"
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [
        output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ())
    ]
    texts = [data["text/plain"] for data in shown if "text/plain" in data]
    assert "0.0" in texts  # the agreement
    assert "(200, 40, 40)" in texts
    assert any(
        re.search(r"</progress>.*: (\d+) of \1 tiles", d.get("text/html", "")) for d in shown
    )
    assert sum("image/png" in data for data in shown) == 2
    assert (tmp_path / "page.html").is_file()


def test_the_command_line_reference_is_what_the_program_says(tmp_path: Path) -> None:
    said = program(
        *("-m", "typer", "hsisr.cli.main", "utils", "docs"),
        *("--name", "hsisr", "--title", "Command line"),
        folder=tmp_path,
    )
    page = (ROOT / "docs/src/reference/cli.md").read_text(encoding="utf-8")
    assert page.split() == said.split()


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
        assert (ROOT / "docs/examples" / example).exists()


def test_the_tutorial_runs_as_printed(tmp_path: Path) -> None:
    text = (ROOT / "docs/src/tutorial/first-scene.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    script = "".join(blocks).replace("hsisr ", f"{sys.executable} -m hsisr ")
    done = subprocess.run(
        ["/bin/sh", "-ec", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=6000,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"lr_max +0\.0", done.stdout)
    folder = tmp_path / "first-scene"
    assert (folder / "page.html").exists()
    printed = program(str(ROOT / "docs/examples/check_agreement.py"), folder=folder)
    assert printed == "largest difference: 0.0\n"


def test_wrong_calls_end_as_the_table_says(tmp_path: Path) -> None:
    page = ROOT / "docs/src/reference/wrong-calls.md"
    row = re.compile(r"^\| `(hsisr [^`]+)` \| (.+) \| (\d) \|$", re.MULTILINE)
    shown = row.findall(page.read_text(encoding="utf-8"))
    said = row.findall(program(str(ROOT / "docs/releasing/wrong_calls.py"), folder=tmp_path))
    assert len(shown) >= 25
    assert [(call, code) for call, _, code in said] == [(call, code) for call, _, code in shown]


def test_every_example_is_shown_on_a_page() -> None:
    shown = {
        name for p in PAGES for name in re.findall(r'^--8<-- "(.+)"$', p.read_text(), re.MULTILINE)
    }
    assert shown == {example.name for example in EXAMPLES}


def test_the_navigation_names_every_page() -> None:
    navigation = (ROOT / "docs/mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert str(page.relative_to(ROOT / "docs/src")) in navigation


def test_readme_has_the_two_commands_that_ci_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "hsisr upscale" in blocks[0]
    assert "pytest --cov" in blocks[1]
