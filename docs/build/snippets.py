"""Run the Python of the documentation: every block fenced as ``python``, in order, in one namespace a page.

A block with a title, ``python title="my_tasks.py"``, is a file: it is written, for later blocks to import. Blocks that
are not meant to run are fenced as ``py``. Pages of libraries that the project's own environment lacks run only when
named. Usage: ``python docs/build/snippets.py [page ...]``.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / "docs" / "libraries"
HERE = {"cleanrl.md", "index.md", "sb3.md"}  # of these, the pages that need no more than this project does
FENCE = re.compile(r'^```python(?: title="(\w+\.py)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # with small nets, two threads mostly wait


def run_page(page: Path) -> int:
    """Run the blocks of one page in a folder that is thrown away; return how many there were."""
    text = page.read_text(encoding="utf-8")
    namespace = {"__name__": "__main__"}
    blocks = list(FENCE.finditer(text))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), on_path(folder):
        for block in blocks:
            name, code = block.groups()
            if name is not None:
                Path(name).write_text(code)
                continue
            lines_before = text.count("\n", 0, block.start(2))
            # Leading newlines make tracebacks show the line of the page.
            exec(compile("\n" * lines_before + code, str(page), "exec"), namespace)
    return len(blocks)


@contextlib.contextmanager
def on_path(folder: str) -> Iterator[None]:
    """While inside, modules are found in the folder, too."""
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def main() -> int:
    pages = [Path(name).resolve() for name in sys.argv[1:]] or [
        ROOT / "README.md",
        *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent != LIBRARIES or page.name in HERE),
    ]
    failed = []
    for page in pages:
        started = time.perf_counter()
        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                count = run_page(page)
        except Exception:
            traceback.print_exc()
            failed.append(page)
        else:
            if count:
                print(f"{page.relative_to(ROOT)}: {count} snippets, {time.perf_counter() - started:.1f} s")
    if failed:
        print("failed:", *(page.relative_to(ROOT) for page in failed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
