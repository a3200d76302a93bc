"""Measure the import time of operators and of peers, in processes that have imported ``airflow.sdk``."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

PEERS = {
    "this provider, Visiono": "airflow_provider_visio.operators.visiono",
    "this provider, Vizdom": "airflow_provider_visio.operators.vizdom",
    "standard provider, bash": "airflow.providers.standard.operators.bash",
    "HTTP provider": "airflow.providers.http.operators.http",
    "SMTP provider": "airflow.providers.smtp.operators.smtp",
}

CODE = """
import time
import airflow.sdk
from airflow.sdk import BaseOperator, BaseSensorOperator
started = time.perf_counter()
import {module}
print((time.perf_counter() - started) * 1000)
"""


def once(module: str) -> float:
    """Measure one import in a new process.

    :return: milliseconds
    """
    # Installed packages have bytecode files. For a fair comparison, this package may write them too.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", CODE.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return float(run.stdout.split()[-1])


def main() -> None:
    """Measure all modules in rounds, so that a slow phase of the machine affects all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in PEERS}
    for number in range(rounds + 1):
        for name, module in PEERS.items():
            milliseconds = once(module)
            if number:  # the first round fills the file cache
                times[name].append(milliseconds)
    peer = times["HTTP provider"]
    print("| import | median ms | least | most | against the HTTP provider |")
    print("|---|---|---|---|---|")
    for name, found in times.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(found, peer, strict=True))
        print(
            f"| {name} | {statistics.median(found):.1f} | {min(found):.1f} | {max(found):.1f} | {ratio:.2f} |"
        )


if __name__ == "__main__":
    main()
