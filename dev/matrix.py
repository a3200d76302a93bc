"""
`make matrix`: install the wheel beside each Airflow as users do, and run the tests against it.

Each Airflow has a file of constraints with the versions of the day after its release, as its own constraints have. They
were made by `uv pip compile --python-version PYTHON --exclude-newer DATE`, from Airflow, the providers in use, this
package's requirements and the tests'. `make lowest` installs the lowest versions that pyproject.toml allows, and else
those of the oldest Airflow's day.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venv-matrix"
CONSTRAINTS = ROOT / "constraints"
TESTS = ("assets", "hooks", "operators", "sensors", "storage", "tasks", "triggers")
TEST_TOOLS = (
    "pytest",
    "pytest-asyncio",
    "pytest-xdist",
    "hypothesis",
    "PyYAML",
    "apache-airflow-providers-http",
)
# The oldest Airflow in the matrix, and the day after its release.
OLDEST = "3.1.8"
LOWEST_DATE = "2026-03-12"


@dataclass(frozen=True)
class Row:
    """An Airflow minor and a Python to run."""

    airflow: str
    python: str

    @property
    def name(self) -> str:
        """Return its name in ``ONLY`` and of its environment."""
        return f"{self.airflow}-py{self.python}"

    def is_meant(self, only: str) -> bool:
        """Return whether ``ONLY`` names this row or its Airflow, or nothing."""
        return not only or any(word in (self.airflow, self.name) for word in only.split(","))


ROWS = (
    Row("3.1", "3.11"),
    Row("3.2", "3.12"),
    Row("3.3", "3.13"),
    Row("3.3", "3.12"),
    Row("3.3", "3.11"),
)
LOWEST = Row("lowest", "3.11")


def find_python(version: str) -> str | None:
    """Return the path of a Python, or None if this machine has none that can make environments."""
    try:
        done = subprocess.run(
            [f"python{version}", "-c", "import ensurepip, sys, venv; print(sys.executable)"],
            env=os.environ | {"PYENV_VERSION": version},  # for a pyenv shim
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def lowest_versions(environment: Path) -> Path:
    """Write the lowest versions that pyproject.toml allows, and return the file."""
    uv = shutil.which("uv") or str(ROOT / ".venv-tools" / "bin" / "uv")
    found = Path(f"{environment}.txt")
    # Earlier patch releases of the oldest minor do not import with the versions of that day.
    oldest = found.with_suffix(".in")
    oldest.write_text(f"apache-airflow>={OLDEST}\n")
    options = (
        f"--resolution lowest-direct --python-version {LOWEST.python} --exclude-newer {LOWEST_DATE}"
        " --extra sandbox --extra smtp --no-annotate --no-header --quiet"
    )
    subprocess.run(
        [uv, "pip", "compile", *options.split(), "-c", oldest, "-o", found, ROOT / "pyproject.toml"],
        check=True,
    )
    return found


def install(row: Row, python: str, wheel: Path) -> Path:
    """Create the environment of a row, with the wheel installed, and return its Python."""
    environment = ENVIRONMENTS / row.name
    shutil.rmtree(environment, ignore_errors=True)
    ENVIRONMENTS.mkdir(exist_ok=True)
    versions = lowest_versions(environment) if row == LOWEST else CONSTRAINTS / f"airflow-{row.airflow}.txt"
    requirements = [f"{wheel}[sandbox,smtp]", "apache-airflow", *TEST_TOOLS]
    subprocess.run(
        [ROOT / "dev" / "make_environment", environment, python, "-c", versions, *requirements], check=True
    )
    return environment / "bin" / "python"


def run_tests(row: Row, python: Path, tests: list[str]) -> tuple[str, int]:
    """Run tests in a copy of the checkout without the package, and return pytest's summary and exit status."""
    with tempfile.TemporaryDirectory(prefix="visio-matrix-") as folder:
        copy = Path(folder)
        for name in ("tests", "example_dags", "docs", "dev", "pyproject.toml", "README.md", "Makefile"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        code = "import airflow_provider_visio as p, airflow; print(airflow.__version__, p.__file__)"
        found = subprocess.run(
            [python, "-c", code], cwd=copy, env=environment, check=True, capture_output=True, text=True
        ).stdout.split()[-2:]
        if not Path(found[1]).is_relative_to(ENVIRONMENTS / row.name):
            sys.exit(f"{row.name}: the tests would run the package in {found[1]}, not the installed one")
        print(f"{row.name}: Airflow {found[0]}, tests: {' '.join(tests)}", flush=True)
        log = ENVIRONMENTS / f"{row.name}.log"
        with log.open("w") as output:
            status = subprocess.run(
                [python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "--tb=short", *tests],
                cwd=copy,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        lines = log.read_text().splitlines()
        if status:
            print("\n".join(lines[-200:]))
        summary = next((line for line in reversed(lines) if " in " in line), "no summary")
        return f"Airflow {found[0]}: {summary.strip('= ')}", status


def main() -> int:
    """Run the rows of the matrix, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="such as 3.1, 3.3-py3.12 or lowest; several with commas")
    parser.add_argument("--tests", default="", help="tests to run instead, such as tests/hooks")
    options = parser.parse_args()
    rows = [row for row in (*ROWS, LOWEST) if row.is_meant(options.only) and (options.only or row != LOWEST)]
    if not rows:
        parser.error(f"no row {options.only!r}: {', '.join(row.name for row in (*ROWS, LOWEST))}")
    (wheel,) = (ROOT / "dist").glob("*.whl")
    tests = options.tests.split() or [f"tests/{name}" for name in TESTS]
    results = []
    failed = False
    for row in rows:
        python = find_python(row.python)
        if python is None:
            results.append(f"{row.name}: SKIPPED, there is no python{row.python} on this machine")
            continue
        started = time.monotonic()
        summary, status = run_tests(row, install(row, python, wheel), tests)
        failed |= status != 0
        results.append(f"{row.name}: {summary}; with installation {time.monotonic() - started:.0f} s")
    print("\n".join(["matrix:", *results]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
