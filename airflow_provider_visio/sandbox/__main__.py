"""The `visio-sandbox` command."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from .options import Options, Person, Settings
from .server import PortBusyError, serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sandbox until it is told to stop."""
    parser = _parser()
    given = parser.parse_args(argv)
    try:
        options = Options(
            host=given.host,
            port=given.port,
            storage_port=given.storage_port,
            visiono_key=given.visiono_key,
            vizdom_key=given.vizdom_key,
            speed=given.speed,
            person=Person.model_validate_json(given.person),
            settings=Settings(dialect=given.dialect, plan=given.plan, export_seconds=given.export_seconds),
        )
    except ValidationError as problem:
        first = problem.errors()[0]
        parser.error(
            f"{problem.title}: {'.'.join(map(str, first['loc']))} {first['msg']}".replace(":  ", ": ")
        )
    try:
        asyncio.run(serve(options, info_file=given.info_file, as_json=given.json))
    except PortBusyError as problem:
        print(f"visio-sandbox: {problem}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="visio-sandbox",
        description="A stand-in for Visiono and Vizdom, in memory, for tests and demonstrations.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8400, help="main port; 0 takes a free one (default: %(default)s)")
    add("--storage-port", type=int, default=0, help="port of the storage origin (default: a free one)")
    add("--visiono-key", default="vsk_live_sandbox", help="accepted X-API-Key (default: %(default)s)")
    add("--vizdom-key", default="vzd_sandbox", help="accepted bearer key (default: %(default)s)")
    add(
        "--dialect",
        choices=("both", "reference", "plugin"),
        default="both",
        help="which of Visiono's sources to follow; both: all they know (default: %(default)s)",
    )
    add("--plan", choices=("paid", "free"), default="paid", help="Visiono plan (default: %(default)s)")
    add("--person", default="{}", metavar="JSON", help='recipients, such as {"behaviour": "submit"}')
    add("--export-seconds", type=float, default=2.0, help="how long an export takes (default: %(default)s)")
    add("--speed", type=float, default=1.0, help="virtual seconds in a real one (default: %(default)s)")
    add("--info-file", type=Path, metavar="PATH", help="write addresses and keys there as JSON once ready")
    add("--json", action="store_true", help="print the same JSON instead of lines for people")
    return parser


if __name__ == "__main__":
    sys.exit(main())
