"""The `visio-sandbox` command."""

import argparse
import asyncio
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from .options import ExportOutcome, Options, Person, Settings, explain
from .server import PortBusyError, serve

_OPTIONS = ("host", "port", "storage_port", "visiono_key", "vizdom_key", "speed")
_SETTINGS = ("dialect", "plan", "export_seconds", "export_outcome", "webhook_gateway", "webhook_signs")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sandbox until SIGINT or SIGTERM, and return the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        person = Person.model_validate_json(args.person)
    except ValidationError as problem:
        parser.error(f"argument --person: {explain(problem.errors())}")
    try:
        settings = Settings.model_validate({name: getattr(args, name) for name in _SETTINGS})
    except ValidationError as problem:
        parser.error(explain(problem.errors()))
    kept = {name: getattr(args, name) for name in _OPTIONS}
    options = Options(**kept, person=person, settings=settings)
    try:
        asyncio.run(serve(options, info_file=args.info_file, as_json=args.json))
    except PortBusyError as problem:
        print(f"visio-sandbox: {problem}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="visio-sandbox",
        description="A stand-in for Visiono and Vizdom, in memory, for tests and demonstrations.",
        epilog=_person_fields(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        help="which of Visiono's sources to follow (default: %(default)s)",
    )
    add("--plan", choices=("paid", "free"), default="paid", help="Visiono plan (default: %(default)s)")
    add("--person", default="{}", metavar="JSON", help="how recipients behave; the fields are listed below")
    add("--export-seconds", type=float, default=2.0, help="duration of an export (default: %(default)s)")
    outcomes = get_args(ExportOutcome)
    add("--export-outcome", choices=outcomes, default="file", help="how exports end (default: %(default)s)")
    add("--webhook-gateway", metavar="URL", help="where webhooks are sent to (default: nowhere)")
    add(
        "--webhook-signs",
        choices=("body", "timestamp"),
        default="body",
        help="what X-Webhook-Signature covers: the body, or timestamp, dot and body (default: %(default)s)",
    )
    add("--speed", type=float, default=1.0, help="virtual seconds in a real one (default: %(default)s)")
    add("--info-file", type=Path, metavar="PATH", help="write addresses and keys there as JSON once ready")
    add("--json", action="store_true", help="print the same JSON instead of lines for people")
    return parser


def _person_fields() -> str:
    lines = ['fields of --person, as in --person \'{"behaviour": "submit", "open_after": 60}\':']
    for name, field in Person.model_fields.items():
        text = f"{field.description} (default: {json.dumps(field.default)})"
        lines += textwrap.wrap(text, 98, initial_indent=f"  {name:<12} ", subsequent_indent=" " * 15)
    return "\n".join(
        [*lines, "", "GET /control lists the control interface; docs/sandbox.md describes all of it."]
    )


if __name__ == "__main__":
    sys.exit(main())
